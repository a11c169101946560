// Whether a difference is more than the noise of the seeds: paired by seed, with Student's t at 95 %.

import { spreadOf } from "../tasks/scores";

/**
 * What seeds say about a difference. "clear": beyond their noise; "noise": inside it; "unknown": fewer than two seeds
 * on both sides, or seeds that all differ by the very same amount and so show no noise to measure.
 */
export type Verdict = "clear" | "noise" | "unknown";

export interface Comparison {
  readonly verdict: Verdict;
  /** Of b minus a over the paired seeds; null without a pair. */
  readonly difference: number | null;
  /** Half the width of the 95 % interval; null where it is unknown. */
  readonly halfWidth: number | null;
  readonly pairs: number;
}

/** Scores by seed. */
export type SeedScores = ReadonlyMap<number, number | null>;

/** Compares b with a over the seeds that both have. */
export function compareOverSeeds(a: SeedScores, b: SeedScores): Comparison {
  const differences: number[] = [];
  for (const [seed, score] of b) {
    const other = a.get(seed) ?? null;
    if (score !== null && other !== null) differences.push(score - other);
  }
  const spread = spreadOf(differences);
  const pairs = differences.length;
  if (spread === null || spread.sd === null) {
    return { verdict: "unknown", difference: spread?.mean ?? null, halfWidth: null, pairs };
  }
  const { mean, sd } = spread;
  const halfWidth = (studentT(pairs - 1) * sd) / Math.sqrt(pairs);
  if (Math.abs(mean) < 1e-12) return { verdict: "noise", difference: mean, halfWidth, pairs };
  // Rounding leaves a trace of spread where every seed differs by the same.
  if (sd < 1e-12) return { verdict: "unknown", difference: mean, halfWidth: null, pairs };
  return { verdict: Math.abs(mean) <= halfWidth ? "noise" : "clear", difference: mean, halfWidth, pairs };
}

/** 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom. */
const quantiles = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Beyond the table, Fisher's expansion around the normal quantile: right to three digits. */
export function studentT(degrees: number): number {
  const z = 1.959964;
  return quantiles[degrees - 1] ?? z + (z ** 3 + z) / (4 * degrees);
}
