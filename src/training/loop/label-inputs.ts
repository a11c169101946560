// A step's input of labels: a row's, or where words have labels its tokens'.

import type { EncodedRows } from "../../batches/rows";
import type { Task } from "../../tasks/task";
import { type BatchInput, everyRow, perRow, tokenIds } from "./batch-inputs";

interface LabelInputs {
  /** Of the train split's rows. */
  readonly labels: BatchInput;
  /** In their place for rows without labels, which the loss of labels gives no weight: any number, or which tokens a teacher's is read of. */
  readonly none: BatchInput;
}

/** @param others rows without labels beside the train split's */
export function labelInputs(task: Task, { worded, labels }: EncodedRows, others: EncodedRows | undefined): LabelInputs {
  const { target } = task.kind;
  const shape = target.shape(task);
  const read = others?.readTokens;
  return {
    labels: worded ? tokenIds(worded.tokenLabels, -1) : perRow(labels, shape, target.dtype),
    none: worded && read ? tokenIds(read, -1) : everyRow(0, shape, target.dtype),
  };
}
