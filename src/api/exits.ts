// Early exits of a task's run: ramps are trained where there are none, and a rule is decided on dev rows.

import { readRecord, recordedTasksFile, type StoredRun } from "../checkpoints/runs/run-folder";
import { asDecided } from "../checkpoints/runs/tuned";
import { modelError, usageError } from "../errors/errors";
import { askedOf } from "../exits/asked";
import type { DecidedExits } from "../exits/exits";
import { formatScore } from "../messages/quantities";
import { headParameterCount } from "../model/head-parameters";
import { kOf } from "../model/place";
import { type Given, readGiven } from "../options/given";
import { optional, type Values } from "../options/option";
import { text } from "../options/readers";
import { settingsOf, withDefaults } from "../options/settings";
import type { PlannedRamps, RampsRequest } from "../recipes/exits";
import type { CurvePoint } from "../recipes/ramps/curve";
import type { RampScore } from "../recipes/ramps/decision";
import type { LeavingBy } from "../recipes/ramps/judge";
import type { DecidedRamps } from "../recipes/ramps/of-run";
import { exitSettings, rampDefaults } from "../settings/exits";
import { executionSettings, maxLength, sweepOptions, trainingSettings } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import { type Call, type Caller, callOf } from "./caller";
import { mergeOptions } from "./merge/merge";
import { describeRun, type RunSummary } from "./runs";
import { chosenTasks, describeBaseOf, labelledTasks, openSession, seedsOf } from "./session";
import { findTeachers, hasRuns } from "./stored-runs";
import { openTrackers, trackerOptions } from "./trackers";

const { maxLength: _, ...shared } = sweepOptions;

export const exitsOptions = {
  ...exitSettings,
  run: optional(text, {
    flag: "--run",
    value: "<folder>",
    help: "a finished run, a student's too (default each task's teacher)",
  }),
  select: optional(text, {
    ...mergeOptions.select,
    help: "the runs that merge takes with this --select: teacher, best, kd-2, ..., or select's file",
    excludes: "--run",
  }),
  ...withDefaults(shared, rampDefaults),
  maxLength: optional(maxLength.maxLength.read, {
    ...maxLength.maxLength,
    fallback: undefined,
    help: "as the run's, which decides it",
  }),
  ...trackerOptions,
};

export type ExitsOptions = Given<typeof exitsOptions>;

type ExitsValues = Values<typeof exitsOptions>;

/** The ramps of a run, and what was decided of them. */
export interface TaskExits {
  readonly task: string;
  /** The run that they are ramps of, and its score. */
  readonly model: { readonly folder: string; readonly score: number | null };
  /** Those that were decided on. */
  readonly ramps: RunSummary;
  /** Those of other seeds, where several were asked for. */
  readonly passedOver: readonly RunSummary[];
  /** Of all ramps' weights. */
  readonly bytes: number;
  readonly scores: readonly RampScore[];
  /** null where no rule holds what was asked, or none pays: `why` says it. */
  readonly exits: DecidedExits | null;
  readonly why?: string;
  /** In words, what a rule keeps, and counts as lost. */
  readonly kept: string;
  /**
   * Whether it is what predict, eval and merge go by from now on, in place of what was decided before. A look at some of the dev rows
   * (maxEvalSamples) is not, unless the run itself was scored on them.
   */
  readonly stored: boolean;
  /** Score against layers on dev as the threshold moves, from none leaves on and with the rule's own; through the ramps that are asked, or all where there is no rule. */
  readonly curve: readonly CurvePoint[];
}

export interface ExitsResult {
  readonly engine: string;
  readonly threads: number;
  readonly tasks: readonly TaskExits[];
}

/**
 * Trains ramps on every layer under the top of a finished run's way, all of which is frozen, and decides where texts may leave. What is
 * trained stays, and is decided on again; the last decision counts. Throws UserError (2) for a task whose kind has no exits, or a budget
 * beside a share to keep, (4) for no finished run, Interrupted, with the state saved, when the caller's signal is aborted.
 * @param onTask hears of each task's ramps when they are decided on
 */
export async function exits(
  options: ExitsOptions = {},
  caller: Caller = {},
  onTask: (decided: TaskExits) => void = () => undefined,
): Promise<ExitsResult> {
  const call = callOf(caller);
  const values = readGiven(exitsOptions, options);
  const trackers = await openTrackers({ ...values, offline: false }, call);
  const asked = askedOf(values);
  const plans = await plansOf(values, call);
  const session = await openSession(values, call);
  const { summary: engine, threads } = session.engine;
  const { decideRamps } = await import("../recipes/ramps/of-run.js");
  try {
    const tasks: TaskExits[] = [];
    for (const { plan, by } of plans) {
      const decided = describeDecided(await decideRamps(plan, by, asked, { ...session, trackers }));
      tasks.push(decided);
      onTask(decided);
    }
    return { engine, threads, tasks };
  } finally {
    session.close();
  }
}

/** What {@link exits} would train. */
export interface PlannedExits {
  readonly task: string;
  readonly model: string;
  readonly folder: string;
  readonly seed: number;
  /** Layers that ramps stand on. */
  readonly layers: readonly number[];
  readonly parameters: number;
  readonly bytes: number;
  readonly steps: number;
  /** Of what the ramps read of all rows. */
  readonly stateBytes: number;
  readonly finished: boolean;
}

