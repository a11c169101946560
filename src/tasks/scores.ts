// Scores over seeds and tasks. One that is undefined (null) leaves their mean undefined too.

export interface Spread {
  readonly mean: number;
  /** Sample standard deviation; null for one value. */
  readonly sd: number | null;
}

/** null where there is no score, or one is undefined. */
export function meanScore(scores: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const score of scores) {
    if (score === null) return null;
    sum += score;
  }
  return scores.length === 0 ? null : sum / scores.length;
}

/** null where there is no score, or one is undefined. */
export function spreadOf(scores: readonly (number | null)[]): Spread | null {
  const mean = meanScore(scores);
  if (mean === null) return null;
  if (scores.length === 1) return { mean, sd: null };
  const squares = scores.reduce<number>((sum, score) => sum + ((score as number) - mean) ** 2, 0);
  return { mean, sd: Math.sqrt(squares / (scores.length - 1)) };
}
