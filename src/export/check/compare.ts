// Logits of a check's rows against those of the branches alone: what may differ, and the error that says what does.

import { modelError, toleranceError } from "../../errors/errors";
import type { Int8Parts } from "../../merge/folder/int8";
import type { MergedTask } from "../../merge/folder/manifest";
import type { HostTensors } from "../../model/tensors";

/** Most that a logit may differ; for values beyond 1, in parts of the value. */
const TOLERANCE = 1e-4;

export interface Tolerance {
  /** Most that a logit of a task may differ. */
  difference(task: string): number;
  /** Least part of the rows whose label must be the branch's. */
  readonly equalLabels: number;
}

export const STRICT: Tolerance = { difference: () => TOLERANCE, equalLabels: 0 };

/**
 * int8 is allowed what it cost when it was measured, and as much again: other rows are compared here. Where nothing was
 * measured then, nothing is known to hold now.
 * @param leaving of ramps too
 */
export const int8Tolerance = ({ tasks }: Pick<Int8Parts, "tasks">, leaving = false): Tolerance => ({
  difference(name) {
    const { cost, exits } = tasks[name] ?? {};
    const largest = Math.max(cost?.largest ?? 0, (leaving && exits?.largest) || 0);
    return cost && cost.rows > 0 ? Math.max(0.05, 2 * largest) : Number.POSITIVE_INFINITY;
  },
  equalLabels: 0,
});

/** What is compared, as errors call it. */
export interface Compared {
  readonly name: string;
  /** What an error ends with: what has become of it, and what the user can do. */
  readonly advice: string;
}

/**
 * The largest difference of a task's logits over the batches.
 * @param found by task, in the form of `alone`'s `logits`
 * Throws toleranceError (5) where a difference is too large, modelError (4) where a branch gives no numbers.
 */
export function compareTask(
  model: Compared,
  task: MergedTask,
  found: readonly HostTensors[],
  alone: readonly HostTensors[],
  tolerance: Tolerance,
): number {
  const difference = largest(model, task, found, alone, tolerance.difference(task.name));
  requireLabels(model, task, found, alone, tolerance.equalLabels);
  return difference;
}

function largest(
  model: Compared,
  { name }: MergedTask,
  found: readonly HostTensors[],
  alone: readonly HostTensors[],
  tolerance: number,
): number {
  let most = 0;
  for (const [i, { logits }] of alone.entries()) {
    const [ours, theirs] = [logits as HostTensors[string], found[i]?.[name]];
    if (`${theirs?.shape}` !== `${ours.shape}`) {
      throw toleranceError(
        `${model.name}: the output ${name} has shape [${theirs?.shape}], its branch alone gives [${ours.shape}]. ${model.advice}`,
      );
    }
    for (const [at, value] of ours.data.entries()) {
      if (!Number.isFinite(value)) {
        throw modelError(`${name}'s branch gives ${value} as a logit. Train it again, and look at its dev score`);
      }
      const difference = Math.abs(value - (theirs?.data[at] as number)) / Math.max(1, Math.abs(value));
      if (!(difference <= tolerance)) {
        throw toleranceError(
          `${model.name}: a logit of ${name} is ${theirs?.data[at]}, its branch alone gives ${value}: they differ by ` +
            `${difference.toExponential(1)}, more than ${tolerance}. ${model.advice}`,
        );
      }
      most = Math.max(most, difference);
    }
  }
  return most;
}

/** Throws toleranceError (5) where too many rows get another label than their branch gives. */
function requireLabels(
  model: Compared,
  task: MergedTask,
  found: readonly HostTensors[],
  alone: readonly HostTensors[],
  least: number,
): void {
  if (least === 0 || task.labels.length === 0) return;
  let [equal, rows] = [0, 0];
  for (const [i, { logits }] of alone.entries()) {
    const [ours, theirs] = [logits, found[i]?.[task.name]] as [HostTensors[string], HostTensors[string]];
    const [count, width] = ours.shape as [number, number];
    const label = ({ data }: HostTensors[string], row: number) =>
      `${task.kind.decide(data.subarray(row * width, (row + 1) * width) as Float32Array, task)}`;
    for (let row = 0; row < count; row++) if (label(ours, row) === label(theirs, row)) equal += 1;
    rows += count;
  }
  if (equal >= least * rows) return;
  throw toleranceError(
    `${model.name}: ${rows - equal} of ${rows} rows get another label of ${task.name} than its branch gives, more than ` +
      `${(100 * (1 - least)).toFixed(1)} %. ${model.advice}`,
  );
}
