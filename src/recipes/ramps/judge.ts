// By what rows are judged that leave early: how much doubt there is, and what they lose, as the task's kind has it.

import { usageError } from "../../errors/errors";
import type { ExitJudge, ExitOutputs } from "../../exits/thresholds";
import { sizeOf } from "../../model/tensors";
import type { Criterion, Leaving } from "../../tasks/kinds/kind";
import type { Task } from "../../tasks/task";
import type { TaskData } from "../trial/task-data";
import type { StoredOutputs } from "./outputs";

export interface LeavingBy {
  /** The criterion's name. */
  readonly name: string;
  readonly criterion: Criterion;
  readonly leaving: Leaving;
}

/**
 * With the criterion that was asked for, or the kind's first. Throws usageError (2) for a kind without exits, and for a criterion that
 * the kind does not have.
 */
export function leavingBy(task: Task, asked: string | undefined): LeavingBy {
  const { leaving } = task.kind;
  if (!leaving) {
    const why = task.kind.perWord ? ": they label the words of a text, and a text leaves as a whole" : "";
    throw usageError(
      `${task.name}: tasks of ${task.kind.name} have no early exits${why}. Name other tasks with --task`,
    );
  }
  const names = Object.keys(leaving.criteria);
  const name = asked ?? (names[0] as string);
  const criterion = Object.hasOwn(leaving.criteria, name) ? leaving.criteria[name] : undefined;
  if (criterion) return { name, criterion, leaving };
  throw usageError(
    `--criterion ${name}: ${task.name} is a task of ${task.kind.name}, which has ${names.join(" and ")}. ` +
      "Leave it out, or name other tasks with --task",
  );
}

/**
 * Judges of a task's rows.
 * @param trainTargets give losses their scale
 */
export function judging(
  task: Task,
  { criterion, leaving }: Pick<LeavingBy, "criterion" | "leaving">,
  trainTargets: Float32Array,
) {
  const width = sizeOf(task.kind.target.shape(task));
  const losing = leaving.losses(task, trainTargets);
  /** @param at where among the targets a row's are */
  return (full: ExitOutputs["full"], targets: Float32Array, at = (row: number) => row): ExitJudge => ({
    doubt: (ramps) => criterion.doubt(ramps, task),
    loss: (row, left) => losing(left, full(row), targets.subarray(at(row) * width, (at(row) + 1) * width)),
  });
}

export interface Judged extends LeavingBy {
  /** As much doubt as there can be, or as any threshold should allow. */
  readonly most: number;
  readonly judges: { readonly train: ExitJudge; readonly dev: ExitJudge };
}

/** Of these outputs' rows. */
export function judgesOf(
  outputs: StoredOutputs,
  task: Task,
  { train, dev }: Pick<TaskData, "train" | "dev">,
  by: LeavingBy,
): Judged {
  const judge = judging(task, by, train.labels);
  return {
    ...by,
    most: by.criterion.most(task, train.labels),
    judges: {
      train: judge(outputs.train.full, train.labels, (row) => outputs.trainRows[row] as number),
      dev: judge(outputs.dev.full, dev.labels),
    },
  };
}
