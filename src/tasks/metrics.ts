// GLUE's metrics (Wang et al. 2018), with scikit-learn's and SciPy's conventions where a value is undefined.
// Everything is a fraction; showing points (x 100) is the printer's job. NaN becomes null: JSON has no NaN.

/** One number for how well predictions fit, a fraction. */
export interface Metric {
  /** In words: "macro F1". */
  readonly title: string;
  /** The name that the Hugging Face hub's evaluation results use. */
  readonly hub: string;
  /**
   * @param predicted numbers in the form of the targets, as the kind of the task has them
   * @param labels the label names that the task has
   * @param logits [rows, outputs] of what was decided, for metrics of how sure it is
   * @returns NaN where it is undefined
   */
  of(predicted: Numbers, targets: Numbers, labels: readonly string[], logits: Numbers): number;
  /** Why a task with these labels cannot have it; null where it can. */
  problem?(labels: readonly string[]): string | null;
}

/** What metrics need to know of a task. */
export interface Scoring {
  readonly kind: { readonly name: string; readonly metrics: Readonly<Record<string, Metric>> };
  /** Label names by class id; empty for regression. */
  readonly labels: readonly string[];
  /** The metric that is the task's score: one of its kind's. */
  readonly metric: string;
  readonly alsoReport: readonly string[];
}

export interface MetricValues {
  readonly score: number | null;
  /** The score and what is reported beside it, by metric name. */
  readonly metrics: Record<string, number | null>;
}

export interface ClassReport {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Rows that have this label. */
  readonly support: number;
}

/** Scores closer than this are equal. */
export const scoreTolerance = 1e-9;

export type Numbers = ArrayLike<number>;

/**
 * The task's score and the metrics beside it, as fractions; null where a metric is undefined (a correlation with
 * constant predictions, no rows).
 * @param predicted what its kind decided, in the form of the targets: class ids, or values for regression
 * @param targets class ids, or values for regression; one for each prediction
 * @param logits [rows, outputs] of the predictions, which some metrics read
 */
export function metricValues(task: Scoring, predicted: Numbers, targets: Numbers, logits: Numbers = []): MetricValues {
  checkLengths(predicted, targets);
  const metrics: Record<string, number | null> = {};
  for (const name of [task.metric, ...task.alsoReport]) {
    const metric = task.kind.metrics[name];
    if (!metric) throw new Error(`${name} is no metric of ${task.kind.name}`);
    const value = metric.of(predicted, targets, task.labels, logits);
    metrics[name] = Number.isNaN(value) ? null : value;
  }
  return { score: metrics[task.metric] ?? null, metrics };
}

/** Counts of rows: `matrix[label][prediction]`. Throws a RangeError for an id outside 0 to classes - 1. */
export function confusionMatrix(predictions: Numbers, labels: Numbers, classes: number): number[][] {
  checkLengths(predictions, labels);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) {
    const row = matrix[labels[i] as number];
    const column = predictions[i] as number;
    if (row?.[column] === undefined) {
      throw new RangeError(`row ${i}: label ${labels[i]}, prediction ${column}; class ids are 0 to ${classes - 1}`);
    }
    row[column] = (row[column] as number) + 1;
  }
  return matrix;
}

/** Of one label: rows that have it and are predicted to, rows that are predicted to, rows that have it. */
export interface LabelCounts {
  readonly hits: number;
  readonly predicted: number;
  readonly support: number;
}

/** Of each label, from 0 and 1 for every row and label. */
export function labelCounts(predictions: Numbers, targets: Numbers, labels: number): LabelCounts[] {
  checkLengths(predictions, targets);
  const counts = Array.from({ length: labels }, () => ({ hits: 0, predicted: 0, support: 0 }));
  for (let i = 0; i < targets.length; i++) {
    const count = counts[i % labels] as (typeof counts)[number];
    count.hits += (predictions[i] as number) * (targets[i] as number);
    count.predicted += predictions[i] as number;
    count.support += targets[i] as number;
  }
  return counts;
}

/** Precision, recall, F1 and support of each class, 0 where a denominator is 0 (as scikit-learn's report). */
export function classReport(confusion: readonly (readonly number[])[], labelNames: readonly string[]): ClassReport[] {
  const counts = labelNames.map((_, id) => ({
    hits: confusion[id]?.[id] ?? 0,
    predicted: columnSum(confusion, id),
    support: sum(confusion[id] ?? []),
  }));
  return labelReport(counts, labelNames);
}

export function labelReport(counts: readonly LabelCounts[], labelNames: readonly string[]): ClassReport[] {
  return counts.map(({ hits, predicted, support }, id) => ({
    label: labelNames[id] as string,
    precision: predicted > 0 ? hits / predicted : 0,
    recall: support > 0 ? hits / support : 0,
    f1: f1OfLabel({ hits, predicted, support }),
    support,
  }));
}

/** Negative where `a` is the worse score, positive where it is the better, 0 within 1e-9. null is the worst. */
export function compareScores(a: number | null, b: number | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return Math.abs(a - b) <= scoreTolerance ? 0 : a - b;
}

