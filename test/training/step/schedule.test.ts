import { describe, expect, test } from "@jest/globals";
import { learningRateAt } from "../../../src/training/step/schedule";

describe("learningRateAt", () => {
  test("warms up from 0 and decays to 0, as transformers' linear schedule with 2 of 10 steps of warm-up", () => {
    const rates = Array.from({ length: 10 }, (_, i) => learningRateAt(i + 1, 10, 1, 0.15));
    const expected = [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
    for (const [i, rate] of rates.entries()) expect(rate).toBeCloseTo(expected[i] as number, 12);
  });

  test("without warm-up begins at the peak, and is defined for a single step", () => {
    expect(learningRateAt(1, 4, 2e-5, 0)).toBe(2e-5);
    expect(learningRateAt(1, 1, 2e-5, 0)).toBe(2e-5);
    expect(learningRateAt(1, 1, 2e-5, 1)).toBe(0);
  });
});
