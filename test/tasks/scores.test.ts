import { expect, test } from "@jest/globals";
import { meanScore, spreadOf } from "../../src/tasks/scores";

test("a mean is undefined where there is no score, or one is undefined", () => {
  expect(meanScore([0.25, 0.75])).toBe(0.5);
  expect(meanScore([0.25, null])).toBeNull();
  expect(meanScore([])).toBeNull();
});

test("spreadOf gives mean and sample deviation, one value has none, an undefined one leaves nothing", () => {
  expect(spreadOf([0.6, 0.7, 0.8])?.mean).toBeCloseTo(0.7, 12);
  expect(spreadOf([0.6, 0.7, 0.8])?.sd).toBeCloseTo(0.1, 12);
  expect(spreadOf([0.6])).toEqual({ mean: 0.6, sd: null });
  expect(spreadOf([0.6, null])).toBeNull();
  expect(spreadOf([])).toBeNull();
});
