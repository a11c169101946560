// How much doubt outputs leave, and what a row loses that takes a ramp's for the model's, by kind.

import { expect, test } from "@jest/globals";
import { kinds } from "../../src/tasks/kinds";
import type { Leaving } from "../../src/tasks/kinds/kind";

const logits = (...values: number[]) => Float32Array.from(values);
const leavingOf = (name: keyof typeof kinds) => kinds[name].leaving as Leaving;
const three = { labels: ["a", "b", "c"] };

test("of classes: the entropy and the largest probability", () => {
  const { criteria, losses } = leavingOf("classification");
  const doubt = (name: string, ...values: number[]) => criteria[name]?.doubt([logits(...values)], three) as number;
  expect(doubt("entropy", 0, 0, 0)).toBeCloseTo(Math.log(3), 6);
  const p = [1, 2, 3].map((x) => Math.exp(x) / (Math.E + Math.E ** 2 + Math.E ** 3));
  expect(doubt("entropy", 1, 2, 3)).toBeCloseTo(-p.reduce((sum, one) => sum + one * Math.log(one), 0), 6);
  expect(doubt("entropy", 1000, 0, -1000)).toBe(0);
  expect(doubt("probability", 1, 2, 3)).toBeCloseTo(1 - (p[2] as number), 6);
  expect(criteria["entropy"]?.most(three, [])).toBeCloseTo(Math.log(3), 12);
  const lost = losses(three, []);
  expect(lost(logits(1, 0, 0), logits(0, 1, 0), [1])).toBe(1);
  expect(lost(logits(0, 1, 0), logits(0, 3, 0), [1])).toBe(0);
  // What the model has wrong is not lost.
  expect(lost(logits(1, 0, 0), logits(0, 1, 0), [0])).toBeNull();
});

test("of several labels: the least sure one's", () => {
  const { criteria, losses } = leavingOf("multilabel");
  const doubt = (name: string, ...values: number[]) => criteria[name]?.doubt([logits(...values)], three) as number;
  expect(doubt("entropy", 50, 0, -50)).toBeCloseTo(Math.LN2, 6);
  expect(doubt("probability", 50, 2, -50)).toBeCloseTo(1 / (1 + Math.exp(2)), 6);
  expect(criteria["probability"]?.most(three, [])).toBe(0.5);
  const lost = losses(three, []);
  expect(lost(logits(1, -1, 1), logits(2, -2, 2), [0, 0, 0])).toBe(0);
  expect(lost(logits(1, 1, 1), logits(2, -2, 2), [0, 0, 0])).toBe(1);
});

test("of several labels with thresholds of their own: most at each threshold, not at a half", () => {
  const { criteria, losses } = leavingOf("multilabel");
  const tuned = { labels: ["rare", "common"], threshold: [0.1, 0.5] };
  const at = (p: number) => Math.log(p / (1 - p));
  const doubt = (name: string, rare: number) => criteria[name]?.doubt([logits(at(rare), 50)], tuned) as number;
  expect(doubt("entropy", 0.1)).toBeCloseTo(Math.LN2, 6);
  expect(doubt("probability", 0.1)).toBeCloseTo(0.5, 6);
  // Odds of 1 to 1, nine times those at the threshold; and a ninth of them below it.
  for (const rare of [0.5, 1 / 82]) expect(doubt("probability", rare)).toBeCloseTo(0.1, 6);
  // Close to the threshold doubt is what tells that a ramp may be on its other side.
  const lost = losses(tuned, []);
  expect(lost(logits(at(0.11), 50), logits(at(0.09), 50), [0, 1])).toBe(1);
  expect(doubt("entropy", 0.11)).toBeGreaterThan(0.99 * Math.LN2);
});

test("of values: how far two ramps after each other are apart", () => {
  const { criteria, losses } = leavingOf("regression");
  const { doubt, most } = criteria["spread"] as NonNullable<(typeof criteria)[string]>;
  const none = { labels: [] };
  expect(doubt([logits(2)], none)).toBe(Number.POSITIVE_INFINITY);
  expect(doubt([logits(9), logits(2), logits(2.5)], none)).toBe(0.5);
  expect(most(none, [1, 3])).toBe(1);
  const lost = losses(none, [1, 3, 5, 7]); // of variance 5
  expect(lost(logits(2), logits(3), [3])).toBeCloseTo(0.2, 12);
  expect(lost(logits(-9), logits(3), [3])).toBe(1);
});

test("tags have none", () => {
  expect(kinds.tagging.leaving).toBeUndefined();
});
