// Predictions for rows of text: several tasks in one pass, each row encoded once for all tasks that see it alike.

import { sortedTokenBatches } from "../batches/batches";
import { tokenRows } from "../batches/rows";
import { modelError } from "../errors/errors";
import { Interrupted } from "../messages/reporter";
import type { Prediction } from "../tasks/kinds/kind";
import { outputSize, widthProblem } from "../tasks/task";
import { encodeRow, type Row, type RowUnit } from "./encode";
import type { ServedModel, ServedTask } from "./model";
import type { PieceRun, TaskLogits } from "./segments/segments";

/** Of one batch: short texts want many rows, or calls cost more than what they compute. */
const MOST = { rows: 512, tokens: 4096 };

export interface PredictOptions {
  readonly signal: AbortSignal;
  /** Called after each batch with the rows done in it and their tokens, padding not counted. */
  readonly onRows?: (rows: number, tokens: number) => void;
  /** Called with each piece of the model that runs. */
  readonly onRun?: (run: PieceRun) => void;
}

/** One encoding, and the row and tasks that it stands for. */
interface Unit extends RowUnit {
  readonly row: number;
}

/**
 * Logits [rows, outputs] of every row by task name.
 * Tasks of different maximum lengths share a row's pass where its encoding is the same for both; where it is not, the
 * row's encodings go in one batch like rows that ask for different tasks.
 */
export async function computeLogits(
  model: ServedModel,
  rows: readonly Row[],
  tasks: readonly ServedTask[],
  { signal, onRows, onRun }: PredictOptions,
): Promise<Record<string, Float32Array>> {
  const { tokenizer } = model;
  const results: Record<string, Float32Array> = {};
  for (const task of tasks) results[task.name] = new Float32Array(rows.length * outputSize(task));
  const units = rows.flatMap((row, i) => encodeRow(tokenizer, row, tasks).map((unit): Unit => ({ ...unit, row: i })));
  const lengths = units.map(({ encoding }) => encoding.ids.length);
  for (const batch of sortedTokenBatches(lengths, MOST)) {
    if (signal.aborted) throw new Interrupted(null);
    const taken = batch.rows.map((unit) => units[unit] as Unit);
    const encodings = taken.map(({ encoding }) => encoding);
    const wants = taken.map((unit) => unit.tasks);
    for await (const part of model.run(tokenRows(encodings, tokenizer.padId), wants, onRun)) {
      const { data, shape } = part.logits;
      requireWidth(model, tasks, part);
      const width = shape[1] as number;
      for (const [i, at] of part.rows.entries()) {
        const { row } = taken[at] as Unit;
        results[part.task]?.set(data.subarray(i * width, (i + 1) * width) as Float32Array, row * width);
      }
    }
    onRows?.(
      taken.length,
      encodings.reduce((sum, { ids }) => sum + ids.length, 0),
    );
  }
  return results;
}

/** Throws modelError (4) where a branch is not its task's: the manifest says other than its files. */
function requireWidth({ folder }: ServedModel, tasks: readonly ServedTask[], { task, logits }: TaskLogits): void {
  const problem = widthProblem(tasks.find(({ name }) => name === task) as ServedTask, logits.shape);
  if (problem !== null) throw modelError(`${folder}: ${problem}. The folder is damaged: merge again`);
}

/** The prediction of one row of logits [rows, outputs]. */
export function toPrediction(task: ServedTask, logits: Float32Array, row: number): Prediction {
  const width = outputSize(task);
  return task.kind.predict(logits.subarray(row * width, (row + 1) * width), task);
}
