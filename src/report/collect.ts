// Stored runs as the report needs them: of each task its arms by k, the teacher, and the teacher's students. What is
// left out, because it was scored on other rows or taught by another teacher, is counted.

import path from "node:path";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import { decidesAs } from "../checkpoints/runs/tuned";
import { modelError } from "../errors/errors";
import { subfolders } from "../files/folder";
import { adapterOf } from "../model/adapters/adapters";
import { byK, kOf, type Place } from "../model/place";
import { methodOf } from "../recipes/methods/methods";
import type { Recipes } from "../recipes/recipe";
import { hasTaskRuns, jointRecord, type TaskRuns, taskRuns } from "../recipes/stored-runs";
import { groupBy } from "../selection/group-by";
import { chooseTeacher, comparableRuns, fullRun, teachingRun } from "../selection/teacher";
import type { ChooseBy } from "../settings/selection";
import type { Task } from "../tasks/task";
import { type Arm, armOf } from "./arms";

/** How a task is named in tables, whether it counts in averages and, where its tasks file is known, what its labels are decided by. */
export type TaskLabel = Pick<Task, "name" | "title" | "inAverage" | "threshold">;

export interface TaskResults extends TaskLabel {
  /** The metric that is the score. */
  readonly metric: string;
  readonly base: StoredRun["record"]["base"];
  readonly devRows: number;
  readonly trainRows: number;
  /** Broken rows that were left out of them. */
  readonly devSkipped: number;
  readonly trainSkipped: number;
  /** From the smallest k; full fine-tuning, which shares nothing, last. */
  readonly arms: readonly Arm[];
  /** The k that was chosen; null where only full fine-tuning was done. */
  readonly chosen: Arm | null;
  readonly teacher: StoredRun | null;
  /** The run that taught the students: the teacher, or that of full fine-tuning where nothing else was done. */
  readonly taughtBy: StoredRun | null;
  /** Those on the trunk, by layers, then by fork from the shallowest; of one place those that began as the teacher first. */
  readonly students: readonly Arm[];
  /** Those that are whole encoders and share nothing. */
  readonly whole: readonly Arm[];
  /** By method of frozen layers (`finetune --method`) and k, from the smallest k. */
  readonly adapted: readonly Arm[];
  /** Every run that the report counts. */
  readonly runs: readonly StoredRun[];
  /** Finished runs that do not compare with these, and runs that are not finished. */
  readonly leftOut: number;
  readonly unfinished: number;
}

/** All runs of one task. */
export interface StoredTask extends TaskRuns {
  readonly label: TaskLabel;
}

/**
 * The folder of the base that there are runs of, or of the one asked for, by its name, its folder or its zip as --base
 * takes them everywhere. Throws modelError (4) for none, or several.
 */
export async function reportedBase(checkpoints: string, wanted: string | undefined, recipes: Recipes): Promise<string> {
  const all: string[] = [];
  for (const name of await subfolders(checkpoints)) {
    if (await hasRuns(checkpoints, name, recipes)) all.push(name);
  }
  // A joint model is a base with runs of its own, and a row of the report on the base that it was trained from.
  const isJoint = await Promise.all(all.map(async (name) => (await jointRecord(checkpoints, name)) !== null));
  const others = all.filter((_, i) => !isJoint[i]);
  const found = wanted === undefined && others.length > 0 ? others : all;
  if (found.length === 0) throw modelError(`no run in ${checkpoints}. Run: flexbert finetune --task NAME`);
  if (wanted !== undefined) {
    const names = [wanted.replaceAll("/", "--"), path.basename(path.resolve(wanted)).replace(/\.zip$/i, "")];
    const name = names.find((candidate) => found.includes(candidate));
    if (name !== undefined) return name;
    throw modelError(`no run of the base ${wanted} in ${checkpoints}: it has ${found.join(", ")}. Give --base`);
  }
  if (found.length > 1) {
    throw modelError(`${checkpoints} has runs of several bases: ${found.join(", ")}. Give one with --base`);
  }
  return found[0] as string;
}

/** Whether a folder is a base's: its subfolders are tasks, with runs by method. */
async function hasRuns(checkpoints: string, base: string, recipes: Recipes): Promise<boolean> {
  const tasks = await subfolders(path.join(checkpoints, base));
  return tasks.some((task) => hasTaskRuns(Object.values(recipes), checkpoints, base, task));
}

