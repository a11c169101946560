// What a trial took beside time: token positions with and without length buckets, frozen layers, energy. It is what
// the report says that buckets and trunk cache saved; see TrialCost in run-folder.ts.

import type { Batch } from "../../batches/batches";
import type { TrialCost } from "../../checkpoints/runs/run-folder";
import type { BranchSource } from "./branch-source";

/** What train and dev rows are, as a branch reads them. Takes the cost of their frozen layers (see `takeCost`). */
export function trialCost(
  { train, dev }: { readonly train: BranchSource; readonly dev: BranchSource },
  { buckets, epoch, ...settings }: CostSettings,
): TrialCost {
  const { batchSize, maxLength } = settings;
  // Every way of padding fills the last batch up with filler rows.
  const positions = epoch.length * batchSize;
  return {
    trainTokens: {
      own: train.rows.tokens,
      bucketed: epoch.reduce((sum, batch) => sum + batchSize * batch.length, 0),
      longest: positions * train.rows.lengths.reduce((most, length) => Math.max(most, length), 0),
      maxLength: positions * maxLength,
    },
    devTokens: dev.rows.tokens,
    buckets,
    trunk: trunkCost([train, dev]),
    joules: settings.joules,
  };
}

export interface CostSettings {
  readonly buckets: readonly number[];
  /** The batches of one epoch: another epoch shuffles rows between batches of the same lengths. */
  readonly epoch: readonly Batch[];
  readonly batchSize: number;
  readonly maxLength: number;
  readonly joules: number | null;
}

function trunkCost(sources: readonly BranchSource[]): TrialCost["trunk"] {
  let layerTokens = 0;
  let seconds = 0;
  for (const { activations } of sources) {
    if (!activations) return null;
    const cost = activations.takeCost();
    layerTokens += cost.layerTokens;
    seconds += cost.seconds;
  }
  return { layerTokens, seconds };
}
