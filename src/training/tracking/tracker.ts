// Who else hears of a run's metrics while it trains: TensorBoard event files, an MLflow server. metrics.jsonl is the
// record; a tracker that fails says so and leaves the training alone.

import type { WorkContext } from "../../messages/reporter";

export type TrackedStatus = "finished" | "failed" | "stopped";

/** A run as it begins, or goes on after `step` steps. */
export interface TrackedRun {
  /** The run folder: run.json in it says what the run is. */
  readonly folder: string;
  readonly label: string;
  readonly step: number;
}

/** One run's metrics on their way. None of the functions throws. */
export interface TrackedSession {
  /** Values by name, with a slash for groups: train/loss. Values that are not finite are left out. */
  log(step: number, values: Readonly<Record<string, number | null>>): Promise<void>;
  end(status: TrackedStatus): Promise<void>;
}

export interface Tracker {
  begin(run: TrackedRun): Promise<TrackedSession>;
}

/** What every recipe gets beside its options. */
export interface RunContext<Engine> extends WorkContext<Engine> {
  /** Who hears of metrics beside metrics.jsonl. */
  readonly trackers?: readonly Tracker[];
}

/** One session that speaks to all trackers of the context. */
export async function beginTracking(
  { trackers = [] }: Pick<RunContext<unknown>, "trackers">,
  run: TrackedRun,
): Promise<TrackedSession> {
  const sessions: TrackedSession[] = [];
  for (const tracker of trackers) sessions.push(await tracker.begin(run));
  return {
    async log(step, values) {
      for (const session of sessions) await session.log(step, values);
    },
    async end(status) {
      for (const session of sessions) await session.end(status);
    },
  };
}

/** Metric names as trackers take them: train/loss, dev/accuracy. */
export function trackedValues(line: Readonly<Record<string, unknown>>): Record<string, number | null> {
  const values: Record<string, number | null> = {};
  for (const [name, value] of Object.entries(line)) {
    if (name === "step" || name === "epoch") continue;
    if (name === "dev" || name === "untuned") {
      for (const [metric, score] of Object.entries(value as Record<string, number | null>)) {
        values[`${name}/${metric}`] = score;
      }
    } else values[`train/${name}`] = value as number;
  }
  return values;
}
