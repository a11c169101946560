// Words of a text as tokens: which token is a word's first piece, by the offsets of the tokenizer, and windows over a text with
// more tokens than a model reads. Each word is decided in one window, that in which most of the text stands around it.

import { usageError } from "../errors/errors";
import type { TextRange, WordedText } from "../tasks/words";
import type { Encoding, Offset, Tokenizer } from "../tokenizer/tokenizer";

/** Some tokens of a text as a model reads them, and the words that are decided there. */
export interface WordWindow extends Encoding {
  /** Of the first piece of each word, ascending. */
  readonly positions: Int32Array;
  /** The places of those words among the text's. */
  readonly words: Int32Array;
  /** For each token the place of the word that it is a piece of; -1 for special tokens, and for words of other windows. */
  readonly wordOf: Int32Array;
}

/** Of a window's tokens, those that the next one has too. */
const OVERLAP = 1 / 4;

/**
 * One window where the text is short enough. A word without any token (control characters alone, say) is in none.
 * @param maxLength tokens of a window, special ones included. Throws usageError (2) where it has no room for any other
 */
export function encodeWords(tokenizer: Tokenizer, { text, words }: WordedText, maxLength: number): WordWindow[] {
  const whole = tokenizer.encodeWithOffsets(text, null, Number.MAX_SAFE_INTEGER);
  const inner = innerTokens(whole.offsets);
  const count = inner.past - inner.first;
  const special = whole.ids.length - count;
  const room = maxLength - special;
  if (room < 1) throw usageError(`a length of ${maxLength} has no room for a word. Give at least ${special + 1}`);
  const pieces = piecesOf(whole.offsets.slice(inner.first, inner.past), words);
  const starts = windowStarts(count, room);
  const size = Math.min(room, count);
  const windowOf = windowsOf(pieces.firstOf, starts, size, count);
  return starts.map((start, i) => {
    const cut = (values: Int32Array) =>
      Int32Array.from([
        ...values.subarray(0, inner.first),
        ...values.subarray(inner.first + start, inner.first + start + size),
        ...values.subarray(inner.past),
      ]);
    const wordOf = new Int32Array(special + size).fill(-1);
    const own: [position: number, word: number][] = [];
    for (let at = 0; at < size; at++) {
      const word = pieces.wordOf[start + at] as number;
      if (word < 0 || windowOf[word] !== i) continue;
      wordOf[inner.first + at] = word;
      if (pieces.firstOf[word] === start + at) own.push([inner.first + at, word]);
    }
    return {
      ids: starts.length > 1 ? cut(whole.ids) : whole.ids,
      typeIds: starts.length > 1 ? cut(whole.typeIds) : whole.typeIds,
      truncated: count - size,
      positions: Int32Array.from(own, ([position]) => position),
      words: Int32Array.from(own, ([, word]) => word),
      wordOf,
    };
  });
}

/** Where the text's own tokens stand between special ones. */
function innerTokens(offsets: readonly (Offset | null)[]): { readonly first: number; readonly past: number } {
  const first = offsets.findIndex((offset) => offset !== null);
  if (first >= 0) return { first, past: offsets.findLastIndex((offset) => offset !== null) + 1 };
  return { first: 1, past: 1 }; // behind [CLS]
}

interface WordPieces {
  /** The word of each token, -1 without one. */
  readonly wordOf: Int32Array;
  /** The first token of each word, -1 without one. */
  readonly firstOf: Int32Array;
}

/** A token is a piece of the first word that it has a character of. */
function piecesOf(offsets: readonly (Offset | null)[], words: readonly TextRange[]): WordPieces {
  const wordOf = new Int32Array(offsets.length).fill(-1);
  const firstOf = new Int32Array(words.length).fill(-1);
  let word = 0;
  for (const [token, offset] of offsets.entries()) {
    if (!offset) continue;
    while (word < words.length && (words[word] as TextRange)[1] <= offset.start) word++;
    const range = words[word];
    if (!range || range[0] >= offset.end) continue;
    wordOf[token] = word;
    if (firstOf[word] === -1) firstOf[word] = token;
  }
  return { wordOf, firstOf };
}

/** The last one ends with the text. */
function windowStarts(count: number, room: number): number[] {
  if (count <= room) return [0];
  const step = Math.max(1, room - Math.floor(room * OVERLAP));
  const starts: number[] = [];
  for (let start = 0; start + room < count; start += step) starts.push(start);
  return [...starts, count - room];
}

/**
 * The window of each word, -1 without a token: that in which its first token has most of the text on its shorter side; the
 * text's own ends are no window's.
 * @param firstOf ascending, -1 left out
 */
function windowsOf(firstOf: Int32Array, starts: readonly number[], size: number, count: number): Int32Array {
  let lowest = 0; // windows before it end before the words that come
  return firstOf.map((token) => {
    if (token < 0) return -1;
    while ((starts[lowest] as number) + size <= token) lowest++;
    let [best, most] = [lowest, -1];
    for (let i = lowest; i < starts.length && (starts[i] as number) <= token; i++) {
      const start = starts[i] as number;
      const before = start === 0 ? count : token - start;
      const behind = start + size === count ? count : start + size - 1 - token;
      const around = Math.min(before, behind);
      if (around > most) [best, most] = [i, around];
    }
    return best;
  });
}
