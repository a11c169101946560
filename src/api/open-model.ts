// A merged model, or one run over its base, open to predict with and to be scored.

import { usageError } from "../errors/errors";
import { readGiven } from "../options/given";
import { defaultOf } from "../options/settings";
import type { Row } from "../predict/encode";
import type { ServedModel, ServedTask } from "../predict/model";
import type { RowFile, RowFileOptions } from "../predict/row-file";
import type { InputRow, PredictedRow } from "../predict/rows";
import { taskOptions } from "../settings/tasks";
import { type Call, type Caller, callOf } from "./caller";
import { type EvaluationOptions, type EvaluationResult, evaluateOpened, evaluationOptions } from "./evaluate";
import { type ModelOptions, modelOptions, namesOf, openServedModel, type ServedTasks } from "./served-model";
import { userTasks } from "./session";

export interface PredictOptions {
  /** Tasks of the open model; every one that takes such rows where it is left out. */
  readonly task?: string | readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How many rows there are, where they are no array: for the bar. */
  readonly total?: number | undefined;
  /** Called after each batch with the rows done in it and their tokens, padding not counted. */
  readonly onRows?: ((rows: number, tokens: number) => void) | undefined;
}

export interface FileRowsOptions extends RowFileOptions {
  readonly task?: PredictOptions["task"];
  /** Where GLUE's folders lie. */
  readonly glueData?: string | undefined;
}

/** A text, or a row with a pair and an id of its own. */
export type GivenRow = string | { readonly text: string; readonly pair?: string | null; readonly id?: string | number };

export interface OpenModel {
  readonly folder: string;
  readonly tasks: readonly ServedTask[];
  /** What runs it: name, version, device and threads, in words. */
  readonly engine: string;
  /**
   * The tasks that take such rows. Throws UserError (3) for no rows and for pairs among single texts, and (2) for a task
   * that was named and takes others.
   */
  tasksFor(rows: readonly Row[], task?: PredictOptions["task"]): readonly ServedTask[];
  /**
   * The rows of a file, or of stdin: read as the model's tasks say where it is theirs or has their columns. Throws
   * UserError (3) for a file that cannot be read as rows, each of them.
   */
  rowsOf(from: string | AsyncIterable<Uint8Array>, options?: FileRowsOptions): Promise<RowFile>;
  /** Predictions in the order of the rows. Calls may not overlap. */
  predict(rows: readonly GivenRow[], options?: PredictOptions): Promise<PredictedRow[]>;
  /** The same one row after the other, in bounded memory: pairs alone or single texts alone. */
  predictEach(
    rows: Iterable<GivenRow> | AsyncIterable<GivenRow>,
    options?: PredictOptions,
  ): AsyncGenerator<PredictedRow, void, undefined>;
  /** Scores on labelled rows. */
  evaluate(options?: EvaluationOptions): Promise<EvaluationResult>;
  /** Frees the model, and the engine where it was opened with the model. */
  close(): void;
}

/**
 * Opens a merged folder or a run folder. Throws UserError (2) where there is none by default, (4) for one that is missing,
 * damaged or has no such task, (6) for an engine that is not here.
 * @param rows some of those that will be predicted, where they are known: what takes others is opened when it is asked for
 */
export async function openModel(
  options: ModelOptions = {},
  caller: Caller = {},
  rows: readonly GivenRow[] = [],
): Promise<OpenModel> {
  const call = callOf(caller);
  const values = readGiven(modelOptions, options);
  const own = await userTasks(values);
  const names = namesOf(values.task);
  const { knownTasks } = await import("../tasks/registry.js");
  // Some tasks are diagnostics of another: its head predicts them.
  const servedBy = (name: string) => knownTasks(own).find((task) => task.name === name)?.predictedWith ?? name;
  const [first] = rows.map(rowOf);
  const inputs = first && (first.pair === null ? "single" : "pair");
  const opened = await openServedModel({ ...values, exit: values.exit ?? "auto" }, names?.map(servedBy), call, inputs);
  return describeModel(opened, names !== undefined, call);
}

