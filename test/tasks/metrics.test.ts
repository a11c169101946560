// Reference values: scikit-learn 1.9.1 and SciPy 1.17.1.
import { describe, expect, test } from "@jest/globals";
import { kinds } from "../../src/tasks/kinds";
import type { Explained } from "../../src/tasks/kinds/kind";
import {
  averagePrecision,
  classReport,
  compareScores,
  confusionMatrix,
  metricValues,
  type Scoring,
} from "../../src/tasks/metrics";

const scoring = (metric: string, labels: readonly string[], alsoReport: string[] = []): Scoring => ({
  kind: labels.length > 0 ? kinds.classification : kinds.regression,
  metric,
  labels,
  alsoReport,
});

const binary = {
  predictions: [0, 1, 1, 0, 1, 1, 0, 0, 1, 0],
  labels: [0, 1, 0, 0, 1, 1, 1, 0, 1, 1],
};
const threeClasses = {
  predictions: [0, 2, 1, 1, 0, 2, 2, 1, 0, 0, 2, 1],
  labels: [0, 2, 1, 0, 0, 1, 2, 2, 0, 1, 2, 1],
};
const values = {
  predictions: [1.0, 2.5, 2.5, 4.0, 0.5, 3.0, 5.0, 2.5],
  labels: [0.8, 2.0, 3.5, 3.5, 1.0, 3.0, 4.5, 2.2],
};

describe("classification metrics", () => {
  test("two classes", () => {
    const task = scoring("accuracy", ["no", "yes"], ["f1", "macro_f1", "matthews"]);
    const { score, metrics } = metricValues(task, binary.predictions, binary.labels);
    expect(score).toBe(0.7);
    expect(metrics["f1"]).toBeCloseTo(0.7272727272727273, 14); // of class 1
    expect(metrics["macro_f1"]).toBeCloseTo(0.696969696969697, 14);
    expect(metrics["matthews"]).toBeCloseTo(0.408248290463863, 14);
  });

  test("three classes", () => {
    const task = scoring("matthews", ["a", "b", "c"], ["accuracy", "macro_f1"]);
    const { score, metrics } = metricValues(task, threeClasses.predictions, threeClasses.labels);
    expect(score).toBeCloseTo(0.5, 14);
    expect(metrics["accuracy"]).toBeCloseTo(2 / 3, 14);
    expect(metrics["macro_f1"]).toBeCloseTo(2 / 3, 14);
  });

  test("macro F1 leaves out classes that are neither label nor prediction", () => {
    const { score } = metricValues(scoring("macro_f1", ["a", "b", "c"]), [0, 0, 2, 2, 0], [0, 2, 2, 0, 0]);
    expect(score).toBeCloseTo(0.5833333333333333, 14);
  });

  test("Matthews is 0 where every prediction is the same, F1 where nothing is positive", () => {
    expect(metricValues(scoring("matthews", ["no", "yes"]), [1, 1, 1], [0, 1, 1]).score).toBe(0);
    expect(metricValues(scoring("f1", ["no", "yes"]), [0, 0, 0], [0, 0, 0]).score).toBe(0);
  });

  test("Matthews is 1 and -1 for perfect and inverse predictions", () => {
    const task = scoring("matthews", ["no", "yes"]);
    expect(metricValues(task, [0, 1, 1, 0], [0, 1, 1, 0]).score).toBe(1);
    expect(metricValues(task, [1, 0, 0, 1], [0, 1, 1, 0]).score).toBe(-1);
  });

  test("without rows every metric is null", () => {
    const task = scoring("accuracy", ["no", "yes"], ["f1", "macro_f1", "matthews"]);
    expect(metricValues(task, [], [])).toEqual({
      score: null,
      metrics: { accuracy: null, f1: null, macro_f1: null, matthews: null },
    });
  });

  test("an id outside the classes and unequal lengths are defects", () => {
    expect(() => metricValues(scoring("accuracy", ["no", "yes"]), [0, 2], [0, 1])).toThrow("class ids are 0 to 1");
    expect(() => metricValues(scoring("accuracy", ["no", "yes"]), [0, -1], [0, 1])).toThrow(RangeError);
    expect(() => metricValues(scoring("accuracy", ["no", "yes"]), [0], [0, 1])).toThrow("1 predictions for 2 labels");
  });
});

