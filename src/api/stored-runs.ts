// Finished runs as commands need them: a task's teacher, and the runs that compare with those of a command.

import path from "node:path";
import type { BaseDescription } from "../checkpoints/bases/base";
import { baseFolder, methodFolder, recordedTasksFile, type StoredRun } from "../checkpoints/runs/run-folder";
import { decidesAs } from "../checkpoints/runs/tuned";
import { modelError } from "../errors/errors";
import { subfolders } from "../files/folder";
import { counted } from "../messages/words";
import { adapterOf } from "../model/adapters/adapters";
import { recipesThatMake } from "../recipes/recipe";
import { hasTaskRuns, type TaskRuns, taskRuns } from "../recipes/stored-runs";
import { type Candidates, leftOut } from "../selection/candidates";
import { chooseTeacher, comparableRuns, fullRun, seedsOf, teachingRun } from "../selection/teacher";
import type { ChooseBy } from "../settings/selection";
import type { Task } from "../tasks/task";
import { TUNED } from "../tasks/thresholds";
import type { Call } from "./caller";

/** A task's runs on this base, of every method, in the order of their folders. */
export async function runsOf(
  base: BaseDescription,
  task: Task,
  checkpoints: string,
  { recipes, reporter }: Call,
): Promise<Candidates & TaskRuns> {
  const all = await taskRuns(recipes, checkpoints, base.name, task.name);
  const here = filtered(all, (run) => isOfBase(run, base));
  // Scores with tuned thresholds and without do not compare.
  const found = filtered(here, (run) => run.record.state !== "finished" || decidesAs(task, run));
  const count = ({ teachers, students, adapted }: TaskRuns) => teachers.length + students.length + adapted.length;
  const others = count(here) - count(found);
  if (others > 0) {
    const how = task.threshold === TUNED ? "without tuned thresholds" : "with tuned thresholds";
    reporter.log(`${task.name}: ${counted(others, "run")} ${how} left out`);
  }
  return { task: task.name, ...found };
}

const filtered = ({ teachers, students, adapted }: TaskRuns, keep: (run: StoredRun) => boolean): TaskRuns => ({
  teachers: teachers.filter(keep),
  students: students.filter(keep),
  adapted: adapted.filter(keep),
});

/** Throws modelError (4) for a run of this very base whose record has another number of layers for it. */
function isOfBase({ folder, record }: StoredRun, { sha256, config, name }: BaseDescription): boolean {
  if (record.base.sha256 !== sha256) return false;
  if (record.base.layers === config.numHiddenLayers) return true;
  throw modelError(
    `${path.join(folder, "run.json")} is damaged (it says that ${name} has ${record.base.layers} layers, which has ` +
      `${config.numHiddenLayers}). Remove the folder and run again`,
  );
}

/** Whether a task has run folders of its own on a base of this name: those that a call means where it names none. */
export const hasRuns = (base: BaseDescription, task: Task, checkpoints: string, { recipes }: Call): boolean =>
  hasTaskRuns(recipesThatMake("teachers", recipes), checkpoints, base.name, task.name);

/** A task's teacher and its other seeds. */
export interface Teachers {
  readonly teacher: StoredRun;
  readonly seedsOfTeacher: readonly StoredRun[];
}

/**
 * The teacher of a task on this base, or its full fine-tuning where that is to teach. Throws modelError (4) with the command that
 * makes one.
 */
export async function findTeachers(
  base: BaseDescription,
  task: Task,
  values: { readonly checkpoints: string; readonly chooseBy: ChooseBy; readonly full?: boolean },
  call: Call,
): Promise<Teachers> {
  const [first] = recipesThatMake("teachers", call.recipes);
  const folder = methodFolder(values.checkpoints, base.name, task.name, first?.method ?? "");
  const { teachers, adapted } = await runsOf(base, task, values.checkpoints, call);
  const comparable = comparableRuns(teachers)[0] ?? [];
  const { full = false } = values;
  const teacher = full ? fullRun(comparable) : teachingRun(comparable, values.chooseBy);
  if (!teacher) {
    const [which, k] = full ? ["--teacher full: no finished k=full", " --k full"] : ["no teacher", ""];
    throw modelError(
      `${which} for ${task.name} in ${folder}${whyNone(adapted)}. Run: flexbert finetune --task ${task.name}${k} --base ${base.name}`,
    );
  }
  for (const line of leftOut({ teachers, students: [] }, values.chooseBy)) {
    call.reporter.log(`${task.name}: ${line}`);
  }
  return { teacher, seedsOfTeacher: seedsOf(teacher, teachers) };
}

/** What is there of a task without a teacher. */
const whyNone = (adapted: readonly StoredRun[]): string =>
  adapted.length > 0 ? ` (students learn from trained layers, and it has runs of --method alone)` : "";

/** Why a command found no run of any task that it knows: there is none, or its task is described in a file not named. */
export async function noRuns(
  base: BaseDescription,
  checkpoints: string,
  { recipes }: Call,
  otherwise = "",
): Promise<Error> {
  const folder = baseFolder(checkpoints, base.name);
  const found = await subfolders(folder);
  for (const task of found) {
    const { teachers, adapted } = await taskRuns(recipes, checkpoints, base.name, task);
    const [run] = [...teachers, ...adapted];
    const file = run ? await recordedTasksFile(run.folder) : null;
    if (file === null) continue;
    return modelError(
      `${folder} has runs of ${found.join(", ")}, which are no tasks known here. Give --tasks ${path.relative(".", file)}`,
    );
  }
  return modelError(
    `no finished run in ${checkpoints} for the base ${base.name}. Run: flexbert finetune --task NAME${otherwise}`,
  );
}

/** The stored runs of a task that compare with a command's, of its method, and the teacher that distill would take now. */
export interface Standing {
  readonly comparable: readonly StoredRun[];
  readonly teacher: StoredRun | null;
}

/**
 * Every stored run of the task that was scored on the same dev rows as `runs`, those of earlier commands too. After a
 * quick look on a few dev rows the teacher is none of them where there are runs of the whole dev split.
 */
export async function standingOf(
  runs: readonly StoredRun[],
  { base, task, checkpoints, by }: { base: BaseDescription; task: Task; checkpoints: string; by: ChooseBy },
  call: Call,
): Promise<Standing> {
  const { teachers, adapted } = await runsOf(base, task, checkpoints, call);
  const groups = comparableRuns(teachers);
  const own = new Set(runs.map(({ folder }) => folder));
  const method = adapterOf(runs[0]?.record.options ?? {});
  const ofMethod = adapted.filter(({ record }) => method !== null && adapterOf(record.options) === method);
  const alike = method ? comparableRuns(ofMethod) : groups;
  const comparable = alike.find((group) => group.some(({ folder }) => own.has(folder))) ?? runs;
  return { comparable, teacher: chooseTeacher(groups[0] ?? (method ? [] : runs), by) };
}
