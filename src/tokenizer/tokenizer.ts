// BERT's tokenizer: one or two texts to ids and segment ids (Devlin et al. 2019, section 3), equal to transformers'
// BertTokenizer. Padding is left to the batches.

import { modelError, usageError } from "../errors/errors";
import type { AddedToken } from "./added-tokens";
import { createPieceReader } from "./pieces";

export interface TokenizerSettings {
  /** The id of a token is its index. */
  readonly tokens: readonly string[];
  readonly lowerCase: boolean;
  /** null: as lowerCase says. */
  readonly stripAccents?: boolean | null;
  /** Each Chinese character is a word; true by default. */
  readonly tokenizeChineseChars?: boolean;
  /** Read whole, with ids behind those of `tokens` or among them. */
  readonly added?: readonly AddedToken[];
}

export interface Encoding {
  /** [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]. */
  readonly ids: Int32Array;
  /** 0 up to the first [SEP], 1 after it. */
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
   * Throws usageError (2) where maxLength has no room for the special tokens: 2 for a text, 3 for a pair.
   */
  encode(text: string, pair: string | null, maxLength: number): Encoding;
  /** As `encode`; `offsets` has one entry an id, null for the [CLS] and [SEP] that no text holds. */
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

interface SpecialIds {
  readonly cls: number;
  readonly sep: number;
}

/**
 * Throws modelError (4) where the vocabulary lacks [PAD], [UNK], [CLS] or [SEP].
 * @param rows of the embedding that the ids are for: `encode` then throws modelError (4) naming a token beyond them
 */
export function createTokenizer(settings: TokenizerSettings, rows = Number.POSITIVE_INFINITY): Tokenizer {
  const { tokens, lowerCase, added = [] } = settings;
  const vocabulary = new Map(tokens.map((token, id) => [token, id]));
  const idOf = (token: string) => {
    const id = vocabulary.get(token);
    if (id !== undefined) return id;
    throw modelError(`the vocabulary of ${tokens.length} words has no ${token}. Take the vocabulary of a BERT model`);
  };
  const [padId, unknown, special] = [idOf("[PAD]"), idOf("[UNK]"), { cls: idOf("[CLS]"), sep: idOf("[SEP]") }];
  const reader = createPieceReader(
    vocabulary,
    unknown,
    {
      lowerCase,
      stripAccents: settings.stripAccents ?? lowerCase,
      tokenizeChineseChars: settings.tokenizeChineseChars ?? true,
    },
    added,
  );
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

  return {
    settings,
    padId,
    encode(text, pair, maxLength) {
      const first = reader.ids(text);
      const second = pair ? reader.ids(pair) : null;
      return checked(assemble(first, second, longestFirst(first.length, second?.length ?? null, maxLength), special));
    },
    encodeWithOffsets(text, pair, maxLength) {
      const first = reader.ranges(text);
      const second = pair ? reader.ranges(pair) : null;
      const kept = longestFirst(first.ids.length, second?.ids.length ?? null, maxLength);
      const offsets: (Offset | null)[] = [null];
      for (const [start, end] of first.ranges.slice(0, kept[0])) offsets.push({ text: 0, start, end });
      offsets.push(null);
      if (second) {
        for (const [start, end] of second.ranges.slice(0, kept[1])) offsets.push({ text: 1, start, end });
        offsets.push(null);
      }
      return { ...checked(assemble(first.ids, second?.ids ?? null, kept, special)), offsets };
    },
    tokenize: (text) => reader.ids(text).map(token),
    token,
  };
}

function assemble(
  first: readonly number[],
  second: readonly number[] | null,
  [keptFirst, keptSecond]: readonly [number, number],
  { cls, sep }: SpecialIds,
): Encoding {
  const ids = new Int32Array(keptFirst + 2 + (second ? keptSecond + 1 : 0));
  const typeIds = new Int32Array(ids.length);
  ids[0] = cls;
  for (let i = 0; i < keptFirst; i++) ids[i + 1] = first[i] as number;
  ids[keptFirst + 1] = sep;
  if (second) {
    for (let i = 0; i < keptSecond; i++) ids[keptFirst + 2 + i] = second[i] as number;
    ids[ids.length - 1] = sep;
    typeIds.fill(1, keptFirst + 2);
  }
  return { ids, typeIds, truncated: first.length - keptFirst + (second?.length ?? 0) - keptSecond };
}

/**
 * Tokens of each text that fit, as transformers cuts: the longer text first, then both to halves, of which the first
 * text gets the smaller unless it is the longer one. Counts are before the special tokens.
 */
function longestFirst(first: number, second: number | null, maxLength: number): [number, number] {
  const room = maxLength - (second === null ? 2 : 3);
  if (room < 0) {
    throw usageError(`a length of ${maxLength} has no room for [CLS] and [SEP]. Give at least ${maxLength - room}`);
  }
  if (second === null) return [Math.min(first, room), 0];
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  const longer = room - shorter;
  return first > second ? [longer, shorter] : [shorter, longer];
}
