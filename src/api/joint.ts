// One model of several tasks that are trained together (MT-DNN), heads alone for tasks that it was not trained on, and what both would
// take.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { usageError } from "../errors/errors";
import { placeOf } from "../model/place";
import { type Given, readGiven } from "../options/given";
import type { Values } from "../options/option";
import { settingsOf } from "../options/settings";
import { finetune } from "../recipes/finetune";
import type { PlannedJoint, Samples } from "../recipes/joint";
import { EACH, headSettings, jointSettings, leavingOut } from "../settings/joint";
import { executionSettings, sweepOptions, type TrainingOptions, trainingSettings } from "../settings/training";
import type { Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import { type Call, type Caller, callOf } from "./caller";
import { describeRun, type RunSummary } from "./runs";
import { describeBaseOf, labelledTasks, openSession, seedsOf } from "./session";
import { openTrackers, trackerOptions } from "./trackers";
import { sustainedRate } from "./train/plan";
import { withData } from "./train/sweeps";

export const jointOptions = {
  ...jointSettings,
  ...leavingOut,
  ...headSettings,
  ...sweepOptions,
  ...trackerOptions,
};

export type JointOptions = Given<typeof jointOptions>;

/** A joint model: its folder is a base's, with a run of k = 0 for each of its tasks. */
export interface JointModel {
  readonly folder: string;
  readonly seed: number;
  readonly tasks: readonly string[];
  /** The mean of the tasks' scores in the epoch that was kept. */
  readonly score: number | null;
  /** By task and metric: "rte/accuracy", and "average". */
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly steps: number;
  readonly seconds: number;
  /** Of the tasks that it was not trained on. */
  readonly heads: readonly RunSummary[];
}

export interface JointResult {
  readonly engine: string;
  readonly threads: number;
  /** One a seed, or a seed and task that is left out. */
  readonly models: readonly JointModel[];
}

/**
 * Trains every layer and the embeddings on all of the tasks together, with one output layer a task, and of tasks that are left out a
 * head alone over the frozen model. What is finished stays, what was stopped goes on. Throws UserError (2) for fewer than two tasks to
 * train together, and as `finetune`.
 * @param onModel hears of each model when it is trained, with its heads
 * @param samplesOf how many rows of a task are read, where an experiment says it by task
 */
export async function joint(
  options: JointOptions = {},
  caller: Caller = {},
  onModel: (model: JointModel) => void | Promise<void> = () => undefined,
  samplesOf?: (task: Task) => Samples,
): Promise<JointResult> {
  const call = callOf(caller);
  const values = readGiven(jointOptions, options);
  const trackers = await openTrackers(values, call);
  const plans = await plansOf(values, call, samplesOf);
  const { runJoint } = await import("../recipes/joint.js");
  const session = await openSession(values, call);
  const { summary: engine, threads } = session.engine;
  const context = { ...session, trackers };
  try {
    const models: JointModel[] = [];
    for (const one of plans) {
      const run = await runJoint(one.plan, context);
      const model = describeModel(one, run, await trainHeads(run, one, context));
      models.push(model);
      await onModel(model);
    }
    return { engine, threads, models };
  } finally {
    session.close();
  }
}

/** A head of k = 0 for each task that was left out: the recipe of any k, over the joint model as its base. */
async function trainHeads(
  { folder }: StoredRun,
  { plan: { request }, leftOut, head }: PlannedWithHeads,
  context: RunContext<Engine>,
): Promise<StoredRun[]> {
  if (leftOut.length === 0) return [];
  const { runSweep } = await import("../recipes/sweep.js");
  const { openBase } = await import("../checkpoints/bases/base.js");
  const base = await openBase(folder);
  const variants = [{ place: placeOf(base.config.numHiddenLayers, 0), options: {} }];
  const runs: StoredRun[] = [];
  for (const task of leftOut) {
    const { seed, samplesOf } = request;
    const run = { ...request.run, ...samplesOf?.(task) };
    runs.push(
      ...(await runSweep({ recipe: finetune, task, base, variants, seeds: [seed], training: head, run }, context)),
    );
  }
  return runs;
}

/** What {@link joint} would train. */
export interface PlannedModel {
  readonly folder: string;
  readonly seed: number;
  readonly tasks: readonly string[];
  readonly leftOut: readonly string[];
  readonly trainable: number;
  readonly steps: number;
  readonly memoryBytes: number;
  /** Without its heads, over which the frozen model passes once. */
  readonly seconds: number;
  readonly finished: boolean;
}

/** Reads the data and trains nothing. Throws as {@link joint} does before it trains. */
export async function planJoint(options: JointOptions = {}, caller: Caller = {}): Promise<PlannedModel[]> {
  const call = callOf(caller);
  const values = readGiven(jointOptions, options);
  const plans = await plansOf(values, call);
  const session = await openSession(values, call);
  const { estimateJoint } = await import("../recipes/joint-plan.js");
  const { finishedRun } = await import("../recipes/trial/trial.js");
  try {
    const rate = await sustainedRate(session.engine);
    const models: PlannedModel[] = [];
    for (const one of plans) {
      const { flops, ...estimate } = estimateJoint(one.plan);
      const finished = (await finishedRun(one.plan.trial, one.plan.request.run.force)) !== null;
      const leftOut = one.leftOut.map(({ name }) => name);
      models.push({ ...namesOf(one), leftOut, ...estimate, seconds: flops / rate, finished });
    }
    return models;
  } finally {
    session.close();
  }
}

interface PlannedWithHeads {
  readonly plan: PlannedJoint;
  readonly leftOut: readonly Task[];
  /** How their heads are trained. */
  readonly head: TrainingOptions;
}

async function plansOf(
  values: Values<typeof jointOptions>,
  call: Call,
  samplesOf?: (task: Task) => Samples,
): Promise<PlannedWithHeads[]> {
  const { base, tasks: found } = await withData(values, describeBaseOf, call);
  const choices = choicesOf(await labelledTasks(found, call, values.labels), values.leaveOut);
  const { planJoint: plan } = await import("../recipes/joint.js");
  const training = settingsOf(trainingSettings, values);
  const run = settingsOf(executionSettings, values);
  const head = { ...training, learningRate: values.headLearningRate, epochs: values.headEpochs ?? training.epochs };
  const plans: PlannedWithHeads[] = [];
  for (const { tasks, leftOut } of choices) {
    for (const seed of seedsOf(values)) {
      const planned = await plan({ tasks, base, mixing: values.mixing, training, run, samplesOf, seed });
      plans.push({ plan: planned, leftOut, head });
    }
  }
  return plans;
}

interface Choice {
  readonly tasks: readonly Task[];
  readonly leftOut: readonly Task[];
}

/** Which tasks train together, and which are left out; several where each is left out once. */
function choicesOf(tasks: readonly Task[], asked: string | undefined): Choice[] {
  const known = tasks.map(({ name }) => name);
  const left = asked === undefined ? [[]] : asked === EACH ? known.map((name) => [name]) : [asked.split(",")];
  const strange = left.flat().find((name) => !known.includes(name));
  if (strange !== undefined) {
    throw usageError(`--leave-out ${strange}: it is none of ${known.join(", ")}. Name some of them, or ${EACH}`);
  }
  const choices = left.map((names) => ({
    tasks: tasks.filter(({ name }) => !names.includes(name)),
    leftOut: tasks.filter(({ name }) => names.includes(name)),
  }));
  const small = choices.find((choice) => choice.tasks.length < 2);
  if (!small) return choices;
  const [one] = small.tasks;
  throw usageError(
    `joint trains several tasks together, and ${one ? `${one.name} alone is left` : "none is left"}. Give --task with more`,
  );
}

const namesOf = ({ plan: { trial, request, tasks } }: PlannedWithHeads) => ({
  ...{ folder: trial.folder, seed: request.seed },
  tasks: tasks.map(({ task }) => task.name),
});

const describeModel = (one: PlannedWithHeads, { record }: StoredRun, heads: readonly StoredRun[]): JointModel => ({
  ...namesOf(one),
  ...{ score: record.score, metrics: record.metrics, steps: record.steps, seconds: record.seconds },
  heads: heads.map(describeRun),
});
