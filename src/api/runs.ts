// A run as results name it.

import type { RunRecord, StoredRun } from "../checkpoints/runs/run-folder";

type Recorded = Pick<
  RunRecord,
  | "task"
  | "method"
  | "state"
  | "layers"
  | "full"
  | "fork"
  | "seed"
  | "metrics"
  | "bestEpoch"
  | "steps"
  | "trained"
  | "stopped"
  | "tuned"
>;

export interface RunSummary extends Recorded {
  readonly folder: string;
  /** On the dev rows, a fraction; null where it is undefined, and before the end. */
  readonly score: number | null;
  /** Of training and evaluation in all processes, without the shared trunk. */
  readonly seconds: number;
  readonly tokensPerSecond: number | null;
  /** ISO 8601; null before the end. */
  readonly finishedAt: string | null;
}

export function describeRun({ folder, record }: StoredRun): RunSummary {
  const { task, method, layers, full, fork, seed, score, metrics, bestEpoch, steps, seconds, tokensPerSecond } = record;
  const { state, stopped, tuned, trained, finishedAt = null } = record;
  return {
    ...{ task, method, folder, state },
    ...(state === "stopped" && stopped ? { stopped } : {}),
    ...{ layers, full, fork, seed, score, metrics, bestEpoch, steps, seconds, tokensPerSecond, finishedAt },
    ...(tuned ? { tuned } : {}),
    ...(trained === undefined ? {} : { trained }),
  };
}