/** Every task's runs on a base. `labels` order and name them; a task that it does not know comes last, by its name. */
export async function readStoredTasks(
  checkpoints: string,
  base: string,
  labels: readonly TaskLabel[],
  recipes: Recipes,
): Promise<StoredTask[]> {
  const names = await subfolders(path.join(checkpoints, base));
  const known = labels.filter(({ name }) => names.includes(name));
  const unknown = names.filter((name) => !labels.some((label) => label.name === name));
  const all = [...known, ...unknown.map((name) => ({ name, title: name, inAverage: true }))];
  const tasks: StoredTask[] = [];
  for (const label of all) {
    tasks.push({ label, ...(await taskRuns(recipes, checkpoints, base, label.name)) });
  }
  return tasks;
}

/** What one task's runs say; null where none is finished. */
export function collectTask({ label, teachers, students, adapted }: StoredTask, by: ChooseBy): TaskResults | null {
  // As the tasks file says it now, where that is known.
  const decides = (run: StoredRun) => label.threshold === undefined || decidesAs(label, run);
  const [comparable] = comparableRuns(teachers.filter(decides));
  const [first] = comparable ?? [];
  if (!comparable || !first) return null;
  const teacher = chooseTeacher(comparable, by);
  const arms = [...groupBy(comparable, ({ record }) => kOf(record)).values()].map((own) => armOf(own)).sort(byK);
  const taughtBy = teachingRun(comparable, by);
  const full = fullRun(comparable);
  const isOf = ({ record }: StoredRun, teacher: StoredRun | null) => record.teacher?.sha256 === teacher?.record.sha256;
  // A whole student stands on no fork: full fine-tuning may teach it beside a teacher of branches.
  const isByFull = (run: StoredRun) => run.record.fork === null && isOf(run, full) && !isOf(run, taughtBy);
  const ofTeacher = students.filter(
    (run) =>
      run.record.state === "finished" &&
      (isOf(run, taughtBy) || isByFull(run)) &&
      run.record.devData.sha256 === first.record.devData.sha256,
  );
  const isPretrained = ({ init }: Arm) => Number(init === "pretrained");
  const armKey = (run: StoredRun) => {
    const { method, layers, fork, init, options } = run.record;
    return `${method} ${methodOf(options)?.name} ${layers} ${fork} ${init} ${isByFull(run)}`;
  };
  const studentArms = [...groupBy(ofTeacher, armKey).values()]
    .map((own) => armOf(own, isByFull(own[0] as StoredRun)))
    .sort((a, b) => a.layers - b.layers || (a.fork ?? 0) - (b.fork ?? 0) || isPretrained(a) - isPretrained(b));
  const frozen = adapted.filter(
    ({ record }) => record.state === "finished" && record.devData.sha256 === first.record.devData.sha256,
  );
  const frozenKey = ({ record }: StoredRun) => `${adapterOf(record.options)?.name} ${record.layers}`;
  const runs = [...comparable, ...ofTeacher, ...frozen];
  const stored = [...teachers, ...students, ...adapted];
  const finished = stored.filter(({ record }) => record.state === "finished").length;
  return {
    ...label,
    metric: metricOf(first),
    base: first.record.base,
    devRows: first.record.devData.rows,
    trainRows: Math.max(...runs.map(({ record }) => record.trainData.rows)),
    devSkipped: first.record.devData.skipped,
    trainSkipped: Math.max(...runs.map(({ record }) => record.trainData.skipped)),
    arms,
    chosen: arms.find(({ all }) => teacher !== null && all.includes(teacher)) ?? null,
    teacher,
    taughtBy,
    students: studentArms.filter(({ fork }) => fork !== null),
    whole: studentArms.filter(({ fork }) => fork === null),
    adapted: [...groupBy(frozen, frozenKey).values()].map((own) => armOf(own)).sort(byK),
    runs,
    leftOut: finished - runs.length,
    unfinished: stored.length - finished,
  };
}

/** 0.1.0 did not record it: there the score comes first among the metrics. */
const metricOf = ({ record }: StoredRun): string => record.metric ?? (Object.keys(record.metrics)[0] as string);

/** Whether a student stands where the paper puts it: on its teacher's fork. */
export const onTeachersFork = ({ fork }: Place, { taughtBy }: Pick<TaskResults, "taughtBy">): boolean =>
  fork === taughtBy?.record.fork;

/** Whether any student of these tasks stands on another fork than its teacher's. */
export const hasOtherForks = (tasks: readonly TaskResults[]): boolean =>
  tasks.some((task) => task.students.some((arm) => !onTeachersFork(arm, task)));
