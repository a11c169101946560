// Selection with threshold c, the paper's marginal benefit (section 4.2, appendix D): from the smallest candidate on,
// a larger one is taken when it gains at least c points for each layer that it adds to the one held.

import { counted } from "../messages/words";
import { compareScores, scoreTolerance } from "../tasks/metrics";
import type { Candidate, Decision, TaskCandidates } from "./candidate";

type Scored = Pick<Candidate, "layers" | "score">;

/** A candidate beside the one that was held when it came. */
interface Trial<T> {
  readonly candidate: T;
  /** null for the smallest. */
  readonly over: { readonly held: T; readonly gain: number } | null;
  readonly taken: boolean;
}

/**
 * The rule: a larger candidate that fails is skipped, later ones are still tried. Of candidates with equal layers the
 * best counts, and the first of equals.
 */
function tryAll<T extends Scored>(candidates: readonly T[], c: number): Trial<T>[] {
  const trials: Trial<T>[] = [];
  let held: T | null = null;
  for (const candidate of bestBySize(candidates)) {
    const over: Trial<T>["over"] = held && { held, gain: gainPerLayer(held, candidate) };
    const taken = over === null || over.gain >= c - scoreTolerance;
    trials.push({ candidate, over, taken });
    if (taken) held = candidate;
  }
  return trials;
}

/**
 * The candidate that the rule ends at.
 * @param candidates at least one
 * @param c points per layer
 */
export function pickByThreshold<T extends Scored>(candidates: readonly T[], c: number): T {
  return tryAll(candidates, c).findLast(({ taken }) => taken)?.candidate as T;
}

/** One candidate by threshold, and what the rule says of each. */
export function chooseByThreshold({ task, candidates }: TaskCandidates, c: number): Decision {
  const notes = new Map(
    tryAll(candidates, c).map(({ candidate, over, taken }) => [
      candidate,
      over === null ? "the smallest" : describe(over.gain, over.held, taken, c),
    ]),
  );
  return {
    task,
    candidates,
    chosen: pickByThreshold(candidates, c),
    notes: candidates.map(
      (candidate) => notes.get(candidate) ?? `another of ${counted(candidate.layers, "layer")} scores no less`,
    ),
  };
}

/** From the fewest layers to the most; one of each size. */
function bestBySize<T extends Scored>(candidates: readonly T[]): T[] {
  const best = new Map<number, T>();
  for (const candidate of candidates) {
    const other = best.get(candidate.layers);
    if (!other || compareScores(candidate.score, other.score) > 0) best.set(candidate.layers, candidate);
  }
  return [...best.values()].sort((a, b) => a.layers - b.layers);
}

/** Points per layer; any score gains over an undefined one, and an undefined one never does. */
export function gainPerLayer(from: Scored, to: Scored): number {
  if (to.score === null) return Number.NEGATIVE_INFINITY;
  if (from.score === null) return Number.POSITIVE_INFINITY;
  return (100 * (to.score - from.score)) / (to.layers - from.layers);
}

function describe(gain: number, held: Scored, taken: boolean, c: number): string {
  const over = `over ${counted(held.layers, "layer")}`;
  if (gain === Number.NEGATIVE_INFINITY) return "its score is undefined";
  if (gain === Number.POSITIVE_INFINITY) return `the score ${over} is undefined`;
  return `${gain < 0 ? "" : "+"}${rounded(gain, c)} a layer ${over}: ${taken ? "at least" : "below"} ${c}`;
}

/** Two digits, or as many as show on which side of c a gain lies. */
function rounded(gain: number, c: number): string {
  for (let digits = 2; digits < 9; digits++) {
    const text = gain.toFixed(digits);
    if (Number(text) === gain || Number(text) < c === gain < c - scoreTolerance) return text;
  }
  return gain.toFixed(9);
}
