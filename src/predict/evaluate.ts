// Scores of a served model on a labelled split, with what explains them: per-class report and confusion matrix.

import { type Example, readSplit } from "../data/read-split";
import { dataError, modelError } from "../errors/errors";
import { type ClassReport, classReport, confusionMatrix, metricValues } from "../tasks/metrics";
import type { SplitName, Task } from "../tasks/task";
import { predictions } from "../training/loop/branch-source";
import type { ServedModel, ServedTask } from "./model";
import { computeLogits, type PredictOptions } from "./predict";

export interface Evaluation {
  readonly task: string;
  readonly split: SplitName;
  readonly rows: number;
  readonly skipped: number;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Classification only: by label, and rows by (label, prediction). */
  readonly classes: readonly ClassReport[] | null;
  readonly confusion: readonly (readonly number[])[] | null;
  readonly examples: readonly Example[];
  /** [rows, outputs], columns in the task's order of labels. */
  readonly logits: Float32Array;
}

export interface EvaluateOptions extends PredictOptions {
  readonly split: SplitName;
  readonly glueData: string;
  readonly maxRows?: number;
  readonly skipBroken: boolean;
}

/**
 * Scores one task of the model.
 * @param task the definition that says where its rows lie; its labels are matched to the model's by name
 */
export async function evaluateTask(model: ServedModel, task: Task, options: EvaluateOptions): Promise<Evaluation> {
  const served = model.tasks.find(({ name }) => name === task.name);
  if (!served) throw modelError(`${model.folder} has no task ${task.name}`);
  const { split, glueData, skipBroken, maxRows } = options;
  const rows = await readSplit(task, split, { glueData, skipBroken, ...(maxRows === undefined ? {} : { maxRows }) });
  if (rows.examples.some(({ label }) => label === null)) {
    throw dataError(`${rows.path} has no labels, so ${task.name} cannot be scored on it. Use flexbert predict`);
  }
  const order = labelOrder(served, task, model.folder);
  const all = await computeLogits(model, rows.examples, [served], options);
  const logits = reorder(all[task.name] as Float32Array, order);
  const labels = Float32Array.from(rows.examples, ({ label }) => label as number);
  const predicted = predictions(task, logits);
  const confusion = task.kind === "classification" ? confusionMatrix(predicted, labels, task.labels.length) : null;
  return {
    task: task.name,
    split,
    rows: rows.examples.length,
    skipped: rows.broken.length,
    ...metricValues(task, predicted, labels),
    classes: confusion && classReport(confusion, task.labels),
    confusion,
    examples: rows.examples,
    logits,
  };
}

/** For each of the task's labels the model's output. Throws modelError (4) where the labels differ. */
function labelOrder(served: ServedTask, task: Task, folder: string): number[] {
  if (task.kind === "regression") return [0];
  const order = task.labels.map((label) => served.labels.indexOf(label));
  if (order.includes(-1) || served.labels.length !== task.labels.length) {
    throw modelError(
      `${folder}: ${task.name} has labels ${served.labels.join(", ")}, its data has ${task.labels.join(", ")}`,
    );
  }
  return order;
}

function reorder(logits: Float32Array, order: readonly number[]): Float32Array {
  const width = order.length;
  return logits.map((_, i) => logits[i - (i % width) + (order[i % width] as number)] as number);
}