describe("metrics of several labels a row", () => {
  const task = { kind: kinds.multilabel, labels: ["a", "b", "c", "d"], metric: "micro_f1", alsoReport: ["macro_f1"] };
  const targets = [
    [1, 0, 0, 0],
    [1, 1, 0, 0],
    [0, 0, 0, 0],
    [0, 1, 1, 0],
    [1, 0, 1, 0],
    [0, 0, 1, 0],
  ].flat();
  const predictions = [
    [1, 0, 1, 0],
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0, 1, 1, 0],
    [0, 0, 1, 0],
    [0, 0, 1, 0],
  ].flat();

  test("micro F1 counts all labels at once, macro F1 each, absent ones as 0", () => {
    const { score, metrics } = metricValues(task, predictions, targets);
    expect(score).toBe(0.75);
    expect(metrics["macro_f1"]).toBeCloseTo(0.5392857142857143, 14);
  });

  test("precision, recall, F1 and support of each label; there is no confusion of labels that stand alone", () => {
    const { classes, confusion } = kinds.multilabel.explain(predictions, targets, task) as Explained;
    expect(confusion).toBeNull();
    expect(classes.map(({ precision }) => precision)).toEqual([1, 0.5, 0.75, 0]);
    expect(classes.map(({ recall }) => recall)).toEqual([2 / 3, 0.5, 1, 0]);
    expect(classes.map(({ f1 }) => f1)).toEqual([0.8, 0.5, 6 / 7, 0]);
    expect(classes.map(({ support }) => support)).toEqual([3, 2, 3, 0]);
  });

  test("0 where no label is predicted or there, null without rows", () => {
    expect(metricValues(task, [0, 0, 0, 0], [0, 0, 0, 0]).metrics).toEqual({ micro_f1: 0, macro_f1: 0 });
    expect(metricValues(task, [], []).metrics).toEqual({ micro_f1: null, macro_f1: null });
  });
});

describe("correlations", () => {
  const task = scoring("pearson", [], ["spearman"]);

  test("Pearson, and Spearman with ties averaged", () => {
    const { score, metrics } = metricValues(task, values.predictions, values.labels);
    expect(score).toBeCloseTo(0.9276720833471399, 14);
    expect(metrics["spearman"]).toBeCloseTo(0.8713132312710233, 14);
  });

  test("typed arrays are as good", () => {
    const { score } = metricValues(task, Float32Array.from(values.predictions), Float64Array.from(values.labels));
    expect(score).toBeCloseTo(0.9276720833471399, 14);
  });

  test.each([
    ["constant predictions", [0.1, 0.1, 0.1], [1, 2, 3]],
    ["constant labels", [1, 2, 3], [0.7, 0.7, 0.7]],
    ["a NaN among the predictions", [1, Number.NaN, 3], [1, 2, 3]],
    ["one row", [1], [1]],
    ["no rows", [], []],
  ])("%s give null, not NaN", (_, predictions, labels) => {
    expect(metricValues(task, predictions, labels)).toEqual({
      score: null,
      metrics: { pearson: null, spearman: null },
    });
  });

  test("never leaves [-1, 1] by rounding", () => {
    const x = [0.1, 0.2, 0.3, 0.7];
    const { metrics } = metricValues(
      task,
      x,
      x.map((value) => 3 * value),
    );
    expect(metrics["pearson"]).toBeLessThanOrEqual(1);
    expect(metrics["pearson"]).toBeCloseTo(1, 14);
  });
});

describe("reports", () => {
  test("the confusion matrix has labels as rows and predictions as columns", () => {
    expect(confusionMatrix(binary.predictions, binary.labels, 2)).toEqual([
      [3, 1],
      [2, 4],
    ]);
    expect(confusionMatrix(threeClasses.predictions, threeClasses.labels, 3)).toEqual([
      [3, 1, 0],
      [1, 2, 1],
      [0, 1, 3],
    ]);
  });

  test("precision, recall, F1 and support of each class", () => {
    const [no, yes] = classReport(confusionMatrix(binary.predictions, binary.labels, 2), ["no", "yes"]);
    expect(no).toMatchObject({ label: "no", precision: 3 / 5, recall: 3 / 4, support: 4 });
    expect(yes).toMatchObject({ label: "yes", precision: 4 / 5, recall: 4 / 6, support: 6 });
    expect(no?.f1).toBeCloseTo(2 / 3, 14);
    expect(yes?.f1).toBeCloseTo(8 / 11, 14);
  });

  test("a class that never occurs has zeros", () => {
    const report = classReport(confusionMatrix([0, 0], [0, 0], 2), ["a", "b"]);
    expect(report[1]).toEqual({ label: "b", precision: 0, recall: 0, f1: 0, support: 0 });
  });
});

describe("compareScores", () => {
  test("orders scores, equal within 1e-9, null the worst", () => {
    expect(compareScores(0.8, 0.7)).toBeGreaterThan(0);
    expect(compareScores(0.7, 0.8)).toBeLessThan(0);
    expect(compareScores(0.7, 0.7 + 9e-10)).toBe(0);
    expect(compareScores(0.7, 0.7 + 2e-9)).toBeLessThan(0);
    expect(compareScores(null, -1)).toBeLessThan(0);
    expect(compareScores(-1, null)).toBeGreaterThan(0);
    expect(compareScores(null, null)).toBe(0);
  });
});

test("average precision is scikit-learn's, equal scores being one threshold", () => {
  // average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), ([1, 0, 1, 0, 1], [0.9, 0.9, 0.5, 0.5, 0.1]), ([0, 0], [1, 2])
  expect(averagePrecision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBeCloseTo(0.8333333333333333, 12);
  expect(averagePrecision([0.9, 0.9, 0.5, 0.5, 0.1], [1, 0, 1, 0, 1])).toBeCloseTo(0.5333333333333333, 12);
  expect(averagePrecision([1, 2], [0, 0])).toBe(0);
});
