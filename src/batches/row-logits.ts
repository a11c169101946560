// Logits of rows: one list a row, or one for each of its words where words have labels. Who takes those of a row need not know
// which.

export interface RowLogits {
  /** Outputs. */
  readonly width: number;
  readonly rows: number;
  /** [rows, outputs], or [words of all rows, outputs]. */
  readonly data: Float32Array;
  /** [outputs] of a row, or [words, outputs]. */
  of(row: number): Float32Array;
}

/** @param words of each row; absent: a row has one list */
export function rowLogits(data: Float32Array, width: number, words?: ArrayLike<number>): RowLogits {
  const rows = words ? words.length : data.length / width;
  const starts = words && startsOf(words);
  const start = (row: number) => (starts ? (starts[row] as number) : row) * width;
  return { width, rows, data, of: (row) => data.subarray(start(row), start(row + 1)) };
}

/** Before each row, and behind the last. */
export function startsOf(words: ArrayLike<number>): Int32Array {
  const starts = new Int32Array(words.length + 1);
  for (let row = 0; row < words.length; row++) starts[row + 1] = (starts[row] as number) + (words[row] as number);
  return starts;
}

/** One after another. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const data = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

/** Those of some rows, in their order. */
export function someLogits(logits: RowLogits, rows: readonly number[], perWord: boolean): RowLogits {
  const parts = rows.map((row) => logits.of(row));
  return rowLogits(joined(parts), logits.width, perWord ? parts.map(({ length }) => length / logits.width) : undefined);
}

/**
 * The rows of one run of a head with their logits: [outputs], or of a head that reads tokens alone [tokens of the row, outputs],
 * one row after another. Which of the two it is the size tells, because a row has two tokens at least.
 */
export function* eachRowLogits(
  rows: readonly number[],
  data: Float32Array,
  width: number,
  tokensOf: (row: number) => number,
): Generator<{ readonly row: number; readonly logits: Float32Array }> {
  const perToken = data.length !== rows.length * width;
  let at = 0;
  for (const row of rows) {
    const past = at + width * (perToken ? tokensOf(row) : 1);
    yield { row, logits: data.subarray(at, past) };
    at = past;
  }
}
