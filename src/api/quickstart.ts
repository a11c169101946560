// The whole pipeline on the sample tasks, to see it work and what it saves.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { RowLogits } from "../batches/row-logits";
import type { Base } from "../checkpoints/bases/base";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { failure, UserError } from "../errors/errors";
import type { OnnxReport } from "../export/onnx/onnx";
import type { MergedTask } from "../merge/folder/manifest";
import type { Selection } from "../merge/merge";
import { type Savings, savings } from "../merge/savings";
import { bertDefaults } from "../model/config";
import { overhead } from "../model/overhead";
import { placesOf } from "../model/place";
import { type Given, readGiven } from "../options/given";
import { option, toggle, type Values } from "../options/option";
import { text } from "../options/readers";
import { recipes } from "../recipes/recipes";
import { offline } from "../settings/call";
import { engineOptions } from "../settings/engine";
import type { TrainingOptions } from "../settings/training";
import { checkpointOptions } from "../settings/work";
import type { Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import { type Call, type Caller, callOf } from "./caller";
import { onnxOpenerOrWarning, withPieces } from "./merge/onnx";
import { checkTools } from "./model-check";
import { pullFiles } from "./pull";
import { openSession, type Session } from "./session";

const MINILM = "sentence-transformers/all-MiniLM-L6-v2";
const SAMPLE = path.join(__dirname, "../../glue-data/sample");
const SENTENCES = [
  "the soup was cold and the waiter never came back",
  "I would like to book a table for two on Friday",
];

/** Few rows in small batches: the slowest engine ends within minutes, and there are still enough steps to learn. */
const training: TrainingOptions = {
  epochs: 2,
  learningRate: 3e-4,
  batchSize: 16,
  maxLength: 64,
  warmup: 0.1,
  weightDecay: 0.01,
  clipNorm: 1,
  dropout: null,
  precision: "float32",
};
/** A student learns to read the trunk where its teacher had more layers to do so: it wants more steps and a higher rate. */
const studentTraining: TrainingOptions = { ...training, epochs: 4, learningRate: 1e-3 };
export const quickstartLayers = [1, 2, 3];
const studentVariant = {
  place: { fork: "teacher", layers: 1 },
  init: "teacher",
  options: { temperature: 2, alpha: 0.5 },
} as const;

/** With all rows of all four tasks the wasm engine, on one thread, would take well over five minutes. */
const trainRows = 192;
export const quickstartRows = 64;
const chosen = ["sample-sentiment", "sample-similarity", "sample-intent"];

export const quickstartOptions = {
  out: option(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "the merged folder, replaced if it exists",
    fallback: "merged-quickstart",
  }),
  ...checkpointOptions,
  ...engineOptions,
  ...offline,
  force: toggle({ flag: "--force", short: "-f", help: "train again what is finished" }),
};

export type QuickstartOptions = Given<typeof quickstartOptions>;

export interface QuickstartResult {
  readonly engine: string;
  readonly base: string;
  readonly baseLayers: number;
  readonly seconds: number;
  readonly overhead: ReturnType<typeof overhead>;
  readonly saved: Savings;
  /** The largest difference of a logit between the merged model and the separate ones. */
  readonly difference: number;
  readonly onnx: OnnxReport | null;
  /** Text, task, label and score of each. */
  readonly predictions: readonly (readonly string[])[];
  /** Dev scores, fractions: by k, the teacher's k, the student's. */
  readonly scores: readonly {
    readonly task: string;
    readonly byK: readonly (number | null)[];
    readonly teacher: number;
    readonly student: number | null;
  }[];
  readonly tasks: readonly MergedTask[];
}

/** Pulls MiniLM or makes a small random base, trains three sample tasks, distils, merges, compares and predicts. */
export async function quickstart(options: QuickstartOptions = {}, caller: Caller = {}): Promise<QuickstartResult> {
  const call = callOf(caller);
  const values = readGiven(quickstartOptions, options);
  const started = performance.now();
  const { readUserTasks } = await import("../tasks/user-tasks.js");
  const tasks = (await readUserTasks(path.join(SAMPLE, "tasks.yaml"))).filter(({ name }) => chosen.includes(name));
  const base = await quickstartBase(values.offline, call);
  const session = await openSession(values, call);
  try {
    const result = await pipeline(tasks, base, values, session, call);
    return { ...result, seconds: (performance.now() - started) / 1000 };
  } finally {
    session.close();
  }
}

async function pipeline(
  tasks: readonly Task[],
  base: Base,
  { out, checkpoints, force, threads }: Values<typeof quickstartOptions>,
  session: Session,
  { reporter }: Call,
): Promise<Omit<QuickstartResult, "seconds">> {
  const selections: Selection[] = [];
  const scores: QuickstartResult["scores"][number][] = [];
  for (const task of tasks) {
    const { runs, teacher, student } = await train(task, base, { checkpoints, force }, session);
    selections.push({ task, run: student });
    const byK = [...runs].sort((a, b) => a.record.layers - b.record.layers).map(({ record }) => record.score);
    scores.push({ task: task.name, byK, teacher: teacher.record.layers, student: student.record.score });
  }
  if (existsSync(out)) await rm(path.join(out, "flexbert.json"), { force: true });
  const { merge } = await import("../merge/merge.js");
  const open = await onnxOpenerOrWarning(threads, reporter);
  const onnx = { check: open ? checkTools(open, session, tasks, "") : null };
  const request = { out, base, selections, allowUnshared: false, onnx };
  const merged = open
    ? await withPieces(session, threads, { tasks, glueData: "" }, (pieces) => merge({ ...request, pieces }))
    : await merge(request);
  const { manifest } = merged;
  const difference = await compareWithSeparate(out, base, selections, session);
  const predictions = await predictSentences(out, tasks, session);
  return {
    ...{ engine: session.engine.summary, base: base.name, baseLayers: base.config.numHiddenLayers },
    ...{ overhead: overhead(manifest), saved: savings(manifest, base.config), difference, onnx: merged.onnx },
    ...{ predictions, scores, tasks: manifest.tasks },
  };
}

