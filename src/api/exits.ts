// Early exits of a task's run: ramps are trained where there are none, and a rule is decided on dev rows.

import { readRecord, recordedTasksFile, type StoredRun } from "../checkpoints/runs/run-folder";
import { asDecided } from "../checkpoints/runs/tuned";
import { modelError, usageError } from "../errors/errors";
import type { DecidedExits } from "../exits/exits";
import { formatScore } from "../messages/quantities";
import { kOf } from "../model/place";
import { type Given, readGiven } from "../options/given";
import { optional, type Values } from "../options/option";
import { text } from "../options/readers";
import { settingsOf, withDefaults } from "../options/settings";
import type { PlannedRamps, RampsRequest } from "../recipes/exits";
import type { CurvePoint } from "../recipes/ramps/decide";
import { exitSettings, rampDefaults } from "../settings/exits";
import { executionSettings, maxLength, sweepOptions, trainingSettings } from "../settings/training";
import type { Task } from "../tasks/task";
import { type Call, type Caller, callOf } from "./caller";
import { describeRun, type RunSummary } from "./runs";
import { chosenTasks, describeBaseOf, labelledTasks, openSession, type Session, seedsOf } from "./session";
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

export interface RampScore {
  /** Encoder layers under it. */
  readonly layer: number;
  /** On dev, a fraction. */
  readonly score: number | null;
}

/** The ramps of one seed, and what was decided of them. */
export interface TaskExits {
  readonly task: string;
  /** The run that they are ramps of, and its score. */
  readonly model: { readonly folder: string; readonly score: number | null };
  readonly ramps: RunSummary;
  /** Of all ramps' weights. */
  readonly bytes: number;
  readonly scores: readonly RampScore[];
  /** null where no rule holds what was asked, or none pays: `why` says it. */
  readonly exits: DecidedExits | null;
  readonly why?: string;
  /** Score against layers on dev as the threshold moves, through the ramps that are asked; through all where none is. */
  readonly curve: readonly CurvePoint[];
}

export interface ExitsResult {
  readonly engine: string;
  readonly threads: number;
  readonly tasks: readonly TaskExits[];
}

/**
 * Trains ramps on every layer under the top of a finished run's way, all of which is frozen, and decides where texts may leave. What is
 * trained stays, and is decided on again. Throws UserError (2) for a task whose kind has no exits, (4) for no finished run, Interrupted,
 * with the state saved, when the caller's signal is aborted.
 * @param onTask hears of each seed's ramps when they are decided on
 */
export async function exits(
  options: ExitsOptions = {},
  caller: Caller = {},
  onTask: (decided: TaskExits) => void = () => undefined,
): Promise<ExitsResult> {
  const call = callOf(caller);
  const values = readGiven(exitsOptions, options);
  const trackers = await openTrackers({ ...values, offline: false }, call);
  const plans = await plansOf(values, call);
  const session = await openSession(values, call);
  const { summary: engine, threads } = session.engine;
  try {
    const tasks: TaskExits[] = [];
    for (const plan of plans) {
      for (const decided of await decideAll(plan, values, { ...session, trackers })) {
        tasks.push(decided);
        onTask(decided);
      }
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
  const plans = await plansOf(values, call);
  const { stepsPerEpoch } = await import("../batches/batches.js");
  const { headParameterCount } = await import("../model/head-parameters.js");
  const { finishedRun } = await import("../recipes/trial/trial.js");
  const { headOf } = await import("../tasks/task.js");
  const planned: PlannedExits[] = [];
  for (const { request, data, layers, trials } of plans) {
    const { task, base, model, training, run } = request;
    const parameters = layers.length * headParameterCount(headOf(task, base.config));
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

async function plansOf(values: ExitsValues, call: Call): Promise<PlannedRamps[]> {
  const { planRamps } = await import("../recipes/exits.js");
  const requests = values.run === undefined ? await ofTeachers(values, call) : [await ofRun(values.run, values, call)];
  const plans: PlannedRamps[] = [];
  for (const request of requests) plans.push(await planRamps(request));
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
  const { leavingOf } = await import("../recipes/ramps/decide.js");
  const requests: RampsRequest[] = [];
  for (const task of await labelledTasks(able, call, values.labels)) {
    leavingOf(task); // refused by name before any is trained
    const { teacher } = await findTeachers(base, task, values, call);
    const { seed, score } = teacher.record;
    call.reporter.log(
      `${task.name}: ramps of the teacher, k=${kOf(teacher.record)} seed ${seed}, ${formatScore(score)} points`,
    );
    requests.push(requestOf(teacher, task, base, values));
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

async function decideAll(
  plan: PlannedRamps,
  values: ExitsValues,
  context: Session & { readonly trackers: Awaited<ReturnType<typeof openTrackers>> },
): Promise<TaskExits[]> {
  const { trainRamps } = await import("../recipes/exits.js");
  const { rampOutputs } = await import("../recipes/ramps/outputs.js");
  const decide = await import("../recipes/ramps/decide.js");
  const { eachRamp } = await import("../recipes/ramps/task.js");
  const { scoreLogits } = await import("../training/loop/branch-source.js");
  const { rowLogits } = await import("../batches/row-logits.js");
  const { headParameterCount } = await import("../model/head-parameters.js");
  const { headOf, outputSize } = await import("../tasks/task.js");
  const { thresholdGrid } = await import("../exits/thresholds.js");
  const { request, data, layers } = plan;
  const { task, base, model } = request;
  const { keep, confidence, criterion, budget } = values;
  const asked = { keep: keep / 100, confidence: confidence / 100, budget };
  const decided: TaskExits[] = [];
  await trainRamps(plan, context, async (ramps, rows) => {
    const outputs = await rampOutputs(ramps, task, layers, rows, context);
    const judged = decide.judgesOf(outputs, task, data, criterion);
    const decision = decide.decideExits(outputs, judged, data, base.config, asked);
    await decide.writeExits(ramps, decision.exits);
    const width = outputSize(task);
    const own = eachRamp(outputs.dev.data, layers.length, width);
    decided.push({
      task: task.name,
      model: { folder: model.folder, score: model.record.score },
      ramps: describeRun(ramps),
      bytes: 4 * layers.length * headParameterCount(headOf(task, base.config)),
      scores: layers.map((layer, i) => {
        const logits = own[i] as Float32Array;
        return { layer, score: scoreLogits(task, rowLogits(logits, width), data.dev.labels).score };
      }),
      exits: decision.exits,
      ...("why" in decision ? { why: decision.why } : {}),
      curve: decide.exitCurve(
        outputs.dev,
        task,
        data,
        judged.judges.dev,
        decision.exits?.stops ?? layers,
        thresholdGrid(judged.most, CURVE_POINTS),
      ),
    });
  });
  return decided;
}

/** Of the curve that results have. */
const CURVE_POINTS = 16;
