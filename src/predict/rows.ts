// Rows in, predictions out: which tasks take rows of a kind, and any number of rows in bounded memory.

import type { RowLogits } from "../batches/row-logits";
import { dataError, modelError, usageError } from "../errors/errors";
import type { Prediction } from "../tasks/kinds/kind";
import type { Row } from "./encode";
import type { ServedModel, ServedTask } from "./model";
import { computeLogits, type PredictOptions, toPrediction } from "./predict";

/** A row with the id that its owner gives it: handed back, and no part of what is computed. */
export interface InputRow extends Row {
  readonly id?: string | number;
  /** Other columns of its file: handed back like the id. */
  readonly columns?: Readonly<Record<string, unknown>>;
}

export interface Left {
  /** Encoder layers that the row passed; absent where it could not leave early. */
  readonly exit_layer?: number;
}

/** A row as it came, with what each task says of it. */
export interface PredictedRow extends InputRow {
  readonly predictions: Readonly<Record<string, Prediction & Left>>;
}

/** Rows that are held at a time: a long file needs no more memory than a short one. */
const CHUNK = 4096;

export interface Fitting {
  readonly tasks: readonly ServedTask[];
  /** Why tasks were left out, for the log. */
  readonly note: string | null;
}

/** Throws modelError (4) for a model that has none. */
export function requireTasks({ length }: readonly ServedTask[]): void {
  if (length === 0) throw modelError("the model has no tasks. Add one: flexbert add --task NAME");
}

/**
 * The tasks whose inputs the rows have. Throws dataError (3) for no rows and for pairs among single texts, modelError (4) for no tasks.
 * @param named whether the caller named the tasks: then usageError (2) for each that does not fit
 */
export function fittingTasks(tasks: readonly ServedTask[], rows: readonly Row[], named: boolean): Fitting {
  if (rows.length === 0) throw dataError("there are no rows to predict");
  requireTasks(tasks);
  const pairs = rows.filter(({ pair }) => pair !== null).length;
  if (pairs > 0 && pairs < rows.length)
    throw dataError(`${pairs} of ${rows.length} rows are pairs: predict pairs and single texts apart`);
  const inputs = pairs > 0 ? "pair" : "single";
  const other = inputs === "pair" ? "single texts" : "pairs";
  const fitting = tasks.filter((task) => task.inputs === inputs);
  const left = tasks.filter((task) => task.inputs !== inputs).map(({ name }) => name);
  if (fitting.length === 0 || (named && left.length > 0)) {
    const how = inputs === "single" ? " (--text A --pair B, or a file with a column pair)" : "";
    throw usageError(
      `${left.join(", ")} takes ${other}${how}, and the rows are ${inputs === "pair" ? "pairs" : "single texts"}`,
    );
  }
  const note = left.length > 0 ? `left out, because they take ${other}: ${left.join(", ")}` : null;
  return { tasks: fitting, note };
}

/** Predictions in the order of the rows. @param tasksOf the tasks for the rows of a chunk, which all are of one kind */
export async function* predictRows(
  model: ServedModel,
  rows: Iterable<InputRow> | AsyncIterable<InputRow>,
  tasksOf: (rows: readonly InputRow[]) => readonly ServedTask[],
  options: PredictOptions,
): AsyncGenerator<PredictedRow, void, undefined> {
  for await (const chunk of chunks(rows)) {
    const tasks = tasksOf(chunk);
    const passed = new Map<string, Int32Array>();
    const onLeft = (row: number, task: string, layer: number) => {
      const layers = passed.get(task) ?? new Int32Array(chunk.length);
      layers[row] = layer;
      passed.set(task, layers);
    };
    const logits = await computeLogits(model, chunk, tasks, { ...options, onLeft });
    for (const [i, row] of chunk.entries()) {
      const predictions = tasks.map((task): [string, Prediction & Left] => {
        const layer = passed.get(task.name)?.[i];
        const left = layer === undefined ? {} : { exit_layer: layer };
        return [task.name, { ...toPrediction(task, (logits[task.name] as RowLogits).of(i), row), ...left }];
      });
      const { words: _, ...given } = row;
      yield { ...given, predictions: Object.fromEntries(predictions) };
    }
  }
}

async function* chunks(rows: Iterable<InputRow> | AsyncIterable<InputRow>): AsyncGenerator<InputRow[]> {
  let chunk: InputRow[] = [];
  for await (const row of rows) {
    chunk.push(row);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
