// BERT's tokenizer: texts or pairs to ids and segment ids, equal to transformers' BertTokenizerFast.

import { modelError } from "../errors/errors";
import { isAscii, isAsciiPunctuation, type NormalizerSettings, splitWords } from "./normalize";
import { createWordPiece } from "./wordpiece";

export interface TokenizerSettings {
  /** The id of a token is its index. */
  readonly tokens: readonly string[];
  readonly lowerCase: boolean;
  /** null: as lowerCase says. */
  readonly stripAccents?: boolean | null;
  readonly tokenizeChineseChars?: boolean;
}

export interface Encoding {
  /** [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]. */
  readonly ids: Int32Array;
  /** 0 up to the first [SEP], 1 after it. */
  readonly typeIds: Int32Array;
  /** Tokens cut away. */
  readonly truncated: number;
}

/** Where a token came from: UTF-16 units [start, end) of text 0 or 1; null for special tokens. */
export interface Offset {
  readonly text: 0 | 1;
  readonly start: number;
  readonly end: number;
}

export interface Tokenizer {
  readonly settings: TokenizerSettings;
  readonly padId: number;
  /**
   * @param pair null or "" for a single text
   * @param maxLength tokens, special ones included; longer input loses tokens, from the longer text first
   */
  encode(text: string, pair: string | null, maxLength: number): Encoding;
  encodeWithOffsets(text: string, pair: string | null, maxLength: number): Encoding & { offsets: (Offset | null)[] };
  tokenize(text: string): string[];
}

interface Pieces {
  readonly ids: number[];
  readonly spans: [number, number][];
}

/** Throws modelError (4) where the vocabulary lacks [PAD], [UNK], [CLS] or [SEP]. */
export function createTokenizer(settings: TokenizerSettings): Tokenizer {
  const { tokens, lowerCase } = settings;
  const byToken = new Map(tokens.map((token, id) => [token, id]));
  const special = (token: string) => {
    const id = byToken.get(token);
    if (id === undefined) throw modelError(`the vocabulary of ${tokens.length} words has no ${token}`);
    return id;
  };
  const [padId, unknown, cls, sep] = [special("[PAD]"), special("[UNK]"), special("[CLS]"), special("[SEP]")];
  const normalizer: NormalizerSettings = {
    lowerCase,
    stripAccents: settings.stripAccents ?? lowerCase,
    tokenizeChineseChars: settings.tokenizeChineseChars ?? true,
  };
  const wordPiece = createWordPiece(byToken, unknown);
  // Special tokens that somebody typed are taken as such, before anything is normalised, as transformers does.
  const typed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].filter((token) => byToken.has(token));
  const typedPattern = new RegExp(`(${typed.map((token) => token.replace(/[[\]]/g, "\\$&")).join("|")})`);

  const asciiIds = (text: string): number[] => {
    const ids: number[] = [];
    const lowered = lowerCase ? text.toLowerCase() : text;
    let start = -1;
    const flush = (end: number) => {
      if (start >= 0) for (const id of wordPiece.ids(lowered.slice(start, end))) ids.push(id);
      start = -1;
    };
    for (let at = 0; at < lowered.length; at++) {
      const code = lowered.charCodeAt(at);
      if (code <= 32) flush(at);
      else if (isAsciiPunctuation(code)) {
        flush(at);
        start = at;
        flush(at + 1);
      } else if (start < 0) start = at;
    }
    flush(lowered.length);
    return ids;
  };

  const wordIds = (text: string): number[] => {
    if (isAscii(text)) return asciiIds(text);
    return splitWords(text, normalizer, false).flatMap((word) => wordPiece.ids(word.text));
  };

  const textIds = (text: string): number[] => {
    if (!text.includes("[") || !typedPattern.test(text)) return wordIds(text);
    return text.split(typedPattern).flatMap((part, i) => (i % 2 === 1 ? [byToken.get(part) as number] : wordIds(part)));
  };

  const textPieces = (text: string): Pieces => {
    const pieces: Pieces = { ids: [], spans: [] };
    let at = 0;
    for (const [i, part] of text.split(typedPattern).entries()) {
      if (i % 2 === 1) {
        pieces.ids.push(byToken.get(part) as number);
        pieces.spans.push([at, at + part.length]);
      } else {
        for (const word of splitWords(part, normalizer, true, at)) {
          const { ids, ends } = wordPiece.pieces(word.text);
          let from = 0;
          for (const [j, id] of ids.entries()) {
            const end = ends[j] as number;
            pieces.ids.push(id);
            pieces.spans.push([word.starts?.[from] as number, word.ends?.[end - 1] as number]);
            from = end;
          }
        }
      }
      at += part.length;
    }
    return pieces;
  };

  const assemble = (first: readonly number[], second: readonly number[] | null, maxLength: number) => {
    const [keepFirst, keepSecond] = longestFirst(first.length, second?.length ?? null, maxLength);
    const ids = new Int32Array(keepFirst + 2 + (second ? keepSecond + 1 : 0));
    const typeIds = new Int32Array(ids.length);
    ids[0] = cls;
    for (let i = 0; i < keepFirst; i++) ids[i + 1] = first[i] as number;
    ids[keepFirst + 1] = sep;
    if (second) {
      for (let i = 0; i < keepSecond; i++) ids[keepFirst + 2 + i] = second[i] as number;
      ids[ids.length - 1] = sep;
      typeIds.fill(1, keepFirst + 2);
    }
    const truncated = first.length - keepFirst + (second ? second.length - keepSecond : 0);
    return { ids, typeIds, truncated, keepFirst, keepSecond };
  };

  return {
    settings,
    padId,
    encode(text, pair, maxLength) {
      const { ids, typeIds, truncated } = assemble(textIds(text), pair ? textIds(pair) : null, maxLength);
      return { ids, typeIds, truncated };
    },
    encodeWithOffsets(text, pair, maxLength) {
      const first = textPieces(text);
      const second = pair ? textPieces(pair) : null;
      const { keepFirst, keepSecond, ...encoding } = assemble(first.ids, second?.ids ?? null, maxLength);
      const spans = (pieces: Pieces, count: number, of: 0 | 1): Offset[] =>
        pieces.spans.slice(0, count).map(([start, end]) => ({ text: of, start, end }));
      const offsets = [
        null,
        ...spans(first, keepFirst, 0),
        null,
        ...(second ? [...spans(second, keepSecond, 1), null] : []),
      ];
      return { ...encoding, offsets };
    },
    tokenize: (text) => textIds(text).map((id) => tokens[id] as string),
  };
}

/** Tokens of each text that fit, as the Rust tokenizers library cuts: the longer text first, then both to halves. */
function longestFirst(first: number, second: number | null, maxLength: number): [number, number] {
  const room = Math.max(0, maxLength - (second === null ? 2 : 3));
  if (second === null) return [Math.min(first, room), 0];
  if (first + second <= room) return [first, second];
  const swapped = first > second;
  let shorter = swapped ? second : first;
  let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = Math.floor(room / 2);
    longer = shorter + (room % 2);
  }
  return swapped ? [longer, shorter] : [shorter, longer];
}
