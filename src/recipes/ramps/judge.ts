// By what rows are judged that leave early: how much doubt there is, and what they lose, as the task's kind has it.

import { usageError } from "../../errors/errors";
import type { ExitJudge } from "../../exits/thresholds";
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
  const { criterion, leaving } = by;
  const width = sizeOf(task.kind.target.shape(task));
  const target = (labels: Float32Array, row: number) => labels.subarray(row * width, (row + 1) * width);
  const losing = leaving.losses(task, train.labels);
  const judge = (split: "train" | "dev", targetOf: (row: number) => Float32Array): ExitJudge => ({
    doubt: (ramps) => criterion.doubt(ramps, task),
    loss: (row, left) => losing(left, outputs[split].full(row), targetOf(row)),
  });
  return {
    ...by,
    most: criterion.most(task, train.labels),
    judges: {
      train: judge("train", (row) => target(train.labels, outputs.trainRows[row] as number)),
      dev: judge("dev", (row) => target(dev.labels, row)),
    },
  };
}
