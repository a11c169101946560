// Tuned thresholds: on stored cases as good as scikit-learn's best (test/fixtures/reference/README.md), and what is not theirs to
// decide.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { multilabel } from "../../src/tasks/kinds/multilabel";
import { labelCounts, labelReport, macroF1OfLabels, microF1 } from "../../src/tasks/metrics";
import {
  FEWEST_TO_TUNE,
  isThreshold,
  type Threshold,
  thresholdOf,
  tuneEach,
  tuneTogether,
} from "../../src/tasks/thresholds";

interface Case {
  readonly targets: readonly (readonly number[])[];
  readonly scores: readonly (readonly number[])[];
  readonly f1: readonly number[];
  readonly macro: number;
  readonly micro: number;
  readonly untuned: readonly [number, number];
}

const file = path.join(__dirname, "../fixtures/reference/thresholds.json");
const cases = JSON.parse(readFileSync(file, "utf8")) as Case[];

const countsAt = ({ targets, scores }: Case, threshold: Threshold) => {
  const labels = targets[0]?.length as number;
  const predicted = scores.flatMap((row) => row.map((score, id) => Number(score >= thresholdOf(threshold, id))));
  return labelCounts(predicted, targets.flat(), labels);
};

describe("against scikit-learn", () => {
  test("there are cases in which tuning gains, and labels without rows", () => {
    expect(cases).toHaveLength(24);
    expect(cases.filter(({ macro, untuned }) => macro > untuned[0] + 0.05).length).toBeGreaterThan(10);
    expect(cases.filter(({ micro, untuned }) => micro > untuned[1] + 0.05).length).toBeGreaterThan(10);
    expect(cases.flatMap(({ f1 }) => f1).filter((value) => value === 0).length).toBeGreaterThan(5);
  });

  test.each(cases.map((one, i) => [i, one] as const))("case %i", (_, one) => {
    const [scores, targets] = [one.scores.flat(), one.targets.flat()];
    const labels = one.f1.length;
    expect(macroF1OfLabels(countsAt(one, 0.5))).toBeCloseTo(one.untuned[0], 12);
    expect(microF1(countsAt(one, 0.5))).toBeCloseTo(one.untuned[1], 12);

    const each = tuneEach(scores, targets, labels, 0.5, 1);
    expect(each.every(isThreshold)).toBe(true);
    expect(labelReport(countsAt(one, each), one.f1.map(String)).map(({ f1 }) => f1)).toEqual(
      one.f1.map((f1) => expect.closeTo(f1, 12)),
    );
    expect(macroF1OfLabels(countsAt(one, each))).toBeCloseTo(one.macro, 12);

    const together = tuneTogether(scores, targets, labels, 0.5, 1);
    expect(together.every(isThreshold)).toBe(true);
    expect(microF1(countsAt(one, together))).toBeCloseTo(one.micro, 12);
  });
});

