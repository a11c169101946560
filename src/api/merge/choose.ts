// Which run of each task a merge takes, as --select says, and what is said of it.

import type { BaseDescription } from "../../checkpoints/bases/base";
import type { Selection } from "../../merge/merge";
import { formatScore, formatUntuned } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { adapterOf } from "../../model/adapters/adapters";
import { leftOut, parseSelect, requireKnown, selectRun } from "../../selection/candidates";
import { namesFile } from "../../selection/selection-file";
import type { ChooseBy } from "../../settings/selection";
import type { Task } from "../../tasks/task";
import type { Call } from "../caller";
import { chosenTasks } from "../session";
import { hasRuns, noRuns, runsOf } from "../stored-runs";
import { selectedRuns } from "./selection";

interface ChoiceValues {
  readonly task: string | undefined;
  readonly tasks: string | undefined;
  readonly checkpoints: string;
  readonly select: string | undefined;
  readonly chooseBy: ChooseBy;
  readonly allowUnshared: boolean;
}

/** @param fits which tasks are meant where none is named */
export async function chooseRuns(
  base: BaseDescription,
  values: ChoiceValues,
  call: Call,
  fits: (task: Task) => boolean = () => true,
): Promise<Selection[]> {
  const { select, checkpoints } = values;
  if (select !== undefined && namesFile(select)) {
    const selections = await selectedRuns(select, base, values, call);
    for (const selection of selections) logChoice(selection, call);
    return selections;
  }
  const choose = select === undefined ? () => "student" as const : parseSelect(select);
  const tasks = await chosenTasks(values, (task) => fits(task) && hasRuns(base, task, checkpoints, call));
  if (tasks.length === 0) {
    throw await noRuns(base, checkpoints, call);
  }
  if (select !== undefined) {
    requireKnown(
      select,
      tasks.map(({ name }) => name),
    );
  }
  const selections: Selection[] = [];
  for (const task of tasks) {
    const candidates = await runsOf(base, task, checkpoints, call);
    const run = selectRun(candidates, choose(task.name), values.chooseBy, values.allowUnshared);
    for (const line of leftOut(candidates, values.chooseBy, values.allowUnshared))
      call.reporter.log(`${task.name}: ${line}`);
    logChoice({ task, run }, call);
    if (select === undefined) warnOfLoss({ task, run }, call);
    selections.push({ task, run });
  }
  return selections;
}

function logChoice({ task, run }: Selection, { reporter }: Call): void {
  const { layers, score, fork, teacher, tuned, options } = run.record;
  const role = adapterOf(options)?.name ?? (teacher ? "student" : "teacher");
  const what = `${role} of ${counted(layers, "layer")}`;
  const beside = teacher ? ` (its teacher: ${formatScore(teacher.score)})` : "";
  const without = tuned ? `, ${formatUntuned(tuned.untuned)}` : "";
  reporter.log(`${task.name}: ${what} above fork ${fork ?? "none"}, ${formatScore(score)} points${beside}${without}`);
}

/** A student that loses so much of its teacher's score is not taken without a warning, unless it was asked for. */
const MUCH = 0.05;

function warnOfLoss({ task, run }: Selection, { reporter }: Call): void {
  const { score, teacher } = run.record;
  if (!teacher || teacher.score === null || teacher.score - (score ?? Number.NEGATIVE_INFINITY) < MUCH) return;
  reporter.warn(
    `${task.name}: its best student has ${formatScore(score)} points, its teacher ${formatScore(teacher.score)}. ` +
      `Give --select ${task.name}=teacher, or let flexbert select --threshold 1 choose`,
  );
}
