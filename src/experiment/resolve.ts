// From a line of the plan to a trial with its id and folder. Fine-tuning needs the task's data and the base for that,
// distillation its teacher too: the best of the experiment's own fine-tuning trials, known once all of them are
// finished. Everything is read from run folders, so every process comes to the same answer.

import path from "node:path";
import type { Base } from "../checkpoints/bases/base";
import { type RunRecord, readRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import type { Place } from "../model/place";
import { studentSettings } from "../recipes/distill";
import { readTaskData, type TaskData } from "../recipes/trial/task-data";
import { describeTrial, type TrialSettings } from "../recipes/trial/trial";
import { chooseTeacher } from "../selection/teacher";
import type { samples } from "../settings/tasks";
import type { RunOptions } from "../settings/training";
import type { Task } from "../tasks/task";
import type { TrialSpec } from "./plan";
import type { Experiment } from "./read";

/** How this process does its work; data limits are the experiment's. */
export type WorkOfCall = Omit<RunOptions, keyof typeof samples | "force">;

export type Resolution =
  | {
      readonly kind: "trial";
      readonly settings: TrialSettings;
      readonly trial: StoredRun;
      readonly teacher?: StoredRun;
    }
  /** No teacher yet: fine-tuning of its task is not finished. */
  | { readonly kind: "waiting" }
  /** The teacher has no more layers than the student would have: the task keeps its teacher. */
  | { readonly kind: "unneeded" };

export interface Force {
  /** Whether a trial is to be trained again. */
  readonly includes: (spec: TrialSpec) => boolean;
  /** When this process began (ISO): what began or ended later, in any process, is not trained yet again. */
  readonly since: string;
}

export interface Resolver {
  readonly experiment: Experiment;
  readonly base: Base;
  readonly trials: readonly TrialSpec[];
  /** A task's rows, read and encoded once. */
  data(task: Task): Promise<TaskData>;
  run(task: Task): RunOptions;
  resolve(spec: TrialSpec): Promise<Resolution>;
  /** The finished run of a trial, "unneeded", or null where there is work left or a teacher to wait for. */
  outcome(spec: TrialSpec): Promise<StoredRun | "unneeded" | null>;
  /** Whether a record counts as finished, or as begun, in view of --force. */
  counts(spec: TrialSpec, record: RunRecord | null): boolean;
  /** The teacher of a task; null before all its fine-tuning trials are finished. */
  teacher(task: Task): Promise<StoredRun | null>;
}

export function createResolver(
  experiment: Experiment,
  base: Base,
  trials: readonly TrialSpec[],
  work: WorkOfCall,
  force: Force | null = null,
): Resolver {
  const data = new Map<Task, Promise<TaskData>>();
  const resolved = new Map<number, Resolution>();
  const outcomes = new Map<number, StoredRun | "unneeded">();
  const teachers = new Map<Task, StoredRun>();

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
      force: false,
    }),
    async resolve(spec) {
      const known = resolved.get(spec.index);
      if (known) return known;
      const found = await find(spec);
      if (found.kind !== "waiting") resolved.set(spec.index, found);
      return found;
    },
    async outcome(spec) {
      const known = outcomes.get(spec.index);
      if (known) return known;
      const found = await resolver.resolve(spec);
      if (found.kind === "waiting") return null;
      const outcome = found.kind === "unneeded" ? found.kind : await finished(spec, found.trial);
      if (outcome) outcomes.set(spec.index, outcome);
      return outcome;
    },
    counts(spec, record) {
      if (!record) return false;
      if (!force?.includes(spec)) return true;
      return record.startedAt >= force.since || (record.finishedAt ?? "") >= force.since;
    },
    async teacher(task) {
      const known = teachers.get(task);
      if (known) return known;
      const runs: StoredRun[] = [];
      for (const spec of trials) {
        if (spec.step !== "finetune" || spec.task !== task) continue;
        const run = await resolver.outcome(spec);
        if (run === null || run === "unneeded") return null;
        runs.push(run);
      }
      // Ties go by the order of folders, as in the commands that read the same folders.
      const byFolder = runs.sort((a, b) => (path.basename(a.folder) < path.basename(b.folder) ? -1 : 1));
      const teacher = chooseTeacher(byFolder, experiment.chooseBy);
      if (teacher) teachers.set(task, teacher);
      return teacher;
    },
  };

  const finished = async (spec: TrialSpec, trial: StoredRun): Promise<StoredRun | null> => {
    const record = await readRecord(trial.folder);
    return record?.state === "finished" && resolver.counts(spec, record) ? { folder: trial.folder, record } : null;
  };

  const find = async (spec: TrialSpec): Promise<Resolution> => {
    const { task, seed, training } = spec;
    if (spec.step === "finetune") {
      const place = spec.place as Place;
      const common = { task, base, place, seed, training, data: await resolver.data(task) };
      const settings: TrialSettings = { method: "finetune", ...common };
      return { kind: "trial", settings, trial: describeTrial(settings, work.checkpoints) };
    }
    const teacher = await resolver.teacher(task);
    if (!teacher) return { kind: "waiting" };
    return findStudent(spec, teacher);
  };

  const findStudent = async (spec: TrialSpec, teacher: StoredRun): Promise<Resolution> => {
    const { task, seed, training } = spec;
    const { layers } = spec.place;
    if (layers >= teacher.record.layers) return { kind: "unneeded" };
    const distillation = spec.distillation as NonNullable<TrialSpec["distillation"]>;
    const request = { task, base, teacher, training, distillation };
    const settings = studentSettings(request, layers, seed, await resolver.data(task));
    return { kind: "trial", settings, trial: describeTrial(settings, work.checkpoints), teacher };
  };

  return resolver;
}
