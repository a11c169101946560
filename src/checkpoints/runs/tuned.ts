// Thresholds that a run's training chose on dev rows, and the task with them: what decides labels is then the run's, not the
// tasks file's.

import { modelError } from "../../errors/errors";
import type { Task } from "../../tasks/task";
import { isThreshold, TUNED } from "../../tasks/thresholds";

/** What one threshold for all labels would score. */
export interface Untuned {
  readonly threshold: number;
  readonly metrics: Readonly<Record<string, number | null>>;
}

/** Of a task whose thresholds are tuned: those of each label by its id, and what its dev rows score without. */
export interface Tuned {
  readonly thresholds: readonly number[];
  readonly untuned: Untuned;
}

export function isTuned(value: unknown): value is Tuned {
  const { thresholds, untuned } = Object(value) as Partial<Tuned>;
  const { threshold, metrics } = Object(untuned) as Partial<Untuned>;
  return (
    Array.isArray(thresholds) &&
    thresholds.every(isThreshold) &&
    isThreshold(threshold) &&
    typeof metrics === "object" &&
    metrics !== null &&
    Object.values(metrics).every((score) => score === null || Number.isFinite(score))
  );
}

/** What of a run says how it decides. */
interface TunedRun {
  readonly folder: string;
  readonly record: { readonly tuned?: Tuned };
}

type Decided = Pick<Task, "name" | "threshold" | "definedIn">;

/** Whether the run decides labels as the task says. */
export const decidesAs = ({ threshold }: Pick<Task, "threshold">, { record }: Pick<TunedRun, "record">): boolean =>
  (threshold === TUNED) === (record.tuned !== undefined);

/**
 * The task as its run decides. Throws modelError (4) where the tasks file says otherwise than the run was trained: its scores would
 * be those of another model.
 */
export function asDecided<T extends Decided>(task: T, run: TunedRun): T {
  if (!decidesAs(task, run)) throw decidedOtherwise(task, run.folder);
  const { tuned } = run.record;
  return tuned ? { ...task, threshold: tuned.thresholds } : task;
}

function decidedOtherwise({ name, threshold, definedIn = "its tasks file" }: Decided, folder: string): Error {
  const [has, wants, next] =
    threshold === TUNED
      ? ["has no tuned thresholds", "says threshold: tuned", "a number there"]
      : ["has tuned thresholds", `does not say threshold: tuned`, "threshold: tuned there"];
  return modelError(
    `${folder} ${has}, and ${name} in ${definedIn} ${wants}. Train it again (flexbert finetune --task ${name}), or give ${next}`,
  );
}
