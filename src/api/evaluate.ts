// Scores of a merged model or of one run on labelled rows.

import path from "node:path";
import { dataError } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { type Given, readGiven } from "../options/given";
import { option, optional, type Values } from "../options/option";
import { choice, text } from "../options/readers";
import type { Evaluation } from "../predict/evaluate";
import { BROKEN_SHARE, samples, taskOptions } from "../settings/tasks";
import { splitNames, type Task } from "../tasks/task";
import { type Call, type Caller, callOf } from "./caller";
import { modelOptions, namesOf, openServedModel, type ServedTasks } from "./served-model";

export const evaluationOptions = {
  glueData: taskOptions.glueData,
  split: option(choice(splitNames), {
    flag: "--split",
    value: "<name>",
    help: splitNames.join(", "),
    fallback: "dev",
  }),
  maxEvalSamples: samples.maxEvalSamples,
  skipBrokenRows: samples.skipBrokenRows,
  maxBrokenRows: samples.maxBrokenRows,
  predictions: optional(text, {
    flag: "--predictions",
    value: "<file>",
    help: "write every row's label and logits as JSON lines",
  }),
};

export const evaluateOptions = { ...modelOptions, ...evaluationOptions };

export type EvaluationOptions = Given<typeof evaluationOptions>;
export type EvaluateOptions = Given<typeof evaluateOptions>;
type EvaluationValues = Values<typeof evaluationOptions>;

/** Scores, precision, recall and F1 are fractions; null where one is undefined. */
export type TaskScores = Omit<Evaluation, "examples" | "logits">;

export interface EvaluationResult {
  readonly tasks: readonly TaskScores[];
  /** What ran it, in words. */
  readonly engine: string;
  /** Of reading the rows and predicting them. */
  readonly seconds: number;
  /** Tokens that were predicted, padding not counted. */
  readonly tokens: number;
}

/**
 * Scores every task of the model that has the split. Throws UserError (3) for a task that was named and lacks it, and for
 * rows without labels.
 */
export async function evaluate(options: EvaluateOptions = {}, caller: Caller = {}): Promise<EvaluationResult> {
  const call = callOf(caller);
  const values = readGiven(evaluateOptions, options);
  const names = namesOf(values.task);
  const opened = await openServedModel({ ...values, exit: values.exit ?? "auto" }, names, call);
  try {
    return await evaluateOpened(opened, values, names !== undefined, call);
  } finally {
    opened.model.dispose();
    opened.session.close();
  }
}

/** @param named whether the caller named the model's tasks */
export async function evaluateOpened(
  { model, session, tasksFile, taskOf, exits }: ServedTasks,
  values: EvaluationValues,
  named: boolean,
  call: Call,
): Promise<EvaluationResult> {
  const [{ evaluateTask }, { requireTasks }] = await Promise.all([
    import("../predict/evaluate.js"),
    import("../predict/rows.js"),
  ]);
  requireTasks(model.tasks);
  const { split, maxEvalSamples, predictions } = values;
  const evaluations: Evaluation[] = [];
  const started = performance.now();
  let tokens = 0;
  const tasks = model.tasks.map(({ name }) => taskOf(name));
  if (!tasks.some(({ splits }) => splits[split])) throw noneHasSplit(model.folder, tasks, values, tasksFile);
  for (const task of tasks) {
    if (!task.splits[split]) {
      if (named) throw dataError(`${task.name} has no ${split} split, only ${Object.keys(task.splits).join(", ")}`);
      continue;
    }
    const options = {
      signal: call.signal,
      exits,
      onRows: (_: number, read: number) => {
        tokens += read;
      },
      split,
      glueData: values.glueData,
      skipBroken: values.skipBrokenRows,
      maxBroken: values.maxBrokenRows ?? BROKEN_SHARE,
      warn: (note: string) => call.reporter.warn(note),
      ...(maxEvalSamples === undefined ? {} : { maxRows: maxEvalSamples }),
    };
    evaluations.push(await evaluateTask(model, task, options));
  }
  if (predictions !== undefined) await writePredictions(predictions, evaluations);
  const seconds = (performance.now() - started) / 1000;
  const scores = evaluations.map(({ examples: _, logits: __, ...rest }) => rest);
  return { tasks: scores, engine: session.engine.summary, seconds, tokens };
}

/** No score at all is no result: says of each task which files it has, and who says so. */
function noneHasSplit(
  folder: string,
  tasks: readonly Task[],
  { split, glueData }: EvaluationValues,
  tasksFile: string | null,
): Error {
  const has = tasks.map(({ name, folder: place, splits }) => {
    const source = place === "" ? (tasksFile ?? "its tasks file") : path.join(glueData, place);
    return `${name} has ${Object.keys(splits).join(", ")} (${source})`;
  });
  const own = split === "test" && tasks.some((task) => task.folder === "");
  return dataError(
    `no task of ${folder} has a ${split} file: ${has.join("; ")}. Give another --split` +
      `${own ? ", or name the file under files in the tasks file" : ""}`,
  );
}

async function writePredictions(file: string, evaluations: readonly Evaluation[]): Promise<void> {
  const lines = evaluations.flatMap(({ task, examples, logits }) =>
    examples.map(({ index, label, words }, row) => {
      const own = Array.from(logits.of(row));
      const lists = words?.map((_, word) => own.slice(word * logits.width, (word + 1) * logits.width));
      return JSON.stringify({ task, index, label, logits: lists ?? own });
    }),
  );
  await writeFileAtomic(file, `${lines.join("\n")}\n`);
}
