// What is trained of each task on each base, and what is next.

import path from "node:path";
import { recordedTasksFile, type StoredRun } from "../checkpoints/runs/run-folder";
import { subfolders } from "../files/folder";
import { adapterOf } from "../model/adapters/adapters";
import { type Given, readGiven } from "../options/given";
import { taskRuns } from "../recipes/stored-runs";
import { isSharing } from "../selection/candidates";
import { chooseTeacher, comparableRuns } from "../selection/teacher";
import { DEFAULT_BASE } from "../settings/base";
import { checkpointOptions } from "../settings/work";
import { type Call, type Caller, callOf } from "./caller";
import { describeRun, type RunSummary } from "./runs";
import { DEFAULT_TASKS } from "./session";

export const statusOptions = { ...checkpointOptions };

export type StatusOptions = Given<typeof statusOptions>;

export interface TaskStatus {
  readonly base: string;
  readonly task: string;
  /** The command that comes next, or what hinders it. */
  readonly next: string;
  /** The teacher's folder. */
  readonly teacher: string | null;
  readonly runs: readonly RunSummary[];
}

/** The tasks that have runs. */
export async function status(options: StatusOptions = {}, caller: Caller = {}): Promise<TaskStatus[]> {
  return (await readStatuses(options, callOf(caller))).map(describeStatus);
}

/** The same with the runs themselves. */
export interface StoredStatus extends Pick<TaskStatus, "base" | "task" | "next"> {
  readonly teachers: readonly StoredRun[];
  readonly students: readonly StoredRun[];
  /** Whose layers stayed frozen. */
  readonly adapted: readonly StoredRun[];
  readonly teacher: StoredRun | null;
}

export const describeStatus = ({ teachers, students, adapted, teacher, ...rest }: StoredStatus): TaskStatus => ({
  ...rest,
  teacher: teacher?.folder ?? null,
  runs: [...teachers, ...adapted, ...students].map(describeRun),
});

export async function readStatuses(options: StatusOptions, { recipes }: Call): Promise<StoredStatus[]> {
  const { checkpoints } = readGiven(statusOptions, options);
  const statuses: StoredStatus[] = [];
  for (const base of await subfolders(checkpoints)) {
    for (const task of await subfolders(path.join(checkpoints, base))) {
      const { teachers, students, adapted } = await taskRuns(recipes, checkpoints, base, task);
      const teacher = chooseTeacher(comparableRuns(teachers)[0] ?? [], "max");
      const flags = await flagsOf(teachers[0] ?? students[0] ?? adapted[0]);
      const next = nextStep(task, { teachers, students, adapted, teacher }, flags);
      statuses.push({ base, task, next, teachers, students, adapted, teacher });
    }
  }
  return statuses;
}

/** What a command needs to find the runs' base and task again. */
async function flagsOf(run: StoredRun | undefined): Promise<string> {
  if (!run) return "";
  const { name } = run.record.base;
  const file = await recordedTasksFile(run.folder);
  const base = name === DEFAULT_BASE ? "" : ` --base ${name}`;
  const tasks = file === null || file === path.resolve(DEFAULT_TASKS) ? "" : ` --tasks ${path.relative(".", file)}`;
  return base + tasks;
}

function nextStep(
  task: string,
  { teachers, students, adapted, teacher }: Pick<StoredStatus, "teachers" | "students" | "adapted" | "teacher">,
  flags: string,
): string {
  const unfinished = [...teachers, ...students, ...adapted].filter(({ record }) => record.state === "running");
  if (unfinished.length > 0) return `${unfinished.length} unfinished: repeat the command that began them`;
  // Students of a full run stand on forks of their own, and are there to be merged; whole ones stand beside all that.
  const sharing = students.filter(isSharing);
  if (!teacher && sharing.length === 0) {
    const [done] = adapted.filter(({ record }) => record.state === "finished");
    const method = done && adapterOf(done.record.options)?.name;
    return method
      ? `flexbert merge --select ${method} --out merged/${flags}`
      : `flexbert finetune --task ${task}${flags}`;
  }
  // A teacher of one layer has no smaller student on its fork.
  const isDistilled = sharing.length > 0 || teacher?.record.layers === 1;
  return isDistilled ? `flexbert merge --out merged/${flags}` : `flexbert distill --task ${task}${flags}`;
}
