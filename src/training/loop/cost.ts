// What a trial took beside time: token positions with and without length buckets, frozen layers, energy. It is what
// the report says that buckets and trunk cache saved; see TrialCost in run-folder.ts.

import type { Batch } from "../../batches/batches";
import type { MixedBatch } from "../../batches/mixed";
import type { TrialCost } from "../../checkpoints/runs/run-folder";
import type { BranchSource } from "./branch-source";

/** What train and dev rows are, as a branch reads them, and those beside them. Takes the cost of their frozen layers (see `takeCost`). */
export function trialCost({ train, dev, extra }: CostedRows, { buckets, epoch, ...settings }: CostSettings): TrialCost {
  const { batchSize, maxLength } = settings;
  // Every way of padding fills the last batch up with filler rows.
  const positions = epoch.length * batchSize;
  const trained = extra ? [train.rows, extra.source.rows] : [train.rows];
  const longest = Math.max(
    ...trained.map(({ lengths }) => lengths.reduce((most, length) => Math.max(most, length), 0)),
  );
  return {
    trainTokens: {
      own: extra ? tokensOf(epoch, train, extra.source) : train.rows.tokens,
      bucketed: epoch.reduce((sum, batch) => sum + batchSize * batch.length, 0),
      longest: positions * longest,
      maxLength: positions * maxLength,
    },
    devTokens: dev.rows.tokens,
    buckets,
    trunk: trunkCost(extra ? [train, dev, extra.source] : [train, dev]),
    joules: settings.joules,
  };
}

export interface CostedRows {
  readonly train: BranchSource;
  readonly dev: BranchSource;
  readonly extra?: { readonly source: BranchSource } | undefined;
}

/** Of the rows of an epoch's batches, without padding. */
function tokensOf(epoch: readonly Batch[], train: BranchSource, extra: BranchSource): number {
  const of = (rows: readonly number[], { rows: { lengths } }: BranchSource) =>
    rows.reduce((sum, row) => sum + (lengths[row] as number), 0);
  return epoch.reduce((sum, batch) => sum + of(batch.rows, train) + of((batch as MixedBatch).extra, extra), 0);
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
