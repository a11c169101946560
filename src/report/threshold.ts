// The paper's marginal benefit (section 4.2, appendix D): one candidate a task, by the points that each further layer brings.

import { compareScores, scoreTolerance } from "../tasks/metrics";

/** A task's student or teacher. */
export interface Candidate {
  readonly layers: number;
  readonly fork: number;
  readonly score: number | null;
}

/**
 * Starts at the smallest candidate and moves to a larger one that gains at least `threshold` points a layer over the
 * one it stands at; one that fails is skipped, later ones are still tried.
 * @param candidates at least one, by layers
 */
export function chooseByThreshold<T extends Candidate>(candidates: readonly T[], threshold: number): T {
  let chosen = candidates[0] as T;
  for (const candidate of candidates.slice(1)) {
    const added = candidate.layers - chosen.layers;
    if (added > 0 ? gainPerLayer(chosen, candidate) >= threshold - scoreTolerance : isBetter(candidate, chosen)) {
      chosen = candidate;
    }
  }
  return chosen;
}

/** Points a layer; anything beats an undefined score. */
export function gainPerLayer(from: Candidate, to: Candidate): number {
  if (to.score === null) return Number.NEGATIVE_INFINITY;
  if (from.score === null) return Number.POSITIVE_INFINITY;
  return (100 * (to.score - from.score)) / (to.layers - from.layers);
}

const isBetter = (a: Candidate, b: Candidate) => compareScores(a.score, b.score) > 0;
