// Bounds on a risk: the binomial's own values, and that of Hoeffding and Bentkus where losses are no coins.

import { expect, test } from "@jest/globals";
import { binomialCdf, fewestRows, pValue } from "../../src/exits/risk";

test("the binomial's tail", () => {
  // In whole fractions: sum over k of C(872, k) 99^(872 - k) / 100^872.
  expect(binomialCdf(3, 872, 0.01)).toBeCloseTo(0.0253251638505276, 14);
  expect(binomialCdf(0, 408, 0.01)).toBeCloseTo(0.99 ** 408, 12);
  expect(binomialCdf(8, 10, 0.5)).toBeCloseTo(1 - 11 / 1024, 12);
  expect(binomialCdf(10, 10, 0.5)).toBe(1);
  // (1 - p)^n underflows, the sum does not.
  expect(binomialCdf(50_000, 100_000, 0.5)).toBeCloseTo(0.5, 2);
});

test("so many rows are needed at least that none of them lost is enough", () => {
  const rows = fewestRows(0.01, 0.05);
  expect(rows).toBe(299);
  expect(pValue({ rows, sum: 0, binary: true }, 0.01)).toBeLessThanOrEqual(0.05);
  expect(pValue({ rows: rows - 1, sum: 0, binary: true }, 0.01)).toBeGreaterThan(0.05);
});

test("losses that are no coins have a bound that is never below the binomial's", () => {
  for (const [rows, sum] of [
    [500, 1],
    [1500, 4],
    [1500, 14],
  ] as const) {
    const coins = pValue({ rows, sum, binary: true }, 0.01);
    expect(pValue({ rows, sum, binary: false }, 0.01)).toBeGreaterThanOrEqual(coins);
  }
  // Of Hoeffding's half: exp(-n KL(sum / n, alpha)).
  const kl = 0.003 * Math.log(0.3) + 0.997 * Math.log(0.997 / 0.99);
  expect(pValue({ rows: 1000, sum: 3, binary: false }, 0.01)).toBeCloseTo(
    Math.min(Math.exp(-1000 * kl), Math.E * binomialCdf(3, 1000, 0.01)),
    12,
  );
  expect(pValue({ rows: 0, sum: 0, binary: true }, 0.5)).toBe(1);
  expect(pValue({ rows: 100, sum: 50, binary: false }, 0.01)).toBe(1);
});
