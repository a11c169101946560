// Which rows go together: shuffled batches of an epoch, and the fixed batches in which a data set is evaluated or
// its trunk activations are computed. Both are pure functions of lengths, options and seed.

import { permutation } from "../random/draws";
import { Purpose, streamKey } from "../random/threefry";

/** Rows that run together, padded to `length` tokens. At most the batch size; engines see missing rows as weight 0. */
export interface Batch {
  readonly rows: readonly number[];
  readonly length: number;
}

/**
 * The batches of one epoch: rows in the order of (seed, epoch) fill their length buckets, a bucket's last rows move
 * up to the next longer bucket, so that at most one batch is short, and the batches are shuffled.
 * @returns ceil(rows / batchSize) batches
 */
export function epochBatches(
  lengths: ArrayLike<number>,
  buckets: readonly number[],
  batchSize: number,
  seed: number,
  epoch: number,
): Batch[] {
  const order = permutation(streamKey(seed, Purpose.shuffle, epoch, 0), lengths.length);
  const waiting: number[][] = buckets.map(() => []);
  for (const row of order) {
    const bucket = buckets.findIndex((bound) => (lengths[row] as number) <= bound);
    if (bucket < 0)
      throw new Error(`row ${row} has ${lengths[row]} tokens; the longest bucket holds ${buckets.at(-1)}`);
    (waiting[bucket] as number[]).push(row);
  }
  const batches: Batch[] = [];
  for (const [bucket, length] of buckets.entries()) {
    const rows = waiting[bucket] as number[];
    const last = bucket === buckets.length - 1;
    const whole = last ? rows.length : rows.length - (rows.length % batchSize);
    for (let at = 0; at < whole; at += batchSize) batches.push({ rows: rows.slice(at, at + batchSize), length });
    if (!last) waiting[bucket + 1] = [...rows.slice(whole), ...(waiting[bucket + 1] as number[])];
  }
  const shuffled = permutation(streamKey(seed, Purpose.shuffle, epoch, 1), batches.length);
  return Array.from(shuffled, (index) => batches[index] as Batch);
}

/** Steps of one epoch: known before the run, whatever the order. */
export const stepsPerEpoch = (rows: number, batchSize: number): number => Math.ceil(rows / batchSize);

/** Batches of similar length in a fixed order, each padded to its longest row: for evaluation and the trunk. */
export function sortedBatches(lengths: ArrayLike<number>, batchSize: number): Batch[] {
  const order = byLength(lengths);
  const batches: Batch[] = [];
  for (let at = 0; at < order.length; at += batchSize) {
    const rows = order.slice(at, at + batchSize);
    batches.push({ rows, length: lengths[rows[rows.length - 1] as number] as number });
  }
  return batches;
}

/**
 * The same by tokens: a batch has at most so many of them, and rows, but one row at least. Where padding is not computed the
 * number of rows says little of a batch's work.
 */
export function sortedTokenBatches(
  lengths: ArrayLike<number>,
  most: { readonly rows: number; readonly tokens: number },
): Batch[] {
  const batches: Batch[] = [];
  let rows: number[] = [];
  let [tokens, length] = [0, 0];
  for (const row of byLength(lengths)) {
    const own = lengths[row] as number;
    if (rows.length > 0 && (rows.length === most.rows || tokens + own > most.tokens)) {
      batches.push({ rows, length });
      [rows, tokens] = [[], 0];
    }
    rows.push(row);
    tokens += own;
    length = own;
  }
  if (rows.length > 0) batches.push({ rows, length });
  return batches;
}

function byLength(lengths: ArrayLike<number>): number[] {
  const order = Array.from({ length: lengths.length }, (_, row) => row);
  return order.sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
}

/** Share of padding among the tokens that batches compute, 0 to 1. */
export function paddingShare(lengths: ArrayLike<number>, batches: readonly Batch[]): number {
  let real = 0;
  let padded = 0;
  for (const { rows, length } of batches) {
    padded += rows.length * length;
    for (const row of rows) real += lengths[row] as number;
  }
  return padded === 0 ? 0 : 1 - real / padded;
}
