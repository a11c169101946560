// What int8 costs a task: its score on labelled rows before and after, or where there are none how far its logits move.

import type { RowLogits } from "../batches/row-logits";
import type { Row } from "../predict/encode";
import { evaluateTask } from "../predict/evaluate";
import type { ServedModel, ServedTask } from "../predict/model";
import { computeLogits } from "../predict/predict";
import type { Label } from "../tasks/kinds/kind";
import type { Task } from "../tasks/task";

/** On which rows a task is measured. */
export interface MeasuredRows {
  /** The dev split's file, the one that was given, or "sample texts". */
  readonly source: string;
  /** Where the rows have labels: what says where they lie. */
  readonly definition: Task | null;
  /** Some of them, or all where they have no labels: for what needs no score. */
  readonly some: readonly Row[];
}

export interface MeasureOptions {
  readonly glueData: string;
  readonly maxRows: number | undefined;
  readonly skipBroken: boolean;
  readonly maxBroken: number;
  readonly signal: AbortSignal;
}

export interface Measured {
  /** A fraction; null where there are no labels, or where the metric is not defined. */
  readonly score: number | null;
  readonly rows: number;
  readonly logits: RowLogits;
}

/** One task of a model, on all its rows. */
export async function measureTask(
  model: ServedModel,
  task: ServedTask,
  { definition, some }: MeasuredRows,
  { maxRows, ...options }: MeasureOptions,
): Promise<Measured> {
  if (!definition) return { score: null, ...(await logitsOf(model, task, some, options.signal)) };
  const asked = { ...options, split: "dev", ...(maxRows === undefined ? {} : { maxRows }) } as const;
  const { score, rows, logits } = await evaluateTask(model, definition, asked);
  return { score, rows, logits };
}

/** The logits of given rows. */
export async function logitsOf(model: ServedModel, task: ServedTask, rows: readonly Row[], signal: AbortSignal) {
  const logits = (await computeLogits(model, rows, [task], { signal }))[task.name] as RowLogits;
  return { rows: rows.length, logits };
}

export interface Difference {
  /** Largest of a logit; for values beyond 1, in parts of the value. */
  readonly largest: number;
  /** Mean of all logits. */
  readonly mean: number;
  /** Part of the rows that get the same label; null where labels are numbers. */
  readonly equalLabels: number | null;
}

export function compareLogits(task: ServedTask, before: RowLogits, after: RowLogits): Difference {
  const sum = before.data.reduce((all, value, i) => all + differenceOf(value, after.data[i] as number), 0);
  return {
    largest: largestOf(before.data, after.data),
    mean: sum / Math.max(1, before.data.length),
    equalLabels: equalPart(task, before, after),
  };
}

/** As {@link Difference} counts it. */
export const largestOf = (before: Float32Array, after: Float32Array): number =>
  before.reduce((most, value, i) => Math.max(most, differenceOf(value, after[i] as number)), 0);

const differenceOf = (value: number, after: number): number => Math.abs(value - after) / Math.max(1, Math.abs(value));

function equalPart(task: ServedTask, before: RowLogits, after: RowLogits): number | null {
  if (task.labels.length === 0) return null;
  const label = (logits: RowLogits, row: number): Label => task.kind.decide(logits.of(row), task);
  let equal = 0;
  for (let row = 0; row < before.rows; row++) if (`${label(before, row)}` === `${label(after, row)}`) equal += 1;
  return before.rows === 0 ? 1 : equal / before.rows;
}
