// Predictions for rows of text: several tasks in one pass, each row encoded once for all tasks that see it alike.

import { sortedTokenBatches } from "../batches/batches";
import { eachRowLogits, type RowLogits, rowLogits } from "../batches/row-logits";
import { tokenRows } from "../batches/rows";
import { emptyWordLogits, placeLogits } from "../batches/word-labels";
import { modelError } from "../errors/errors";
import type { ExitRule } from "../exits/exits";
import { Interrupted } from "../messages/reporter";
import type { Prediction } from "../tasks/kinds/kind";
import { outputSize, widthProblem } from "../tasks/task";
import { encodeRow, type Row, type RowUnit, wordsFor } from "./encode";
import { callExits } from "./exits";
import type { ServedModel, ServedTask } from "./model";
import type { CallExits, ExitsOfCall, PieceRun, TaskLogits } from "./segments/pieces";

/** Of one batch: short texts want many rows, or calls cost more than what they compute. */
const MOST = { rows: 512, tokens: 4096 };

export interface PredictOptions {
  readonly signal: AbortSignal;
  /** Called after each batch with the rows done in it and their tokens, padding not counted. */
  readonly onRows?: (rows: number, tokens: number) => void;
  /** Called with each piece of the model that runs. */
  readonly onRun?: (run: PieceRun) => void;
  /** By what rule rows leave early, by task; the others go all their way. */
  readonly exits?: Readonly<Record<string, ExitRule>> | undefined;
  /** Called with what the ramps say that a row has passed, after each of them: the last of them the latest. */
  readonly onPassed?: (row: number, task: string, said: readonly Float32Array[]) => void;
  /** Called with the layers that a row passed for a task whose rows may leave early. */
  readonly onLeft?: (row: number, task: string, layer: number) => void;
}

/** One encoding, and the row and tasks that it stands for. */
interface Unit extends RowUnit {
  readonly row: number;
}

/** Logits of rows by task. */
export type TasksLogits = Readonly<Record<string, RowLogits>>;

/**
 * Logits of every row by task name.
 * Tasks of different maximum lengths share a row's pass where its encoding is the same for both; where it is not, the
 * row's encodings go in one batch like rows that ask for different tasks.
 */
export async function computeLogits(
  model: ServedModel,
  rows: readonly Row[],
  tasks: readonly ServedTask[],
  { signal, onRows, onRun, exits = {}, onLeft, onPassed }: PredictOptions,
): Promise<TasksLogits> {
  const { tokenizer } = model;
  const results = Object.fromEntries(tasks.map((task) => [task.name, roomFor(task, rows)]));
  const units = rows.flatMap((row, i) => encodeRow(tokenizer, row, tasks).map((unit): Unit => ({ ...unit, row: i })));
  const leaving = callExits(tasks, exits);
  const lengths = units.map(({ encoding }) => encoding.ids.length);
  for (const batch of sortedTokenBatches(lengths, MOST)) {
    if (signal.aborted) throw new Interrupted(null);
    const taken = batch.rows.map((unit) => units[unit] as Unit);
    const encodings = taken.map(({ encoding }) => encoding);
    const wants = taken.map((unit) => unit.tasks);
    const given = tokenRows(encodings, tokenizer.padId);
    const asked = onPassed
      ? toldOf(leaving, (task, at, said) => onPassed((taken[at] as Unit).row, task, said))
      : leaving;
    for await (const part of model.run(given, wants, onRun, asked)) {
      requireWidth(model, tasks, part);
      const { rows: ran, logits: found, task } = part;
      const width = found.shape[1] as number;
      const tokensOf = (at: number) => given.lengths[at] as number;
      for (const { row: at, logits } of eachRowLogits(ran, found.data as Float32Array, width, tokensOf)) {
        const { row, places } = taken[at] as Unit;
        const into = results[task]?.of(row) as Float32Array;
        const own = places[task];
        if (own) placeLogits(into, logits, own, width);
        else into.set(logits);
        if (part.layer !== undefined) onLeft?.(row, task, part.layer);
      }
    }
    onRows?.(
      taken.length,
      encodings.reduce((sum, { ids }) => sum + ids.length, 0),
    );
  }
  return results;
}

/** The same exits; each time a row is asked about it is told. @param tell called with the row's place in the batch */
const toldOf = (
  exits: ExitsOfCall,
  tell: (task: string, row: number, said: readonly Float32Array[]) => void,
): ExitsOfCall =>
  Object.fromEntries(
    Object.entries(exits).map(([task, { stops, leaves }]) => {
      const told: CallExits["leaves"] = (said, row) => {
        tell(task, row, said);
        return leaves(said, row);
      };
      return [task, { stops, leaves: told }];
    }),
  );

function roomFor(task: ServedTask, rows: readonly Row[]): RowLogits {
  const width = outputSize(task);
  if (!task.kind.perWord) return rowLogits(new Float32Array(rows.length * width), width);
  const words = rows.map((row) => wordsFor(task, row).length);
  const all = words.reduce((sum, count) => sum + count, 0);
  return rowLogits(emptyWordLogits(all, task.labels), width, words);
}

/** Throws modelError (4) where a branch is not its task's: the manifest says other than its files. */
function requireWidth({ folder }: ServedModel, tasks: readonly ServedTask[], { task, logits }: TaskLogits): void {
  const problem = widthProblem(tasks.find(({ name }) => name === task) as ServedTask, logits.shape);
  if (problem !== null) throw modelError(`${folder}: ${problem}. The folder is damaged: merge again`);
}

/** What a task says of a row. @param logits of the row */
export const toPrediction = (task: ServedTask, logits: Float32Array, row: Row): Prediction =>
  task.kind.predict(logits, task, task.kind.perWord ? { text: row.text, words: wordsFor(task, row) } : undefined);
