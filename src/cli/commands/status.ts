import path from "node:path";
import { describeRun } from "../../api/runs";
import { DEFAULT_TASKS } from "../../api/session";
import { recordedTasksFile, type StoredRun } from "../../checkpoints/runs/run-folder";
import { subfolders } from "../../files/folder";
import { formatScore } from "../../messages/quantities";
import type { Recipes } from "../../recipes/recipe";
import { taskRuns } from "../../recipes/stored-runs";
import { chooseTeacher, comparableRuns } from "../../selection/teacher";
import { DEFAULT_BASE } from "../../settings/base";
import { checkpointOptions } from "../../settings/work";
import { defineCommand } from "../command";
import { table } from "../terminal";

interface TaskStatus {
  readonly base: string;
  readonly task: string;
  readonly finetuned: readonly StoredRun[];
  readonly students: readonly StoredRun[];
  readonly teacher: StoredRun | null;
  readonly next: string;
}

export const statusCommand = defineCommand({
  options: { ...checkpointOptions },
  examples: ["status", "status --checkpoints checkpoints --json"],
  async run(values, terminal) {
    const statuses = await readStatuses(values.checkpoints, terminal.recipes);
    if (terminal.json) {
      const described = statuses.map(({ finetuned, students, teacher, ...rest }) => ({
        ...rest,
        teacher: teacher?.folder ?? null,
        runs: [...finetuned, ...students].map(describeRun),
      }));
      terminal.printJson(described);
      return;
    }
    if (statuses.length === 0) {
      terminal.print(`nothing in ${values.checkpoints} yet. Run: flexbert finetune --task NAME`);
      return;
    }
    const rows = statuses.map(({ base, task, finetuned, students, teacher, next }) => {
      const done = finetuned.filter(({ record }) => record.state === "finished").length;
      const chosen = teacher
        ? `k=${teacher.record.layers} seed ${teacher.record.seed}, ${formatScore(teacher.record.score)}`
        : "-";
      const best = students.map(
        ({ record }) => `l=${record.layers} ${record.state === "finished" ? formatScore(record.score) : "unfinished"}`,
      );
      const stopped = finetuned.filter(({ record }) => record.state === "stopped").length;
      const runs = `${done} of ${finetuned.length}${stopped > 0 ? `, ${stopped} stopped early` : ""}`;
      return [base, task, runs, chosen, best.join(", ") || "-", next];
    });
    terminal.print(table(["base", "task", "runs", "teacher", "students", "next"], rows));
  },
});

async function readStatuses(checkpoints: string, recipes: Recipes): Promise<TaskStatus[]> {
  const statuses: TaskStatus[] = [];
  for (const base of await subfolders(checkpoints)) {
    for (const task of await subfolders(path.join(checkpoints, base))) {
      const { finetuned, students } = await taskRuns(recipes, checkpoints, base, task);
      const teacher = chooseTeacher(comparableRuns(finetuned)[0] ?? [], "max");
      const flags = await flagsOf(finetuned[0] ?? students[0]);
      const next = nextStep(task, finetuned, students, teacher, flags);
      statuses.push({ base, task, finetuned, students, teacher, next });
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
  finetuned: readonly StoredRun[],
  students: readonly StoredRun[],
  teacher: StoredRun | null,
  flags: string,
): string {
  const unfinished = [...finetuned, ...students].filter(({ record }) => record.state === "running");
  if (unfinished.length > 0) return `${unfinished.length} unfinished: repeat the command that began them`;
  if (!teacher) return `flexbert finetune --task ${task}${flags}`;
  // A teacher of one layer has no smaller student.
  const isDistilled = students.length > 0 || teacher.record.layers === 1;
  return isDistilled ? `flexbert merge --out merged/${flags}` : `flexbert distill --task ${task}${flags}`;
}
