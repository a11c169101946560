// One or two texts to ids and segment ids, equal to transformers' tokenizer of the model. WordPiece is flexbert's own (Devlin
// et al. 2019, section 3); byte-level BPE and Unigram come from a library, loaded where a model needs them. Offsets, what
// stands around texts and the cut to a length are the same for all. Padding is left to the batches.

import { modelError, usageError } from "../errors/errors";
import { asText } from "../errors/printable";
import type { AddedToken } from "./added-tokens";
import { bertFrame, type Frame, type FramePart, sizeOf, specialsOf } from "./frame";
import type { NormalizerSettings } from "./normalize";
import { createPieceReader, type PieceReader, type Range } from "./pieces";
import type { BertSettings, FileSettings, TokenizerSettings } from "./settings";
import { BYTE_SPACE } from "./splits";
import { frameOf, vocabularyOf } from "./tokenizer-json";
import { settingsFromTokenizerJson } from "./vocabulary";

export type { TokenizerSettings };

export interface Encoding {
  /** BERT's: [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]. */
  readonly ids: Int32Array;
  /** BERT's: 0 up to the first [SEP], 1 after it. Others' may be all 0. */
  readonly typeIds: Int32Array;
  /** Tokens cut away. */
  readonly truncated: number;
}

/** Where a token came from: UTF-16 units [start, end) of text 0 or 1. */
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
   * @param maxLength tokens, special ones included; longer input loses tokens at the end of the longer text first
   * Throws usageError (2) where maxLength has no room for the special tokens: 2 for a text, 3 or 4 for a pair.
   */
  encode(text: string, pair: string | null, maxLength: number): Encoding;
  /** As `encode`; `offsets` has one entry an id, null for special tokens that no text holds. */
  encodeWithOffsets(
    text: string,
    pair: string | null,
    maxLength: number,
  ): Encoding & { readonly offsets: readonly (Offset | null)[] };
  /** The pieces of a text, without special tokens around them. */
  tokenize(text: string): string[];
  /** The token of an id that `encode` gives. */
  token(id: number): string;
}

/** A tokenizer before lengths: pieces of texts, and what stands around them. */
interface Parts {
  readonly reader: PieceReader;
  readonly frame: Frame;
  readonly tokens: readonly string[];
  readonly added: readonly AddedToken[];
  readonly padId: number;
}

/**
 * Throws modelError (4) where the vocabulary lacks a token that it must have ([PAD], [UNK], [CLS] or [SEP] of BERT's), or
 * its file asks for what flexbert does not do.
 * @param rows of the embedding that the ids are for: `encode` then throws modelError (4) naming a token beyond them
 */
export function createTokenizer(settings: TokenizerSettings, rows = Number.POSITIVE_INFINITY): Tokenizer {
  const { reader, frame, tokens, added, padId } = "file" in settings ? fileParts(settings) : bertParts(settings);
  const contents = new Map(added.map(({ content, id }) => [id, content]));
  const token = (id: number) => contents.get(id) ?? (tokens[id] as string);
  const beyond = added.some(({ id }) => id >= rows);
  const checked = (encoding: Encoding): Encoding => {
    const id = beyond ? encoding.ids.find((one) => one >= rows) : undefined;
    if (id === undefined) return encoding;
    throw modelError(
      `the text holds "${contents.get(id)}", which was added to the vocabulary with the id ${id}; the model's embedding has ${rows} rows. Leave it out of the text, or give the model rows for it (resize_token_embeddings of transformers)`,
    );
  };
  const ranges = (text: string) => {
    const read = reader.ranges(text);
    if (!frame.trim) return read;
    const { prefixed } = frame.trim;
    const trimmed = read.ranges.map((range, i) => {
      const written = read.whole.has(i) ? text.slice(...range) : token(read.ids[i] as number);
      return trimRange(range, written, i === 0, prefixed);
    });
    return { ...read, ranges: trimmed };
  };
  const [ofSingle, ofPair] = [sizeOf(frame.single), sizeOf(frame.pair)];
  const cut = (first: number, second: number | null, maxLength: number) => {
    const room = maxLength - (second === null ? ofSingle : ofPair);
    if (room >= 0) return longestFirst(first, second, room);
    throw usageError(
      `a length of ${maxLength} has no room for ${specialsOf(frame).join(" and ")}. Give at least ${maxLength - room}`,
    );
  };

  return {
    settings,
    padId,
    encode(text, pair, maxLength) {
      const first = reader.ids(text);
      const second = pair ? reader.ids(pair) : null;
      return checked(assemble([first, second], cut(first.length, second?.length ?? null, maxLength), frame));
    },
    encodeWithOffsets(text, pair, maxLength) {
      const texts = [ranges(text), pair ? ranges(pair) : null] as const;
      const kept = cut(texts[0].ids.length, texts[1]?.ids.length ?? null, maxLength);
      const offsets = (texts[1] ? frame.pair : frame.single).flatMap((part): (Offset | null)[] => {
        if ("token" in part) return [null];
        const found = texts[part.text]?.ranges.slice(0, kept[part.text]) ?? [];
        return found.map(([start, end]) => ({ text: part.text, start, end }));
      });
      return { ...checked(assemble([texts[0].ids, texts[1]?.ids ?? null], kept, frame)), offsets };
    },
    tokenize: (text) => reader.ids(text).map(token),
    token,
  };
}

