// Where the recipes of a record keep a task's runs, and what those may be: candidates for the teacher, or its students.

import { existsSync } from "node:fs";
import path from "node:path";
import { listRuns, methodFolder, type RunRecord, readRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { IMPORTED, JOINT } from "../checkpoints/runs/run-record";
import { modelError } from "../errors/errors";
import { printable } from "../errors/printable";
import { adapterOf } from "../model/adapters/adapters";
import type { Recipe, Recipes } from "./recipe";

export interface TaskRuns {
  /** Those that may be the task's teacher. */
  readonly teachers: readonly StoredRun[];
  readonly students: readonly StoredRun[];
  /** Those whose layers stayed frozen beside small tensors: no teachers, and taken by the name of their method alone. */
  readonly adapted: readonly StoredRun[];
}

/** Every run of a task on a base of this name, recipe by recipe in the order of their folders. */
export async function taskRuns(recipes: Recipes, checkpoints: string, base: string, task: string): Promise<TaskRuns> {
  const list = async (makes: Recipe["makes"]) => {
    const runs: StoredRun[] = [];
    for (const recipe of Object.values(recipes).filter((one) => one.makes === makes)) {
      const found = await listRuns(methodFolder(checkpoints, base, task, recipe.method));
      for (const run of found) {
        requireMethod(run, recipe);
        requireTask(run, task);
      }
      runs.push(...found);
    }
    return runs;
  };
  const tuned = await list("teachers");
  const isAdapted = ({ record }: StoredRun) => adapterOf(record.options) !== null;
  return {
    teachers: tuned.filter((run) => !isAdapted(run)),
    students: await list("students"),
    adapted: tuned.filter(isAdapted),
  };
}

/** Whether any of those recipes has a folder of runs of the task. */
export const hasTaskRuns = (recipes: readonly Recipe[], checkpoints: string, base: string, task: string): boolean =>
  recipes.some(({ method }) => existsSync(methodFolder(checkpoints, base, task, method)));

/** The record of a folder of checkpoints that is a finished joint model; null for any other. */
export async function jointRecord(checkpoints: string, name: string): Promise<RunRecord | null> {
  const record = await readRecord(path.join(checkpoints, name));
  return record?.method === JOINT && record.state === "finished" ? record : null;
}

function requireMethod({ folder, record }: StoredRun, { method, makes }: Recipe): void {
  // Imported branches, and heads of a joint model, are candidates for the teacher.
  if (record.method === method || (makes === "teachers" && [IMPORTED, JOINT].includes(record.method))) return;
  throw modelError(
    `${folder} lies among the runs of ${method}, and its run.json says that it is of ${record.method}. ` +
      "Move the folder to where such runs lie, or remove it",
  );
}

function requireTask({ folder, record }: StoredRun, task: string): void {
  if (record.task === task) return;
  throw modelError(
    `${folder} lies among the runs of ${task}, and its run.json says that it is of ${printable(record.task)}. ` +
      "Move the folder to where such runs lie, or remove it",
  );
}
