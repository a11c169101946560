// Scores of a served model on a labelled split, with what explains them: per-class report and confusion matrix.

import { type RowLogits, rowLogits } from "../batches/row-logits";
import { targetsOf } from "../batches/rows";
import type { Untuned } from "../checkpoints/runs/tuned";
import { countBroken, type Example, readSplit, type Split, splitNotes } from "../data/read-split";
import { dataError, modelError } from "../errors/errors";
import { type ClassReport, metricValues } from "../tasks/metrics";
import { decidedBy, labelledAs, type SplitName, type Task } from "../tasks/task";
import { predictions, scoreLogits } from "../training/loop/branch-source";
import type { ServedModel, ServedTask } from "./model";
import { computeLogits, type PredictOptions } from "./predict";

export interface Evaluation {
  readonly task: string;
  readonly split: SplitName;
  readonly rows: number;
  readonly skipped: number;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Of a model whose thresholds were tuned: what one for all labels scores. */
  readonly untuned?: Untuned;
  /** By label; null where labels are numbers. */
  readonly classes: readonly ClassReport[] | null;
  /** Rows by (label, prediction); null where a row has no label, or several. */
  readonly confusion: readonly (readonly number[])[] | null;
  readonly examples: readonly Example[];
  /** In the order of the task's outputs. */
  readonly logits: RowLogits;
}

export interface EvaluateOptions extends PredictOptions {
  readonly split: SplitName;
  readonly glueData: string;
  readonly maxRows?: number;
  readonly skipBroken: boolean;
  /** The share of the rows that may be left out so; any where it is not given. */
  readonly maxBroken?: number;
  /** Called with what should be known of the rows. */
  readonly warn?: (note: string) => void;
}

/**
 * Scores one task of the model.
 * @param definition what says where its rows lie; its labels are matched to the model's by name
 */
export async function evaluateTask(
  model: ServedModel,
  definition: Task,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const served = model.tasks.find(({ name }) => name === definition.name);
  if (!served) throw modelError(`${model.folder} has no task ${definition.name}`);
  const task = labelledAs(definition, served);
  const order = outputOrder(served, task, model.folder);
  const { split } = options;
  const rows = await readSplit(task, split, options);
  for (const note of splitNotes(rows)) options.warn?.(note);
  requireLabels(task, rows);
  const all = await computeLogits(model, rows.examples, [served], options);
  const found = all[task.name] as RowLogits;
  const words = task.kind.perWord ? rows.examples.map((example) => (example.words ?? []).length) : undefined;
  const logits = rowLogits(reorder(found.data, order), found.width, words);
  const labels = targetsOf(task, rows.examples);
  const decided = decidedBy({ ...served, ...thresholdsIn(order, served) });
  // Decided as the model decides, where the definition has changed since.
  const predicted = predictions({ ...task, ...decided }, logits);
  const untuned = withoutTuning(task, decided.threshold, logits, labels);
  if (untuned && split === "dev") options.warn?.(chosenHere(task.name));
  const explained = task.kind.explain(predicted, labels, task);
  return {
    task: task.name,
    split,
    rows: rows.examples.length,
    skipped: countBroken(rows.broken),
    ...metricValues(task, predicted, labels, logits.data),
    ...(untuned ? { untuned } : {}),
    classes: explained?.classes ?? null,
    confusion: explained?.confusion ?? null,
    examples: rows.examples,
    logits,
  };
}

/** Throws dataError (3) for rows without a label: a score of the others is none of the file. */
function requireLabels(task: Task, { path, examples }: Split): void {
  const without = examples.filter(({ label }) => label === null).length;
  if (without === 0) return;
  const lacks =
    without === examples.length ? "has no labels" : `has ${without} of ${examples.length} rows without a label`;
  throw dataError(`${path} ${lacks}, so ${task.name} cannot be scored on it. Use flexbert predict`);
}

/** For each of the task's outputs the model's. Throws modelError (4) where the kinds or the labels differ. */
function outputOrder(served: ServedTask, task: Task, folder: string): number[] {
  if (served.kind !== task.kind) {
    throw modelError(`${folder}: ${task.name} is a ${served.kind.name} there, and its data is for ${task.kind.name}`);
  }
  const found = served.kind.outputs(served);
  const order = task.kind.outputs(task).map((output) => found.indexOf(output));
  if (order.includes(-1) || found.length !== order.length) {
    throw modelError(
      `${folder}: ${task.name} has labels ${served.labels.join(", ")}, its data has ${task.labels.join(", ")}`,
    );
  }
  return order;
}

/** Of each label its own, in the order of the task's. */
const thresholdsIn = (order: readonly number[], { threshold }: ServedTask): Pick<ServedTask, "threshold"> =>
  typeof threshold === "object" ? { threshold: order.map((id) => threshold[id] as number) } : {};

function withoutTuning(
  task: Task,
  tuned: ServedTask["threshold"],
  logits: RowLogits,
  labels: Float32Array,
): Untuned | null {
  const { threshold } = task.kind;
  if (typeof tuned !== "object" || threshold === undefined) return null;
  return { threshold, metrics: scoreLogits({ ...task, threshold }, logits, labels).metrics };
}

const chosenHere = (name: string): string =>
  `${name}: its thresholds are those that do best on dev rows, so other rows will score less; beside stands what one for all does`;

function reorder(logits: Float32Array, order: readonly number[]): Float32Array {
  const width = order.length;
  return logits.map((_, i) => logits[i - (i % width) + (order[i % width] as number)] as number);
}