async function quickstartBase(offline: boolean, call: Call): Promise<Base> {
  const { openBase } = await import("../checkpoints/bases/base.js");
  try {
    await pullFiles(MINILM, { offline }, call);
    return await openBase(MINILM);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    call.reporter.warn(`${error.message}`);
    call.reporter.warn("going on with a small random base: every step runs, but the scores stay near chance");
    return randomBase();
  }
}

/** 6 layers of 64, written to the cache because run folders and the merged model name their base. */
async function randomBase(): Promise<Base> {
  const { randomBase, writeBase } = await import("../checkpoints/bases/random-base.js");
  const { cachedFolder } = await import("../files/cache.js");
  const { embeddedVocabulary } = await import("../tokenizer/vocabulary.js");
  const tokens = embeddedVocabulary();
  const config = {
    ...bertDefaults,
    vocabSize: tokens.length,
    hiddenSize: 64,
    numHiddenLayers: 6,
    numAttentionHeads: 4,
    intermediateSize: 256,
    maxPositionEmbeddings: 128,
    typeVocabSize: 2,
  };
  const base = randomBase("random-6x64", config, { tokens, lowerCase: true }, 1);
  await writeBase(base, cachedFolder(base.name));
  return base;
}

async function train(
  task: Task,
  base: Base,
  { checkpoints, force }: { checkpoints: string; force: boolean },
  context: RunContext<Engine>,
) {
  const { runSweep } = await import("../recipes/sweep.js");
  const { chooseTeacher } = await import("../selection/teacher.js");
  const rows = { maxTrainSamples: trainRows, maxEvalSamples: quickstartRows };
  const run = { checkpoints, glueData: "", skipBrokenRows: false, saveEvery: 60, cacheBudget: 1e9, force, ...rows };
  const common = { task, base, seeds: [1], run };
  const places = placesOf(base.config.numHiddenLayers, quickstartLayers);
  const variants = places.map((place) => ({ place, options: {} }));
  const runs = await runSweep({ ...common, recipe: recipes.finetune, variants, training }, context);
  const teacher = chooseTeacher(runs, "max") as StoredRun;
  const students = { ...common, recipe: recipes.distill, variants: [studentVariant], training: studentTraining };
  const [student] = await runSweep({ ...students, teacher }, context);
  // A teacher of one layer is no larger than its student would be: the task keeps it.
  return { runs, teacher, student: student ?? teacher };
}

/** The largest difference of any dev row's logit between the merged model and the separate branches. */
async function compareWithSeparate(
  out: string,
  base: Base,
  selections: readonly Selection[],
  context: RunContext<Engine>,
): Promise<number> {
  const { openModel } = await import("../predict/model.js");
  const { evaluateTask } = await import("../predict/evaluate.js");
  const options = {
    split: "dev" as const,
    glueData: "",
    skipBroken: false,
    maxRows: quickstartRows,
    signal: context.signal,
  };
  const taskOf = (name: string) => selections.find(({ task }) => task.name === name)?.task as Task;
  const merged = await openModel(out, context.engine, { taskOf });
  let largest = 0;
  for (const { task, run } of selections) {
    const separate = await openModel(run.folder, context.engine, { taskOf, base: base.name });
    const [a, b] = [await evaluateTask(merged, task, options), await evaluateTask(separate, task, options)];
    separate.dispose();
    for (const [i, logit] of a.logits.data.entries()) {
      largest = Math.max(largest, Math.abs(logit - (b.logits.data[i] as number)));
    }
  }
  merged.dispose();
  if (!(largest <= 1e-5))
    throw failure(`merged and separate logits differ by ${largest}, more than 1e-5: please report it`);
  return largest;
}

async function predictSentences(out: string, tasks: readonly Task[], context: RunContext<Engine>) {
  const { openModel } = await import("../predict/model.js");
  const { computeLogits, toPrediction } = await import("../predict/predict.js");
  const model = await openModel(out, context.engine, {
    taskOf: (name) => tasks.find((task) => task.name === name) as Task,
  });
  const single = model.tasks.filter(({ inputs }) => inputs === "single");
  const rows = SENTENCES.map((sentence) => ({ text: sentence, pair: null }));
  const logits = await computeLogits(model, rows, single, { signal: context.signal });
  model.dispose();
  return rows.flatMap(({ text: sentence }, i) =>
    single.map((task) => {
      const prediction = toPrediction(task, (logits[task.name] as RowLogits).of(i), rows[i] as (typeof rows)[number]);
      return "label" in prediction ? [sentence, task.name, prediction.label, prediction.score.toFixed(2)] : [];
    }),
  );
}
