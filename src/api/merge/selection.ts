// merge --select FILE.json: the runs that flexbert select chose, exactly those.

import type { BaseDescription } from "../../checkpoints/bases/base";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError, usageError } from "../../errors/errors";
import type { Selection } from "../../merge/merge";
import { didYouMean } from "../../messages/nearest";
import { storedCandidates } from "../../selection/candidates";
import { jointCandidates } from "../../selection/joint-candidates";
import { readSelection, type Selected, type SelectedTask, selectedRun } from "../../selection/selection-file";
import type { ChooseBy } from "../../settings/selection";
import type { Task } from "../../tasks/task";
import type { Call } from "../caller";
import { userTasks } from "../session";
import { runsOf } from "../stored-runs";

interface SelectionValues {
  readonly task: string | undefined;
  readonly tasks: string | undefined;
  readonly checkpoints: string;
  readonly chooseBy: ChooseBy;
  readonly allowUnshared: boolean;
}

/** The file's tasks, or those of them that --task names. Throws modelError (4) for a run that is not there as chosen. */
export async function selectedRuns(
  file: string,
  base: BaseDescription,
  values: SelectionValues,
  call: Call,
): Promise<Selection[]> {
  const selected = await readSelection(file);
  checkBase(file, selected, base);
  const { resolveTasks } = await import("../../tasks/registry.js");
  const own = await userTasks(values);
  const taskOf = (name: string) => resolveTasks(name, own)[0] as Task;
  const selections: Selection[] = [];
  for (const entry of wantedTasks(file, selected, values.task, taskOf)) {
    const task = taskOf(entry.task);
    const { run: named } = entry;
    if (named) {
      selections.push({ task, run: await selectedRun(file, { ...entry, run: named }, values.checkpoints) });
    } else {
      const run = await runOfShape(file, task, entry, base, values, call);
      call.reporter.log(`${task.name}: ${file} comes from a table of scores, taking ${run.folder}`);
      selections.push({ task, run });
    }
  }
  return selections;
}

function checkBase(file: string, { base: chosen }: Selected, base: BaseDescription): void {
  if (!chosen || chosen.sha256 === base.sha256) return;
  const short = ({ name, sha256 }: { name: string; sha256: string }) => `${name} (sha256 ${sha256.slice(0, 8)})`;
  throw modelError(
    `${file} was chosen on the base ${short(chosen)}, this merge is of ${short(base)}. Run with --base ${chosen.name}`,
  );
}

function wantedTasks(
  file: string,
  { tasks }: Selected,
  names: string | undefined,
  taskOf: (name: string) => Task,
): readonly SelectedTask[] {
  if (names === undefined || names === "all") return tasks;
  const known = tasks.map(({ task }) => taskOf(task).name);
  return [...new Set(names.split(",").map((name) => name.trim()))].map((name) => {
    const found = tasks[known.indexOf(taskOf(name).name)];
    if (found) return found;
    throw usageError(`--task ${name}: ${file} has no such task${didYouMean(name, known)}; it has ${known.join(", ")}`);
  });
}

/** The task's stored candidate with the chosen fork and layers. */
async function runOfShape(
  file: string,
  task: Task,
  { fork, layers }: SelectedTask,
  base: BaseDescription,
  { checkpoints, chooseBy, allowUnshared }: SelectionValues,
  call: Call,
): Promise<StoredRun> {
  const runs = await runsOf(base, task, checkpoints, call);
  const { candidates } = storedCandidates(runs, chooseBy, allowUnshared);
  // A choice for all tasks together may be of any place: another k, a student of another teacher.
  const all = [...candidates, ...jointCandidates(runs, chooseBy, allowUnshared).pool.candidates];
  const found = all.find((candidate) => candidate.fork === fork && candidate.layers === layers)?.run;
  if (found) return found;
  const has = candidates.map((candidate) => `${candidate.layers} above ${candidate.fork ?? "none"}`).join(", ");
  throw modelError(
    `${file} chooses ${layers} layers above fork ${fork ?? "none"} for ${task.name}, from a table of scores; ` +
      `on the base ${base.name} there is ${has || "no finished run"}. Train that one, or select without --scores`,
  );
}