describe("of a label", () => {
  const tuned = (scores: number[], targets: number[]) => tuneEach(scores, targets, 1, 0.5, 1)[0];

  test("the threshold stands about the middle of the scores on its sides, with few digits", () => {
    expect(tuned([0.9, 0.2, 0.1], [1, 1, 0])).toBe(0.15);
    expect(tuned([0.3, 0.100001, 0.1], [1, 1, 0])).toBe(0.1000005);
  });

  test("it is the usual one where that is as good as any", () => {
    expect(tuned([0.9, 0.2], [1, 0])).toBe(0.5);
    expect(tuned([0.5, 0.2], [1, 0])).toBe(0.5);
    // 0.5 and one below 0.1 both have F1 2/3.
    expect(tuned([0.8, 0.3, 0.2, 0.1], [1, 0, 0, 1])).toBe(0.5);
  });

  test("equal scores are on one side", () => {
    const threshold = tuned([0.2, 0.2, 0.1], [1, 0, 0]) as number;
    expect(threshold).toBeGreaterThan(0.1);
    expect(threshold).toBeLessThanOrEqual(0.2);
  });

  test("without a row it stays, whatever the metric", () => {
    expect(tuned([0.9, 0.8], [0, 0])).toBe(0.5);
    // The second label's false positives count and cannot be tuned away.
    expect(tuneTogether([0.3, 0.9, 0.2, 0.9], [1, 0, 0, 0], 2, 0.5, 1)).toEqual([0.25, 0.5]);
  });

  test("that could only be got wrong, micro F1 leaves to no row", () => {
    // Twenty right ones of the first label; the second's one row has the lowest of its scores.
    const rows = Array.from({ length: 20 }, (_, row) => ({ scores: [0.9, 0.6], targets: [1, Number(row === 0)] }));
    const scores = rows.flatMap((row, i) => (i === 0 ? [0.9, 0.1] : row.scores));
    const [, second] = tuneTogether(
      scores,
      rows.flatMap(({ targets }) => targets),
      2,
      0.5,
      1,
    ) as [number, number];
    expect(second).toBeGreaterThan(0.6);
    expect(
      tuneEach(
        scores,
        rows.flatMap(({ targets }) => targets),
        2,
        0.5,
        1,
      )[1],
    ).toBeLessThanOrEqual(0.1);
  });

  test("probabilities of 0 and 1, and none at all, leave thresholds between them", () => {
    for (const scores of [
      [1, 1, 1],
      [0, 0, 0],
      [1, 0, 1],
      [Number.NaN, 1, 0],
      [Number.NaN, Number.NaN, Number.NaN],
    ]) {
      expect(isThreshold(tuned(scores, [1, 0, 1]))).toBe(true);
      expect(isThreshold(tuneTogether(scores, [1, 0, 1], 1, 0.5, 1)[0])).toBe(true);
    }
  });
});

/** The same rows so often that labels have enough of them. */
const often = <T>(times: number, rows: readonly T[]): T[] => Array.from({ length: times }, () => rows).flat();

test("a kind tunes by the task's metric: micro F1 over all labels, else each label's own", () => {
  const logit = (p: number) => Math.log(p / (1 - p));
  const logits = Float32Array.from(often(10, [0.9, 0.1, 0.9, 0.6, 0.9, 0.6, 0.9, 0.6]), logit);
  const targets = often(10, [1, 1, 1, 0, 1, 0, 1, 0]);
  const tune = (metric: string) => multilabel.tune?.(logits, targets, { labels: ["a", "b"], metric }) as number[];
  expect(tune("micro_f1")[1]).toBeGreaterThan(0.6);
  expect(tune("macro_f1")[1]).toBeLessThan(0.1);
  expect(tune("average_precision")).toEqual(tune("macro_f1"));
});

test("a label that too few rows have keeps the usual threshold, whatever these few would gain", () => {
  // The rows that have it are all below a half, and apart from the others.
  const rows = (having: number) => ({
    scores: [...often(having, [0.3]), ...often(100, [0.1])],
    targets: [...often(having, [1]), ...often(100, [0])],
  });
  const few = rows(FEWEST_TO_TUNE - 1);
  const enough = rows(FEWEST_TO_TUNE);
  for (const tune of [tuneEach, tuneTogether]) {
    expect(tune(few.scores, few.targets, 1, 0.5, FEWEST_TO_TUNE)).toEqual([0.5]);
    expect(tune(enough.scores, enough.targets, 1, 0.5, FEWEST_TO_TUNE)).toEqual([0.2]);
  }
});

test("thresholds of labels decide, and what was not tuned yet decides nothing", () => {
  const labels = ["a", "b", "c"];
  const logits = Float32Array.from([0, 0, 0]);
  expect(multilabel.decide(logits, { labels, threshold: [0.6, 0.5, 0.4] })).toEqual([1, 2]);
  expect(multilabel.confidence?.(logits, { labels, threshold: [0.6, 0.5, 0.4] })).toBe(0.5);
  expect(() => multilabel.decide(logits, { labels, threshold: "tuned" })).toThrow(/label 0 has no threshold/);
  expect(() => multilabel.decide(logits, { labels, threshold: [0.5, 0.5] })).toThrow(/label 2 has no threshold/);
  const python = multilabel.card.python({ labels: ["a", "b"], threshold: [0.75, 0.5] }).join("\n");
  expect(python).toContain(`least = [${Math.log(3)},0]`);
  expect(python).toContain("if logit >= own]");
});
