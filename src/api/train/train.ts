// Training by a recipe: a sweep of each task, what came of it, and what it would take.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { formatScore } from "../../messages/quantities";
import { adapterOf } from "../../model/adapters/adapters";
import { type Given, readGiven } from "../../options/given";
import type { Definitions } from "../../options/option";
import { withDefaults } from "../../options/settings";
import { distill as distillation } from "../../recipes/distill";
import { finetune as finetuning } from "../../recipes/finetune";
import type { SearchReport } from "../../recipes/halving/rule";
import type { Recipe } from "../../recipes/recipe";
import type { Sweep } from "../../recipes/sweep";
import type { SweepSettings } from "../../recipes/trial/variants";
import { sweepOptions } from "../../settings/training";
import { type Call, type Caller, callOf } from "../caller";
import { describeRun, type RunSummary } from "../runs";
import { openBaseOf, openSession } from "../session";
import { type Standing, standingOf } from "../stored-runs";
import { openTrackers, type TrackerValues, trackerOptions } from "../trackers";
import { sweepsOf, type TrainingValues } from "./sweeps";

const shared = { ...sweepOptions, ...trackerOptions };

/** A recipe's own options and those of all training, in the order of its command's help. */
export const trainOptions = (recipe: Recipe): Definitions => ({
  ...(recipe.options as Definitions),
  ...withDefaults(shared, recipe.defaults ?? {}),
});

export type FinetuneOptions = Given<typeof finetuning.options & typeof shared>;
export type DistillOptions = Given<typeof distillation.options & typeof shared>;
export type TrainGiven = Readonly<Record<string, unknown>>;

export interface TrainedTask {
  readonly task: string;
  readonly runs: readonly RunSummary[];
  /** The folder of the run that distillation learns from; null where none shares a trunk, and `k=full` would teach. */
  readonly teacher: string | null;
  /** Where teachers were trained over several k: what halving stopped, or would have. */
  readonly search?: SearchReport | null;
}

export interface TrainResult {
  /** What ran it, in words. */
  readonly engine: string;
  readonly threads: number;
  readonly tasks: readonly TrainedTask[];
}

/**
 * Trains the top k layers of each task, for one k or a sweep. What is finished stays, what was stopped goes on.
 * Throws UserError (3) for data that is missing or broken, (2) for a k above the base's layers, (1) for a full disk or a
 * loss that diverges; Interrupted, with the state saved, when the caller's signal is aborted.
 */
export const finetune = (options: FinetuneOptions = {}, caller: Caller = {}): Promise<TrainResult> =>
  train(finetuning, options, callOf(caller));

/** Trains small students of each task's teacher. Throws as {@link finetune}, and UserError (4) for a task without a teacher. */
export const distill = (options: DistillOptions = {}, caller: Caller = {}): Promise<TrainResult> =>
  train(distillation, options, callOf(caller));

/** A task as it was trained, before it is described. */
export interface TrainedSweep {
  readonly sweep: Sweep;
  readonly runs: readonly StoredRun[];
  /** Of what makes teachers: all runs that compare with these, and what they choose. */
  readonly standing: Standing | null;
  readonly search: SearchReport | null;
}

/** Trains by any recipe. @param onTask hears of each task when it is trained */
export async function train(
  recipe: Recipe,
  given: TrainGiven,
  call: Call,
  onTask: (trained: TrainedSweep) => void | Promise<void> = () => undefined,
): Promise<TrainResult> {
  const values = readGiven(trainOptions(recipe), given) as TrainingValues & TrackerValues;
  const trackers = await openTrackers(values, call);
  const sweeps = await sweepsOf(recipe, values, openBaseOf, call);
  const { readSweep, runSweep } = await import("../../recipes/sweep.js");
  const read: (SweepSettings | null)[] = [];
  // A broken file of the last task should not come to light after the hours that the first ones take.
  if (recipe.makes === "teachers" && sweeps.length > 1) for (const sweep of sweeps) read.push(await readSweep(sweep));
  const session = await openSession(values, call);
  const { summary: engine, threads } = session.engine;
  try {
    const tasks: TrainedTask[] = [];
    for (const [i, sweep] of sweeps.entries()) {
      const settings = read[i] ?? null;
      read[i] = null; // held until its trials are done, and no longer
      const trained = await judge(sweep, await runSweep(sweep, { ...session, trackers }, settings), values, call);
      await onTask(trained);
      tellStanding(trained, call);
      tasks.push(describe(trained));
    }
    return { engine, threads, tasks };
  } finally {
    session.close();
  }
}

async function judge(
  sweep: Sweep,
  runs: readonly StoredRun[],
  { chooseBy: by }: TrainingValues,
  call: Call,
): Promise<TrainedSweep> {
  const { recipe, base, task, run } = sweep;
  if (recipe.makes === "students") return { sweep, runs, standing: null, search: null };
  const standing = await standingOf(runs, { base, task, checkpoints: run.checkpoints, by }, call);
  if (runs.some(isAdapted)) return { sweep, runs, standing, search: null };
  const { reportSearch } = await import("../../recipes/halving/rule.js");
  return { sweep, runs, standing, search: await reportSearch(runs, task.metric, by) };
}

const isAdapted = ({ record }: StoredRun): boolean => adapterOf(record.options) !== null;

/** What a table of scores by k does not say of the runs in it. */
function tellStanding({ sweep: { task }, standing }: TrainedSweep, { reporter }: Call): void {
  if (!standing) return;
  const { comparable, teacher } = standing;
  const settings = differingOptions(comparable);
  if (settings.length > 0) {
    reporter.log(`${task.name}: its runs differ in ${settings.join(", ")} too; flexbert report keeps them apart`);
  }
  if (teacher && !comparable.includes(teacher) && !comparable.some(isAdapted)) {
    const { layers, seed, score, devData } = teacher.record;
    reporter.log(
      `${task.name}: a quick look. The teacher stays k=${layers} seed ${seed}, ${formatScore(score)} points on ${devData.rows} dev rows`,
    );
  }
}

/** Names of the options in which runs differ. */
function differingOptions(runs: readonly StoredRun[]): string[] {
  const names = new Set(runs.flatMap(({ record }) => Object.keys(record.options)));
  const values = (name: string) => new Set(runs.map(({ record }) => JSON.stringify(record.options[name])));
  return [...names].filter((name) => values(name).size > 1).map((name) => `--${kebabCase(name)}`);
}

const kebabCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function describe({ sweep, runs, standing, search }: TrainedSweep): TrainedTask {
  const task = sweep.task.name;
  if (!standing) return { task, teacher: sweep.teacher?.folder ?? null, runs: runs.map(describeRun) };
  return { task, runs: runs.map(describeRun), teacher: standing.teacher?.folder ?? null, search };
}
