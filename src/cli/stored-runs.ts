// Finished runs as commands need them: a task's teacher, and the runs that compare with those of a command.

import type { Base } from "../checkpoints/base";
import { listRuns, methodFolder, type StoredRun } from "../checkpoints/run-folder";
import { modelError } from "../errors/errors";
import { type ChooseBy, chooseTeacher, comparableRuns } from "../selection/teacher";
import type { Task } from "../tasks/task";
import type { Terminal } from "./terminal";

/** The teacher of a task on this base. Throws modelError (4) with the command that makes one. */
export async function findTeacher(
  base: Base,
  task: Task,
  values: { readonly checkpoints: string; readonly chooseBy: ChooseBy },
  terminal: Terminal,
): Promise<StoredRun> {
  const folder = methodFolder(values.checkpoints, base.name, task.name, "finetune");
  const all = (await listRuns(folder)).filter(({ record }) => record.base.sha256 === base.sha256);
  const [newest = [], ...older] = comparableRuns(all);
  const teacher = chooseTeacher(newest, values.chooseBy);
  if (!teacher) {
    throw modelError(
      `no teacher for ${task.name} in ${folder}. Run: flexbert finetune --task ${task.name} --base ${base.name}`,
    );
  }
  if (older.length > 0) {
    const left = older.reduce((sum, group) => sum + group.length, 0);
    terminal.reporter.log(`${task.name}: ${left} runs scored on other dev rows are no candidates for its teacher`);
  }
  return teacher;
}

/**
 * Every stored run of the task that was scored on the same dev rows as `runs`, those of earlier commands too: among all
 * of them distill chooses the teacher.
 */
export async function comparableWith(
  runs: readonly StoredRun[],
  base: Base,
  task: Task,
  checkpoints: string,
): Promise<readonly StoredRun[]> {
  const stored = await listRuns(methodFolder(checkpoints, base.name, task.name, "finetune"));
  const own = new Set(runs.map(({ folder }) => folder));
  return comparableRuns(stored).find((group) => group.some(({ folder }) => own.has(folder))) ?? runs;
}
