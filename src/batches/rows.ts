// A split's rows as ids, and their padding to a batch. Padding exists only here and inside engines. Where words have labels a
// long text is several rows, its windows.

import type { Example } from "../data/read-split";
import { sizeOf } from "../model/tensors";
import type { Task } from "../tasks/task";
import type { Encoding, Tokenizer } from "../tokenizer/tokenizer";
import type { Batch } from "./batches";
import { startsOf } from "./row-logits";
import { encodeWords } from "./windows";
import { pieceLabels, type WordPlaces } from "./word-labels";

/** The values of each row: an array of arrays, or what finds them elsewhere. */
export interface RowValues {
  readonly length: number;
  at(row: number): Int32Array | undefined;
}

/** Rows as a model reads them. */
export interface TokenRows {
  readonly ids: RowValues;
  readonly typeIds: RowValues;
  /** Tokens of each row, special ones included. */
  readonly lengths: Int32Array;
  readonly padId: number;
}

export interface EncodedRows extends TokenRows {
  /** The rows' labels as their task's kind makes numbers of them: as many a row for all; NaN where a row has no label. */
  readonly labels: Float32Array;
  readonly tokens: number;
  /** Rows that lost tokens to the maximum length. */
  readonly truncatedRows: number;
  /** Where words have labels. */
  readonly worded?: WordedRows;
  /** Of rows without labels of a task whose words have some: 0 for the tokens that the loss reads, -1 for the others. */
  readonly readTokens?: RowValues;
}

/** What rows are to a task whose words have labels. The labels of {@link EncodedRows} are then the words', row by row. */
export interface WordedRows {
  /** Words of each text. */
  readonly words: readonly number[];
  /** Of each row: the tokens that decide words, and which of all texts' words those are. */
  readonly places: readonly WordPlaces[];
  /** Of each row: tag ids for its tokens, -1 where the loss reads none. */
  readonly tokenLabels: readonly Int32Array[];
}

export const tokenRows = (encodings: readonly Encoding[], padId: number): TokenRows => ({
  ids: encodings.map(({ ids }) => ids),
  typeIds: encodings.map(({ typeIds }) => typeIds),
  lengths: Int32Array.from(encodings, ({ ids }) => ids.length),
  padId,
});

export function encodeExamples(
  task: Task,
  examples: readonly Example[],
  tokenizer: Tokenizer,
  maxLength: number,
): EncodedRows {
  if (task.kind.perWord) return encodeTagged(task, examples, tokenizer, maxLength);
  const encodings = examples.map(({ text, pair }) => tokenizer.encode(text, pair, maxLength));
  const rows = tokenRows(encodings, tokenizer.padId);
  return {
    ...rows,
    labels: targetsOf(task, examples),
    tokens: rows.lengths.reduce((sum, length) => sum + length, 0),
    truncatedRows: encodings.filter(({ truncated }) => truncated > 0).length,
  };
}

function encodeTagged(task: Task, examples: readonly Example[], tokenizer: Tokenizer, maxLength: number): EncodedRows {
  const words = examples.map((example) => (example.words ?? []).length);
  const starts = startsOf(words);
  const windows = examples.flatMap((example, i) =>
    encodeWords(tokenizer, { text: example.text, words: example.words ?? [] }, maxLength).map((window) => ({
      window,
      label: example.label as readonly number[] | null,
      start: starts[i] as number,
    })),
  );
  const rows = tokenRows(
    windows.map(({ window }) => window),
    tokenizer.padId,
  );
  return {
    ...rows,
    labels: targetsOf(task, examples),
    tokens: rows.lengths.reduce((sum, length) => sum + length, 0),
    truncatedRows: 0,
    worded: {
      words,
      places: windows.map(({ window: { positions, words: own }, start }) => ({
        positions,
        places: own.map((word) => start + word),
      })),
      tokenLabels: windows.map(({ window, label }) => pieceLabels(window, label, task)),
    },
  };
}

/** [rows, ...target shape], flat; of words those of each row one after another, with what the kind puts between rows. */
export function targetsOf(task: Task, examples: readonly Pick<Example, "label">[]): Float32Array {
  if (task.kind.perWord)
    return Float32Array.from(examples.flatMap(({ label }) => task.kind.targets(label ?? [], task)));
  const width = sizeOf(task.kind.target.shape(task));
  const targets = new Float32Array(examples.length * width).fill(Number.NaN);
  for (const [row, { label }] of examples.entries()) {
    if (label !== null) targets.set(task.kind.targets(label, task), row * width);
  }
  return targets;
}

/** A batch as three arrays of [size, batch.length]; rows beyond the batch's own are one [PAD] token with mask 1. */
export function padBatch(rows: TokenRows, batch: Batch, size: number) {
  const { length } = batch;
  const ids = new Int32Array(size * length).fill(rows.padId);
  const typeIds = new Int32Array(size * length);
  for (const [i, row] of batch.rows.entries()) {
    ids.set(rows.ids.at(row) as Int32Array, i * length);
    typeIds.set(rows.typeIds.at(row) as Int32Array, i * length);
  }
  return { ids, typeIds, mask: attentionMask(rows.lengths, batch, size) };
}

/** [size, batch.length]: 1 for tokens. A filler row keeps one token, so that its attention is defined. */
export function attentionMask(lengths: ArrayLike<number>, batch: Batch, size: number): Int32Array {
  const mask = new Int32Array(size * batch.length);
  for (let i = 0; i < size; i++) {
    const row = batch.rows[i];
    const tokens = row === undefined ? 1 : (lengths[row] as number);
    mask.fill(1, i * batch.length, i * batch.length + tokens);
  }
  return mask;
}
