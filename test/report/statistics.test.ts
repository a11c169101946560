// Verdicts over seeds, against values worked out by hand and tables of Student's t.

import { describe, expect, test } from "@jest/globals";
import { compareOverSeeds, studentT } from "../../src/report/statistics";

const seeds = (scores: readonly (number | null)[]) => new Map(scores.map((score, i) => [i + 1, score]));

describe("compareOverSeeds", () => {
  test("a difference that every seed shares, less its spread, is clear; a larger one that they do not share is noise", () => {
    const a = seeds([0.6, 0.62, 0.58, 0.61, 0.59]);
    const clear = compareOverSeeds(a, seeds([0.61, 0.632, 0.588, 0.621, 0.602]));
    expect(clear.verdict).toBe("clear");
    expect(clear.difference).toBeCloseTo(0.0106, 10);
    const noise = compareOverSeeds(a, seeds([0.7, 0.55, 0.66, 0.57, 0.63]));
    expect(noise.verdict).toBe("noise");
    // Differences 0.1, -0.07, 0.08, -0.04, 0.04: mean 0.022, sd 0.074297, times t(4) = 2.776 over the root of 5.
    expect(noise.difference).toBeCloseTo(0.022, 10);
    expect(noise.halfWidth).toBeCloseTo(0.09224, 4);
    expect(noise.pairs).toBe(5);
  });

  test("pairs by seed: others do not count, and neither do undefined scores", () => {
    const a = new Map([
      [1, 0.5],
      [2, 0.6],
      [7, 0.1],
    ]);
    const b = new Map<number, number | null>([
      [2, 0.7],
      [1, null],
      [9, 0.9],
    ]);
    expect(compareOverSeeds(a, b)).toMatchObject({ verdict: "unknown", pairs: 1 });
    expect(compareOverSeeds(a, b).difference).toBeCloseTo(0.1, 12);
    expect(compareOverSeeds(a, new Map())).toEqual({ verdict: "unknown", difference: null, halfWidth: null, pairs: 0 });
  });

  test("seeds that all differ by the same amount show no noise to measure; equal ones do not differ", () => {
    expect(compareOverSeeds(seeds([0.5, 0.6]), seeds([0.6, 0.7]))).toMatchObject({ verdict: "unknown", pairs: 2 });
    expect(compareOverSeeds(seeds([0.5, 0.6]), seeds([0.5, 0.6])).verdict).toBe("noise");
  });
});

test("studentT follows the table, and its expansion beyond 30", () => {
  expect(studentT(1)).toBe(12.706);
  expect(studentT(4)).toBe(2.776);
  expect(studentT(31)).toBeCloseTo(2.0395, 2);
  expect(studentT(100)).toBeCloseTo(1.984, 2);
});