/** BERT's defaults in the place of what is left out. */
const normalizerOf = ({ lowerCase, stripAccents, tokenizeChineseChars }: BertSettings): NormalizerSettings => ({
  lowerCase,
  stripAccents: stripAccents ?? lowerCase,
  tokenizeChineseChars: tokenizeChineseChars ?? true,
});

function bertParts(settings: BertSettings): Parts {
  const { tokens, added = [] } = settings;
  const vocabulary = new Map(tokens.map((token, id) => [token, id]));
  const idOf = (token: string) => {
    const id = vocabulary.get(token);
    if (id !== undefined) return id;
    throw modelError(`the vocabulary of ${tokens.length} words has no ${token}. Take the vocabulary of a BERT model`);
  };
  const part = (token: string): FramePart => ({ token, id: idOf(token), type: 0 });
  const [padId, unknown] = [idOf("[PAD]"), idOf("[UNK]")];
  const reader = createPieceReader(vocabulary, unknown, normalizerOf(settings), added);
  return { reader, frame: bertFrame(part("[CLS]"), part("[SEP]")), tokens, added, padId };
}

function fileParts({ file, tokens, pad }: FileSettings): Parts {
  const { added } = vocabularyOf(file);
  const frame = frameOf(file, tokens, added);
  const padId = added.find(({ content }) => content === pad)?.id ?? tokens.indexOf(pad);
  if (padId < 0) throw modelError(`the vocabulary of ${tokens.length} words has no ${pad}, which is to fill rows`);
  const model = Object(file["model"]) as Readonly<Record<string, unknown>>;
  if ((model["type"] ?? "WordPiece") !== "WordPiece") {
    const { createPipeline } = require("./pipeline.js") as typeof import("./pipeline.js");
    return { reader: createPipeline(file, tokens, added), frame, tokens, added, padId };
  }
  const unknown = asText(model["unk_token"] ?? "[UNK]");
  const normalizer = normalizerOf(settingsFromTokenizerJson(file, unknown, []));
  const vocabulary = new Map(tokens.map((token, id) => [token, id]));
  const unknownId = vocabulary.get(unknown);
  if (unknownId === undefined) throw modelError(`the vocabulary of ${tokens.length} words has no ${unknown}`);
  return { reader: createPieceReader(vocabulary, unknownId, normalizer, added, []), frame, tokens, added, padId };
}

const spaceAtStart = new RegExp(`^[${BYTE_SPACE}\\p{White_Space}]+`, "u");
const spaceAtEnd = new RegExp(`[${BYTE_SPACE}\\p{White_Space}]+$`, "u");

/** A range without the spaces at both ends of its token; one space that was put before a text is none of it. */
function trimRange([start, end]: Range, token: string, isFirst: boolean, prefixed: boolean): Range {
  let leading = spaceAtStart.exec(token)?.[0].length ?? 0;
  const trailing = spaceAtEnd.exec(token)?.[0].length ?? 0;
  if ((isFirst || start === 0) && prefixed && leading === 1) leading = 0;
  const from = Math.min(start + leading, end);
  return [from, trailing > 0 && end >= trailing ? Math.max(end - trailing, from) : end];
}

function assemble(
  texts: readonly [readonly number[], readonly number[] | null],
  kept: readonly [number, number],
  frame: Frame,
): Encoding {
  const [first, second] = texts;
  const parts = second ? frame.pair : frame.single;
  const texted = second ? 2 : 1; // the parts that are texts
  const ids = new Int32Array(kept[0] + kept[1] + parts.length - texted);
  const typeIds = new Int32Array(ids.length);
  let at = 0;
  for (const part of parts) {
    const start = at;
    if ("token" in part) ids[at++] = part.id;
    else {
      const given = texts[part.text] as readonly number[];
      for (let i = 0; i < kept[part.text]; i++) ids[at++] = given[i] as number;
    }
    if (part.type !== 0) typeIds.fill(part.type, start, at);
  }
  return { ids, typeIds, truncated: first.length - kept[0] + (second?.length ?? 0) - kept[1] };
}

/**
 * Tokens of each text that fit, as transformers cuts: the longer text first, then both to halves, of which the first
 * text gets the smaller unless it is the longer one.
 * @param room for both, special tokens left out
 */
function longestFirst(first: number, second: number | null, room: number): [number, number] {
  if (second === null) return [Math.min(first, room), 0];
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  const longer = room - shorter;
  return first > second ? [longer, shorter] : [shorter, longer];
}
