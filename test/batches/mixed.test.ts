// Rows beside a split's in every batch: each is taken once before any comes again, groups come in turn, and an epoch goes on
// where the one before stopped.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { epochBatches } from "../../src/batches/batches";
import { emptyBatches, mixedBatches, sampleOf } from "../../src/batches/mixed";

const lengthsOf = (count: number, seed: number) =>
  Int32Array.from({ length: count }, (_, i) => 3 + ((i * 7 + seed) % 20));
const buckets = [8, 16, 23];

const setting = fc.record({
  own: fc.integer({ min: 1, max: 60 }),
  sizes: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
  ownPerBatch: fc.integer({ min: 1, max: 8 }),
  perBatch: fc.integer({ min: 1, max: 8 }),
  seed: fc.integer({ min: 0, max: 5 }),
});

function openPool(sizes: readonly number[]) {
  let next = 0;
  const pool = sizes.map((size) => Int32Array.from({ length: size }, () => next++));
  const groupOf = (row: number) => pool.findIndex((rows) => rows.includes(row));
  return { pool, groupOf, lengths: lengthsOf(next, 5) };
}

test("every batch has as many, padded to the longest of both; no split row is lost", () => {
  fc.assert(
    fc.property(setting, ({ own, sizes, ownPerBatch, perBatch, seed }) => {
      const ownLengths = lengthsOf(own, 2);
      const { pool, lengths } = openPool(sizes);
      for (const epoch of [0, 1]) {
        const batches = epochBatches(ownLengths, buckets, ownPerBatch, seed, epoch);
        const mixed = mixedBatches({ own: batches, pool, lengths, buckets, perBatch, seed, epoch });
        expect(mixed).toHaveLength(batches.length);
        expect(mixed.flatMap(({ rows }) => rows).sort((a, b) => a - b)).toEqual(
          Array.from({ length: own }, (_, i) => i),
        );
        for (const { rows, extra, length } of mixed) {
          expect(extra).toHaveLength(perBatch);
          const longest = Math.max(
            ...rows.map((row) => ownLengths[row] as number),
            ...extra.map((row) => lengths[row] as number),
          );
          expect(buckets).toContain(length);
          expect(length).toBeGreaterThanOrEqual(longest);
        }
        expect(mixedBatches({ own: batches, pool, lengths, buckets, perBatch, seed, epoch })).toEqual(mixed);
      }
    }),
    { numRuns: 40 },
  );
});

test("draws go through each group before they begin again, epoch after epoch; groups differ by one row of a batch at most", () => {
  fc.assert(
    fc.property(setting, ({ own, sizes, perBatch, seed }) => {
      const { pool, groupOf, lengths } = openPool(sizes);
      const drawn = new Map<number, number>();
      const epochs = 4;
      for (let epoch = 0; epoch < epochs; epoch++) {
        const mixed = mixedBatches({ own: emptyBatches(own, 8), pool, lengths, buckets, perBatch, seed, epoch });
        for (const { extra } of mixed) {
          for (const row of extra) drawn.set(row, (drawn.get(row) ?? 0) + 1);
          const perGroup = pool.map((_, group) => extra.filter((row) => groupOf(row) === group).length);
          expect(Math.max(...perGroup) - Math.min(...perGroup)).toBeLessThanOrEqual(1);
        }
      }
      for (const rows of pool) {
        const times = Array.from(rows, (row) => drawn.get(row) ?? 0);
        expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
      }
      const total = [...drawn.values()].reduce((sum, count) => sum + count, 0);
      expect(total).toBe(epochs * own * perBatch);
    }),
    { numRuns: 40 },
  );
});

test("a sample is of the wanted size, and all where that is more", () => {
  const sum = (among: Uint8Array) => among.reduce((count, one) => count + one, 0);
  expect([sum(sampleOf(100, 30)), sum(sampleOf(100, 100)), sum(sampleOf(100, 900))]).toEqual([30, 100, 100]);
  expect(sampleOf(100, 30)).toEqual(sampleOf(100, 30));
  expect(sampleOf(100, 30).subarray(0, 30)).not.toEqual(new Uint8Array(30).fill(1));
});