/** Reads the data and trains nothing. Throws as {@link exits} does before it trains. */
export async function planExits(options: ExitsOptions = {}, caller: Caller = {}): Promise<PlannedExits[]> {
  const call = callOf(caller);
  const values = readGiven(exitsOptions, options);
  askedOf(values);
  const plans = await plansOf(values, call);
  const { stepsPerEpoch } = await import("../batches/batches.js");
  const { finishedRun } = await import("../recipes/trial/trial.js");
  const planned: PlannedExits[] = [];
  for (const { plan } of plans) {
    const { request, data, layers, trials } = plan;
    const { task, base, model, training, run } = request;
    const parameters = parametersOf(plan);
    const rows = data.train.lengths.length + data.dev.lengths.length;
    for (const { trial, settings } of trials) {
      planned.push({
        ...{ task: task.name, model: model.folder, folder: trial.folder, seed: settings.seed, layers, parameters },
        bytes: 4 * parameters,
        steps: training.epochs * stepsPerEpoch(data.train.lengths.length, training.batchSize),
        stateBytes: 4 * rows * layers.length * base.config.hiddenSize,
        finished: (await finishedRun(trial, run.force)) !== null,
      });
    }
  }
  return planned;
}

interface PlannedTask {
  readonly plan: PlannedRamps;
  readonly by: LeavingBy;
}

/** What cannot leave as it was asked is refused by name before any is trained. */
async function plansOf(values: ExitsValues, call: Call): Promise<PlannedTask[]> {
  const { planRamps } = await import("../recipes/exits.js");
  const { leavingBy } = await import("../recipes/ramps/judge.js");
  const requests =
    values.run !== undefined
      ? [await ofRun(values.run, values, call)]
      : await (values.select === undefined ? ofTeachers : ofSelected)(values, call);
  const plans: PlannedTask[] = [];
  for (const request of requests) {
    const by = leavingBy(request.task, values.criterion);
    plans.push({ by, plan: await planRamps(request) });
  }
  return plans;
}

/** Of every named task its teacher; without names of every task that has one and can have exits. */
async function ofTeachers(values: ExitsValues, call: Call): Promise<RampsRequest[]> {
  const base = await describeBaseOf(values, call);
  const chosen = await chosenTasks(values, (task) => hasRuns(base, task, values.checkpoints, call));
  const named = values.task !== undefined && values.task !== "all";
  const able = chosen.filter((task) => named || task.kind.leaving);
  for (const { name, kind } of chosen.filter((task) => !able.includes(task))) {
    call.reporter.log(`left out: ${name}, because tasks of ${kind.name} have no early exits`);
  }
  if (able.length === 0) {
    throw modelError(
      `no run in ${values.checkpoints} for the base ${base.name} that could have exits. Run: flexbert finetune --task NAME`,
    );
  }
  const requests: RampsRequest[] = [];
  for (const task of await labelledTasks(able, call, values.labels)) {
    const { teacher } = await findTeachers(base, task, values, call);
    const { seed, score } = teacher.record;
    call.reporter.log(
      `${task.name}: ramps of the teacher, k=${kOf(teacher.record)} seed ${seed}, ${formatScore(score)} points`,
    );
    requests.push(requestOf(teacher, task, base, values));
  }
  return requests;
}

/** Of the very runs that merge takes. */
async function ofSelected(values: ExitsValues, call: Call): Promise<RampsRequest[]> {
  const { chooseRuns } = await import("./merge/choose.js");
  const base = await describeBaseOf(values, call);
  const chosen = await chooseRuns(base, { ...values, allowUnshared: false }, call);
  const requests: RampsRequest[] = [];
  for (const { task, run } of chosen) {
    if (task.kind.leaving) requests.push(await ofRun(run.folder, { ...values, task: undefined }, call));
    else call.reporter.log(`left out: ${task.name}, because tasks of ${task.kind.name} have no early exits`);
  }
  return requests;
}

async function ofRun(folder: string, values: ExitsValues, call: Call): Promise<RampsRequest> {
  const record = await readRecord(folder);
  if (!record) throw modelError(`${folder} is no run folder. Give --run with one, or --task NAME`);
  if (record.state !== "finished") throw modelError(`${folder} is not finished. Repeat the command that began it`);
  if (values.task !== undefined && values.task !== record.task) {
    throw usageError(
      `--run ${folder} is a run of ${record.task}, and --task says ${values.task}. Leave one of them out`,
    );
  }
  const tasks = values.tasks ?? (await recordedTasksFile(folder)) ?? undefined;
  const chosen = await chosenTasks({ task: record.task, tasks }, () => true);
  const given = chosen.some(({ labelsFrom }) => labelsFrom) ? [...record.labels] : undefined;
  const [task] = await labelledTasks(chosen, call, given);
  const { name, lowerCase } = record.base;
  // Whoever names a base has it lie elsewhere; a default is none that was named.
  const { base: fallback } = sweepOptions;
  const asked = values.base === fallback.fallback ? name : values.base;
  const base = await describeBaseOf({ base: asked, lowerCase }, call);
  return requestOf({ folder, record }, task as Task, base, values);
}

function requestOf(model: StoredRun, task: Task, base: RampsRequest["base"], values: ExitsValues): RampsRequest {
  const length = values.maxLength ?? model.record.options.maxLength;
  return {
    ...{ model, task: asDecided(task, model), base, seeds: seedsOf(values) },
    training: settingsOf(trainingSettings, { ...values, maxLength: length }),
    run: settingsOf(executionSettings, values),
  };
}

const parametersOf = ({ request: { task, base }, layers }: PlannedRamps): number =>
  layers.length * headParameterCount(headOf(task, base.config));

function describeDecided({ plan, ramps, passedOver, decision, ...shown }: DecidedRamps): TaskExits {
  const { task, model } = plan.request;
  return {
    task: task.name,
    model: { folder: model.folder, score: model.record.score },
    ramps: describeRun(ramps),
    passedOver: passedOver.map(describeRun),
    bytes: 4 * parametersOf(plan),
    ...decision,
    ...shown,
  };
}