export function accuracy(confusion: readonly (readonly number[])[]): number {
  return sum(confusion.map((row, id) => row[id] ?? 0)) / sum(confusion.map(sum));
}

/** 2 TP / (2 TP + FP + FN); 0 for a class that is neither predicted nor a label, NaN without rows. */
export function f1OfClass(confusion: readonly (readonly number[])[], id: number): number {
  const hits = confusion[id]?.[id] ?? 0;
  const support = sum(confusion[id] ?? []);
  const denominator = support + columnSum(confusion, id);
  if (denominator > 0) return (2 * hits) / denominator;
  return sum(confusion.map(sum)) > 0 ? 0 : Number.NaN;
}

/** 0 for a label that is neither predicted nor there. */
const f1OfLabel = ({ hits, predicted, support }: LabelCounts): number =>
  predicted + support > 0 ? (2 * hits) / (predicted + support) : 0;

/** F1 over all labels of all rows at once: scikit-learn's `average="micro"` of 0 and 1 by row and label. */
export const microF1 = (counts: readonly LabelCounts[]): number =>
  f1OfLabel({
    hits: sum(counts.map(({ hits }) => hits)),
    predicted: sum(counts.map(({ predicted }) => predicted)),
    support: sum(counts.map(({ support }) => support)),
  });

/** Mean F1 over every label: scikit-learn's `average="macro"` of 0 and 1 by row and label, where absent labels count as 0. */
export const macroF1OfLabels = (counts: readonly LabelCounts[]): number => sum(counts.map(f1OfLabel)) / counts.length;

/**
 * Area under precision by recall, a step for each different score, without interpolation: scikit-learn's
 * `average_precision_score`. 0 where no target is 1.
 * @param targets 0 or 1, one for each score
 */
export function averagePrecision(scores: Numbers, targets: Numbers): number {
  const order = Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => (scores[b] as number) - (scores[a] as number),
  );
  const positives = order.reduce((total, i) => total + (targets[i] as number), 0);
  let [area, hits, before] = [0, 0, 0];
  for (const [rank, i] of order.entries()) {
    hits += targets[i] as number;
    const next = order[rank + 1];
    if (next !== undefined && scores[next] === scores[i]) continue; // equal scores are one threshold
    area += ((hits - before) * hits) / (rank + 1);
    before = hits;
  }
  return positives > 0 ? area / positives : 0;
}

/** Mean F1 over the classes that occur as label or prediction: scikit-learn's `average="macro"`. */
export function macroF1(confusion: readonly (readonly number[])[]): number {
  const present = confusion.flatMap((row, id) => (sum(row) + columnSum(confusion, id) > 0 ? [id] : []));
  return sum(present.map((id) => f1OfClass(confusion, id))) / present.length;
}

/** Matthews correlation for any number of classes (Gorodkin 2004); 0 where all rows share a label or a prediction. */
export function matthews(confusion: readonly (readonly number[])[]): number {
  const rows = sum(confusion.map(sum));
  if (rows === 0) return Number.NaN;
  const supports = confusion.map(sum);
  const predicted = confusion.map((_, id) => columnSum(confusion, id));
  const covariance = rows * sum(confusion.map((row, id) => row[id] ?? 0)) - dot(supports, predicted);
  const variance = (rows ** 2 - dot(supports, supports)) * (rows ** 2 - dot(predicted, predicted));
  return variance > 0 ? covariance / Math.sqrt(variance) : 0;
}

/** Product-moment correlation in [-1, 1]; NaN for fewer than two rows, a constant side or a value that is not finite. */
export function pearson(x: Numbers, y: Numbers): number {
  const xs = centred(x);
  const ys = centred(y);
  if (xs === null || ys === null) return Number.NaN;
  const value = dot(xs, ys) / Math.sqrt(dot(xs, xs) * dot(ys, ys));
  return Math.max(-1, Math.min(1, value)); // Math.max keeps a NaN
}

/** Differences from the mean; null where they would all be 0 but for rounding. */
function centred(values: Numbers): number[] | null {
  const list = Array.from(values);
  const mean = sum(list) / list.length;
  const differences = list.map((value) => value - mean);
  return Number.isFinite(mean) && list.some((value) => value !== list[0]) ? differences : null;
}

/** Ranks from 1, ties sharing the mean of their places. NaN has no rank: it makes every rank NaN. */
export function ranks(values: Numbers): number[] {
  const list = Array.from(values);
  if (list.some(Number.isNaN)) return list.map(() => Number.NaN);
  const order = list.map((_, i) => i).sort((a, b) => (list[a] as number) - (list[b] as number));
  const result = new Array<number>(list.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && list[order[end] as number] === list[order[start] as number]) end++;
    for (const i of order.slice(start, end)) result[i] = (start + 1 + end) / 2;
    start = end;
  }
  return result;
}

function checkLengths(predictions: Numbers, labels: Numbers): void {
  if (predictions.length !== labels.length) {
    throw new RangeError(`${predictions.length} predictions for ${labels.length} labels`);
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const columnSum = (matrix: readonly (readonly number[])[], column: number): number =>
  sum(matrix.map((row) => row[column] ?? 0));

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, value, i) => total + value * (b[i] as number), 0);