/** Opens a model, predicts the rows and closes it: for one call where {@link openModel} is for many. */
export async function predict(
  rows: readonly GivenRow[],
  options: ModelOptions = {},
  caller: Caller = {},
): Promise<PredictedRow[]> {
  const model = await openModel(options, caller, rows);
  try {
    return await model.predict(rows);
  } finally {
    model.close();
  }
}

async function describeModel(opened: ServedTasks, named: boolean, call: Call): Promise<OpenModel> {
  const { fittingTasks, predictRows } = await import("../predict/rows.js");
  const { model, session } = opened;
  const tasksFor = (rows: readonly Row[], task?: PredictOptions["task"]) => {
    const fitting = fittingTasks(chosenOf(model, task), rows, named || task !== undefined);
    if (fitting.note !== null) call.reporter.log(fitting.note);
    return fitting.tasks;
  };
  async function* predictEach(
    rows: Iterable<GivenRow> | AsyncIterable<GivenRow>,
    { task, signal, onRows, total }: PredictOptions = {},
  ): AsyncGenerator<PredictedRow, void, undefined> {
    const all = Array.isArray(rows) ? (rows as GivenRow[]).map(rowOf) : null;
    // Of all rows where they are at hand, so that a wrong one is told before any is predicted; else of the first ones.
    let tasks = all && tasksFor(all, task);
    const tasksOf = (chunk: readonly Row[]) => {
      tasks ??= tasksFor(chunk, task);
      if (!all) fittingTasks(tasks, chunk, true);
      return tasks;
    };
    const count = all?.length ?? total;
    const bar = count === undefined ? null : call.reporter.progress("predict", count);
    try {
      yield* predictRows(model, all ?? eachRow(rows), tasksOf, {
        signal: signal ?? call.signal,
        exits: opened.exits,
        onRows(count, tokens) {
          onRows?.(count, tokens);
          bar?.advance(count);
        },
      });
    } finally {
      bar?.end();
    }
  }
  return {
    folder: model.folder,
    tasks: model.tasks,
    engine: session.engine.summary,
    tasksFor,
    async rowsOf(from, { task, glueData = defaultOf(taskOptions.glueData), ...options } = {}) {
      const { openRowFile } = await import("../predict/row-file.js");
      const served = chosenOf(model, task);
      const tasks = opened.definitions.filter(({ name }) => served.some((chosen) => chosen.name === name));
      const takesPairs = served.some(({ inputs }) => inputs === "pair");
      const file = await openRowFile(from, { tasks, takesPairs, glueData }, options);
      for (const note of file.notes) call.reporter.warn(note);
      return file;
    },
    async predict(rows, options) {
      const predicted: PredictedRow[] = [];
      for await (const row of predictEach(rows, options)) predicted.push(row);
      return predicted;
    },
    predictEach,
    evaluate: (options = {}) => evaluateOpened(opened, readGiven(evaluationOptions, options), named, call),
    close() {
      model.dispose();
      session.close();
    },
  };
}

/** Throws usageError (2) for a task that the model was opened without. */
function chosenOf(model: ServedModel, task: PredictOptions["task"]): readonly ServedTask[] {
  const names = namesOf(typeof task === "object" ? task.join(",") : task);
  const missing = names?.find((name) => !model.tasks.some((known) => known.name === name));
  if (missing !== undefined) {
    const has = model.tasks.map(({ name }) => name).join(", ");
    throw usageError(`${model.folder} is open without the task ${missing}. It is open with ${has}`);
  }
  return model.tasks.filter(({ name }) => names?.includes(name) ?? true);
}

async function* eachRow(rows: Iterable<GivenRow> | AsyncIterable<GivenRow>): AsyncGenerator<InputRow> {
  for await (const row of rows) yield rowOf(row);
}

const rowOf = (row: GivenRow): InputRow =>
  typeof row === "string" ? { text: row, pair: null } : { ...row, pair: row.pair ?? null };
