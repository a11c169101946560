// Runs that recorded what they took (see TrialCost); those of earlier versions and imported ones did not.

import type { StoredRun, TrialCost } from "../checkpoints/runs/run-folder";

export interface CostedRun {
  readonly run: StoredRun;
  readonly cost: TrialCost;
}

export const costsOf = (runs: readonly StoredRun[]): CostedRun[] =>
  runs.flatMap((run) => (run.record.cost ? [{ run, cost: run.record.cost }] : []));

export const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
