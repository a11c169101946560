// Batches of a train split's rows with rows beside them that have no labels: which of those an epoch takes, and how they come
// together. Pure functions of lengths, options and seed, as all batches.

import { permutation } from "../random/draws";
import { Purpose, streamKey } from "../random/threefry";
import type { Batch } from "./batches";

/** Rows to draw from. Several groups are drawn from in turn, so that each has the same share of every batch. */
export type Pool = readonly Int32Array[];

export interface MixedBatch extends Batch {
  /** Further rows, of other data than `rows`. As many in every batch. */
  readonly extra: readonly number[];
}

/** Of the split and beside it. */
export const rowCount = (batch: Batch | MixedBatch): number =>
  batch.rows.length + ("extra" in batch ? batch.extra.length : 0);

/** The batches of an epoch. */
export interface Mixing {
  /** The train split's, as they would be without further rows; each is joined by the same number of those. */
  readonly own: readonly Batch[];
  readonly pool: Pool;
  /** Tokens of the pool's rows, and the bounds that pad both. */
  readonly lengths: ArrayLike<number>;
  readonly buckets: readonly number[];
  readonly perBatch: number;
  readonly seed: number;
  readonly epoch: number;
}

/**
 * The rows of a pool go by in an order of their own, pass by pass, from where the epoch before stopped. Rows of about one
 * length stand together, and with batches of such rows.
 */
export function mixedBatches({ own, pool, lengths, buckets, perBatch, seed, epoch }: Mixing): MixedBatch[] {
  const count = own.length * perBatch;
  const start = epoch * count;
  const bucketOf = (row: number) => buckets.findIndex((bound) => (lengths[row] as number) <= bound);
  const groups = pool.map((_, group) => {
    const drawn = drawFrom(pool, group, seed, start, count);
    const sorted = Array.from(drawn, (row) => ({ row, bucket: bucketOf(row) })).sort((a, b) => a.bucket - b.bucket);
    return sorted.map(({ row }) => row);
  });
  const next = pool.map(() => 0);
  const byLength = [...own].sort((a, b) => a.length - b.length);
  const mixed = byLength.map((batch, i): MixedBatch => {
    const extra = Array.from({ length: perBatch }, (_, slot) => {
      const group = (start + i * perBatch + slot) % pool.length;
      return (groups[group] as number[])[(next[group] as number)++] as number;
    });
    const longest = extra.reduce((most, row) => Math.max(most, buckets[bucketOf(row)] as number), 0);
    return { rows: batch.rows, extra, length: Math.max(batch.length, longest) };
  });
  const shuffled = permutation(streamKey(seed, Purpose.transfer, epoch, 0), mixed.length);
  return Array.from(shuffled, (index) => mixed[index] as MixedBatch);
}

/** Those of `count` draws from a position on that fall to a group, which has every pool.length-th. */
function drawFrom(pool: Pool, group: number, seed: number, start: number, count: number): Int32Array {
  const rows = pool[group] as Int32Array;
  const before = Math.ceil((start - group) / pool.length);
  const after = Math.ceil((start + count - group) / pool.length);
  const drawn = new Int32Array(after - before);
  let [pass, order]: [number, Int32Array] = [-1, rows];
  for (let i = before; i < after; i++) {
    const current = Math.floor(i / rows.length);
    if (current !== pass) order = permutation(streamKey(seed, Purpose.transfer, current, group + 1), rows.length);
    pass = current;
    drawn[i - before] = rows[order[i % rows.length] as number] as number;
  }
  return drawn;
}

/** As many of `total` rows as are wanted, the same for every trial: whether each is among them. */
export function sampleOf(total: number, wanted: number): Uint8Array {
  const among = new Uint8Array(total);
  if (wanted >= total) return among.fill(1);
  const order = permutation(streamKey(0, Purpose.transfer, 0, 0), total);
  for (const row of order.subarray(0, wanted)) among[row] = 1;
  return among;
}

/** Batches without rows of the split, to be filled with others alone. */
export const emptyBatches = (count: number, length: number): Batch[] =>
  Array.from({ length: count }, () => ({ rows: [], length }));
