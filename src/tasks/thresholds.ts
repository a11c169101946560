// Thresholds of labels that are decided each alone: one for all, or one for each label, chosen on labelled rows. Macro F1 is
// the mean of the labels' own F1, so each label's best threshold makes the best of it (Lipton et al. 2014). Micro F1 ties the labels
// together: it is a fraction of sums over them, which Dinkelbach's iteration (1967) takes to its maximum exactly, label by label.

import type { Numbers } from "./metrics";

/** `threshold` of a tasks file: every label gets its own, chosen on dev rows. */
export const TUNED = "tuned";

/**
 * Rows that must have a label before its threshold is tuned. The best threshold of fewer is these rows' own, the overfitting of rare
 * categories that Yang (2001, "A study of thresholding strategies for text categorization") found in SCut (bench/thresholds.mjs).
 */
export const FEWEST_TO_TUNE = 5;

/** Probability from which a label holds: of all labels, of each by its id, or of each once it is chosen. */
export type Threshold = number | typeof TUNED | readonly number[];

/** Throws where it was not chosen yet: a label would be decided by a number that nobody gave. */
export function thresholdOf(threshold: Threshold, id: number): number {
  const own = typeof threshold === "number" ? threshold : threshold === TUNED ? undefined : threshold[id];
  if (own === undefined) throw new Error(`label ${id} has no threshold: ${JSON.stringify(threshold)}`);
  return own;
}

export const isThreshold = (value: unknown): value is number => typeof value === "number" && value > 0 && value < 1;

/** Thresholds between two neighbouring scores of a label, (above, upTo], all of which say the same of the rows. */
interface Cut {
  readonly threshold: number;
  /** Rows that reach it, and those of them that have the label. */
  readonly predicted: number;
  readonly hits: number;
}

interface LabelCuts {
  /** Rows that have the label. */
  readonly support: number;
  /** From the highest threshold; the one that no row reaches is the first. */
  readonly cuts: readonly Cut[];
  /** What the threshold that nobody chose says. */
  readonly usual: Cut;
}

/**
 * The thresholds with the largest F1 of each label on these rows, which is also the largest macro F1. Of equal ones that next to
 * `usual` is taken, and of two as near the higher one; a label that fewer than `fewest` rows have keeps `usual`, as they say too little of it.
 * @param scores probabilities [rows, labels]
 * @param targets 0 and 1 [rows, labels]
 * @param fewest at least 1
 */
export function tuneEach(scores: Numbers, targets: Numbers, labels: number, usual: number, fewest: number): number[] {
  return allCuts(scores, targets, labels, usual).map(({ support, cuts, usual: kept }) => {
    if (support < fewest) return kept.threshold;
    // As whole numbers: equal fractions are equal.
    const isBetter = (a: Cut, b: Cut) => a.hits * (b.predicted + support) - b.hits * (a.predicted + support);
    return best(cuts, isBetter, usual).threshold;
  });
}

/** As {@link tuneEach}, with the largest micro F1 on these rows. It may leave a label that it could only get wrong to no row. */
export function tuneTogether(
  scores: Numbers,
  targets: Numbers,
  labels: number,
  usual: number,
  fewest: number,
): number[] {
  const all = allCuts(scores, targets, labels, usual);
  const chosenAt = (f1: number): Cut[] =>
    all.map(({ support, cuts, usual: kept }) => {
      if (support < fewest) return kept;
      const gain = ({ hits, predicted }: Cut) => 2 * hits - f1 * predicted;
      // Rounding of sums must not tell equal cuts apart.
      const isBetter = (a: Cut, b: Cut) => (Math.abs(gain(a) - gain(b)) < 1e-9 ? 0 : gain(a) - gain(b));
      return best(cuts, isBetter, usual);
    });
  let chosen = all.map((label) => label.usual);
  for (let f1 = microOf(all, chosen); ; ) {
    const next = chosenAt(f1);
    const reached = microOf(all, next);
    chosen = next;
    if (!(reached > f1 + 1e-12)) return chosen.map(({ threshold }) => threshold);
    f1 = reached;
  }
}

function microOf(all: readonly LabelCuts[], chosen: readonly Cut[]): number {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const both = sum(all.map(({ support }) => support)) + sum(chosen.map(({ predicted }) => predicted));
  return both > 0 ? (2 * sum(chosen.map(({ hits }) => hits))) / both : 0;
}

/** @param isBetter above 0 where the first is better, 0 where they are equal */
function best(cuts: readonly Cut[], isBetter: (a: Cut, b: Cut) => number, usual: number): Cut {
  const distance = ({ threshold }: Cut) => Math.abs(threshold - usual);
  return cuts.reduce((found, cut) => {
    const better = isBetter(cut, found);
    return better > 0 || (better === 0 && distance(cut) < distance(found)) ? cut : found;
  });
}

function allCuts(scores: Numbers, targets: Numbers, labels: number, usual: number): LabelCuts[] {
  const rows = targets.length / labels;
  return Array.from({ length: labels }, (_, id) => {
    const own = Float64Array.from({ length: rows }, (_, row) => scores[row * labels + id] as number);
    const has = (row: number) => targets[row * labels + id] as number;
    return cutsOf(own, has, usual);
  });
}

/** Rows of equal scores are on one side of every threshold; one without a score (NaN) reaches none. */
function cutsOf(scores: Float64Array, has: (row: number) => number, usual: number): LabelCuts {
  const order = [...scores.keys()]
    .filter((row) => !Number.isNaN(scores[row]))
    .sort((a, b) => (scores[b] as number) - (scores[a] as number));
  const cuts: Cut[] = [];
  const usualCut = { threshold: usual, predicted: 0, hits: 0 };
  const support = [...scores.keys()].reduce((sum, row) => sum + has(row), 0);
  const [highest = 0] = order.map((row) => scores[row] as number);
  const none = between(highest, 1, usual);
  if (none !== null) cuts.push({ threshold: none, predicted: 0, hits: 0 });
  let hits = 0;
  for (const [rank, row] of order.entries()) {
    hits += has(row);
    const score = scores[row] as number;
    if (score >= usual) Object.assign(usualCut, { predicted: rank + 1, hits });
    const next = order[rank + 1];
    const below = next === undefined ? 0 : (scores[next] as number);
    if (below === score) continue;
    const threshold = between(below, score, usual);
    if (threshold !== null) cuts.push({ threshold, predicted: rank + 1, hits });
  }
  return { support, cuts: cuts.length > 0 ? cuts : [usualCut], usual: usualCut };
}

/**
 * A threshold of (above, upTo]: the usual one where it lies there, else one about the middle with few digits, as far from the
 * scores on both sides as may be: another machine's last digits must not change a label. null where no number between 0 and 1 lies there.
 */
function between(above: number, upTo: number, usual: number): number | null {
  if (above < usual && usual <= upTo) return usual;
  const middle = (above + upTo) / 2;
  for (let digits = 2; digits <= 15; digits++) {
    const short = Number(middle.toFixed(digits));
    if (isThreshold(short) && Math.abs(short - middle) <= (upTo - above) / 4) return short;
  }
  const exact = middle > above ? middle : upTo;
  return isThreshold(exact) && exact > above ? exact : null;
}
