// From a line of the plan to a trial with its id and folder. That needs the task's data and the base, and of a student
// its teacher too: the best of the experiment's own trials that make teachers, known once all of them are finished.
// Everything is read from run folders, so every process comes to the same answer.

import path from "node:path";
import type { BaseDescription } from "../checkpoints/bases/base";
import { type RunRecord, readRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { mayTeach } from "../recipes/recipe";
import { readTaskData, type TaskData } from "../recipes/trial/task-data";
import { type SweepTrial, storedRun } from "../recipes/trial/trial";
import { isNeeded, readTransfers, type SweepSettings, sweepTrial, transferKey } from "../recipes/trial/variants";
import { fullRun, seedsOf, teachingRun } from "../selection/teacher";
import type { samples } from "../settings/tasks";
import type { ExecutionOptions } from "../settings/training";
import type { Task } from "../tasks/task";
import type { TrialSpec, Trials } from "./plan";
import type { Experiment } from "./read";

/** How this process does its work; data limits are the experiment's. */
export type WorkOfCall = Omit<ExecutionOptions, keyof typeof samples | "force">;

type Transfers = NonNullable<SweepSettings["transfers"]>;

export type Resolution =
  | (SweepTrial & { readonly kind: "trial"; readonly sweep: SweepSettings })
  /** No teacher yet: trials of its task that make one are not finished. */
  | { readonly kind: "waiting" }
  /** The teacher is no larger than the student would be: the task keeps its teacher. */
  | { readonly kind: "unneeded" };

export interface Force {
  /** Whether a trial is to be trained again. */
  readonly includes: (spec: TrialSpec) => boolean;
  /** When this process began (ISO): what began or ended later, in any process, is not trained yet again. */
  readonly since: string;
}

export interface Resolver {
  readonly experiment: Experiment;
  readonly base: BaseDescription;
  readonly trials: Trials;
  /** A task's rows, read and encoded once. */
  data(task: Task): Promise<TaskData>;
  run(task: Task): ExecutionOptions;
  resolve(spec: TrialSpec): Promise<Resolution>;
  /** The finished run of a trial, "unneeded", or null where there is work left or a teacher to wait for. */
  outcome(spec: TrialSpec): Promise<StoredRun | "unneeded" | null>;
  /** Whether a record counts as finished, or as begun, in view of --force. */
  counts(spec: TrialSpec, record: RunRecord | null): boolean;
  /** The teacher of a task; null before all its trials that make teachers are finished. */
  teacher(task: Task): Promise<StoredRun | null>;
  /**
   * Makes a run the teacher of its task, before all are finished that might be: where a search has decided.
   * @param runs among which its other seeds are
   */
  fixTeacher(task: Task, teacher: StoredRun, runs: readonly StoredRun[]): void;
}

/** @param remember false: for one pass over any number of trials, of which none is kept but whether tasks have a teacher */
export function createResolver(
  experiment: Experiment,
  base: BaseDescription,
  trials: Trials,
  work: WorkOfCall,
  force: Force | null = null,
  remember = true,
): Resolver {
  const data = new Map<Task, Promise<TaskData>>();
  const resolved = new Map<number, Resolution>();
  const outcomes = new Map<number, StoredRun | "unneeded">();
  const transfers = new Map<string, Promise<Transfers>>();
  const untaught = new Set<Task>();
  type Teachers = { readonly teacher: StoredRun; readonly seedsOfTeacher: readonly StoredRun[] };
  const teachers = new Map<Task, Teachers>();
  const full = new Map<Task, Teachers>();

  const resolver: Resolver = {
    experiment,
    base,
    trials,
    data(task) {
      const reading = data.get(task) ?? readTaskData(task, base, experiment.maxLength, resolver.run(task));
      data.set(task, reading);
      return reading;
    },
    run: (task) => ({
      ...work,
      ...experiment.samples(task),
      skipBrokenRows: experiment.skipBrokenRows,
      ...(experiment.maxBrokenRows === undefined ? {} : { maxBrokenRows: experiment.maxBrokenRows }),
      force: false,
    }),
    async resolve(spec) {
      const known = resolved.get(spec.index);
      if (known) return known;
      const found = await find(spec);
      if (remember && found.kind !== "waiting") resolved.set(spec.index, found);
      return found;
    },
    async outcome(spec) {
      const known = outcomes.get(spec.index);
      if (known) return known;
      const found = await resolver.resolve(spec);
      if (found.kind === "waiting") return null;
      const outcome = found.kind === "unneeded" ? found.kind : await finished(spec, found.trial);
      if (remember && outcome) outcomes.set(spec.index, outcome);
      return outcome;
    },
    counts(spec, record) {
      if (!record) return false;
      if (!force?.includes(spec)) return true;
      return record.startedAt >= force.since || (record.finishedAt ?? "") >= force.since;
    },
    fixTeacher(task, teacher, runs) {
      teachers.set(task, { teacher, seedsOfTeacher: seedsOf(teacher, runs) });
    },
    teacher: async (task) => (await teachersOf(task))?.teacher ?? null,
  };

  const teachersOf = async (task: Task, isFull = false) => {
    const chosen = isFull ? full : teachers;
    const known = chosen.get(task);
    if (known || untaught.has(task)) return known ?? null;
    const found = await chooseTeacher(task, isFull);
    if (found) chosen.set(task, found);
    else if (!remember) untaught.add(task); // else each student would read all runs of its task once more
    return found;
  };

  const chooseTeacher = async (task: Task, isFull: boolean): Promise<Teachers | null> => {
    const runs: StoredRun[] = [];
    for (const spec of trials) {
      if (!mayTeach(spec) || spec.task !== task) continue;
      const run = await resolver.outcome(spec);
      if (run === null || run === "unneeded") return null;
      runs.push(run);
    }
    // Ties go by the order of folders, as in the commands that read the same folders.
    const byFolder = runs.sort((a, b) => (path.basename(a.folder) < path.basename(b.folder) ? -1 : 1));
    const teacher = isFull ? fullRun(byFolder) : teachingRun(byFolder, experiment.chooseBy);
    return teacher ? { teacher, seedsOfTeacher: seedsOf(teacher, runs) } : null;
  };

  /** Texts without labels, which are read once for all trials of a task that ask for the same. */
  const transfersOf = async (task: Task, { transfer }: TrialSpec): Promise<Transfers> => {
    if (!transfer) return new Map();
    const key = `${task.name} ${transferKey(transfer)}`;
    const places = { tasks: experiment.known, all: experiment.tasks, folder: path.dirname(experiment.file) };
    const reading = transfers.get(key) ?? readTransfers([{ transfer }], task, places, resolver.run(task));
    transfers.set(key, reading);
    return reading;
  };

  const finished = async (spec: TrialSpec, trial: StoredRun): Promise<StoredRun | null> => {
    const record = await readRecord(trial.folder);
    return record?.state === "finished" && resolver.counts(spec, record) ? { folder: trial.folder, record } : null;
  };

  const find = async (spec: TrialSpec): Promise<Resolution> => {
    const { recipe, task, seed, training } = spec;
    const found = recipe.makes === "students" ? await teachersOf(task, spec.fullTeacher) : null;
    if (recipe.makes === "students" && !found) return { kind: "waiting" };
    const teacher = found?.teacher ?? null;
    if (!isNeeded(spec, teacher)) return { kind: "unneeded" };
    const transfers = await transfersOf(task, spec);
    const sweep: SweepSettings = {
      transfers,
      recipe,
      task,
      base,
      training,
      teacher,
      ...found,
      data: await resolver.data(task),
    };
    const { place, init, initLayers, teachers: count, fullTeacher, transfer, options } = spec;
    const start = { ...(init ? { init } : {}), ...(initLayers ? { initLayers } : {}) };
    const several = { ...(count ? { teachers: count } : {}), ...(transfer ? { transfer } : {}) };
    const by = fullTeacher ? { fullTeacher } : {};
    const variant = { place, ...start, ...several, ...by, options };
    const resolution = (settings: SweepSettings): Resolution => {
      return { kind: "trial", sweep: settings, ...sweepTrial(settings, variant, seed, work.checkpoints) };
    };
    const former = spec.former && resolution({ ...sweep, training: spec.former });
    return former?.kind === "trial" && (await storedRun(former.trial)) ? former : resolution(sweep);
  };

  return resolver;
}
