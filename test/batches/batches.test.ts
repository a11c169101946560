import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  epochBatches,
  paddingShare,
  sortedBatches,
  sortedTokenBatches,
  stepsPerEpoch,
} from "../../src/batches/batches";
import { chooseBuckets } from "../../src/batches/buckets";

const lengthsOf = fc.array(fc.integer({ min: 1, max: 128 }), { minLength: 1, maxLength: 300 });

function paddedTokens(lengths: readonly number[], bounds: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + (bounds.find((bound) => length <= bound) ?? Number.NaN), 0);
}

describe("chooseBuckets", () => {
  test("holds every row in at most eight ascending buckets that end at the longest", () => {
    fc.assert(
      fc.property(lengthsOf, (lengths) => {
        const bounds = chooseBuckets(lengths);
        expect(bounds.length).toBeLessThanOrEqual(8);
        expect([...bounds].sort((a, b) => a - b)).toEqual(bounds);
        expect(bounds.at(-1)).toBe(Math.max(...lengths));
        expect(new Set(bounds).size).toBe(bounds.length);
      }),
    );
  });

  test("finds the best two bounds where two groups of lengths are all there is", () => {
    const lengths = [...new Array(50).fill(8), ...new Array(50).fill(100)];
    expect(chooseBuckets(lengths)).toEqual([8, 100]);
  });

  test("pads no more than any one or two buckets would", () => {
    fc.assert(
      fc.property(lengthsOf, (lengths) => {
        const chosen = paddedTokens(lengths, chooseBuckets(lengths));
        const longest = Math.max(...lengths);
        // A bucket is only dropped when it saves less than half a percent of the tokens.
        const slack = 8 * 0.005 * lengths.reduce((sum, length) => sum + length, 0);
        for (let bound = 4; bound < longest; bound += 4) {
          expect(chosen).toBeLessThanOrEqual(paddedTokens(lengths, [bound, longest]) + slack);
        }
      }),
    );
  });

  test("one length needs one bucket", () => {
    expect(chooseBuckets([17, 17, 17])).toEqual([17]);
  });
});

describe("epochBatches", () => {
  test("uses every row once, in the number of steps that is known before, with one short batch at most", () => {
    fc.assert(
      fc.property(
        lengthsOf,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 5 }),
        (lengths, size, epoch) => {
          const batches = epochBatches(lengths, chooseBuckets(lengths), size, 1, epoch);
          const rows = batches.flatMap((batch) => batch.rows).sort((a, b) => a - b);
          expect(rows).toEqual(lengths.map((_, row) => row));
          expect(batches).toHaveLength(stepsPerEpoch(lengths.length, size));
          expect(batches.filter((batch) => batch.rows.length < size).length).toBeLessThanOrEqual(1);
          for (const batch of batches) {
            for (const row of batch.rows) expect(lengths[row]).toBeLessThanOrEqual(batch.length);
          }
        },
      ),
    );
  });

  test("is a function of seed and epoch", () => {
    const lengths = Array.from({ length: 200 }, (_, i) => 5 + (i % 40));
    const buckets = chooseBuckets(lengths);
    const batches = epochBatches(lengths, buckets, 16, 1, 0);
    expect(epochBatches(lengths, buckets, 16, 1, 0)).toEqual(batches);
    expect(epochBatches(lengths, buckets, 16, 1, 1)).not.toEqual(batches);
    expect(epochBatches(lengths, buckets, 16, 2, 0)).not.toEqual(batches);
  });
});

describe("sortedBatches", () => {
  test("pads each batch to its longest row", () => {
    const batches = sortedBatches([9, 3, 5, 4], 2);
    expect(batches).toEqual([
      { rows: [1, 3], length: 4 },
      { rows: [2, 0], length: 9 },
    ]);
    expect(paddingShare([9, 3, 5, 4], batches)).toBeCloseTo(5 / 26, 10);
  });
});

describe("sortedTokenBatches", () => {
  test("fill up to a number of tokens and of rows, from the shortest row", () => {
    expect(sortedTokenBatches([9, 3, 5, 4, 2], { rows: 3, tokens: 10 })).toEqual([
      { rows: [4, 1, 3], length: 4 },
      { rows: [2], length: 5 },
      { rows: [0], length: 9 },
    ]);
    expect(sortedTokenBatches([2, 2, 2, 2], { rows: 3, tokens: 100 }).map(({ rows }) => rows)).toEqual([
      [0, 1, 2],
      [3],
    ]);
  });

  test("a row that is longer than a batch may be is one alone", () => {
    expect(sortedTokenBatches([50, 4], { rows: 8, tokens: 10 }).map(({ rows }) => rows)).toEqual([[1], [0]]);
    expect(sortedTokenBatches([], { rows: 8, tokens: 10 })).toEqual([]);
  });
});
