// What --within-noise counts as no difference (docs/method.md): Breiman's rule of one standard error, with the spread that
// seeds of the same place and settings show. From the best of a task's candidates down, whatever lies within one standard
// error of it counts as much as it; of what is left the best again, and so on. So "as good as" holds both ways and goes on
// from one to the next, which comparing pairs would not give.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { counted as quantity } from "../messages/words";
import { compareScores, scoreTolerance } from "../tasks/metrics";
import type { Candidate, Noise, TaskCandidates } from "./candidate";
import { groupBy } from "./group-by";
import { settingOf } from "./seeds";

/** Finished runs that differ by nothing but the seed. */
export const seedGroups = (runs: readonly StoredRun[]): StoredRun[][] => [...groupBy(runs, settingOf).values()];

/** null where no place has two seeds with a score: there is no noise to be had. */
export const noiseOf = (groups: readonly (readonly StoredRun[])[]): Noise | null =>
  pooledNoise(groups.map((group) => group.flatMap(({ record }) => record.score ?? [])));

/** Of scores in groups, each around its own mean; null where no group has two. */
export function pooledNoise(groups: readonly (readonly number[])[]): Noise | null {
  let [squares, degrees] = [0, 0];
  for (const scores of groups) {
    if (scores.length < 2) continue;
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    squares += scores.reduce((sum, score) => sum + (score - mean) ** 2, 0);
    degrees += scores.length - 1;
  }
  return degrees === 0 ? null : { sd: Math.sqrt(squares / degrees), degrees };
}

/** One standard error of the difference of two candidates, each with so many seeds. */
export const standardError = ({ sd }: Noise, a: number, b: number): number => sd * Math.sqrt(1 / a + 1 / b);

/** The score that counts of each candidate of a task. Without noise their own. */
export function countedScores({ candidates, noise }: TaskCandidates): Map<Candidate, number | null> {
  const counted = new Map<Candidate, number | null>(candidates.map((one) => [one, one.score]));
  if (!noise) return counted;
  let left = candidates.filter(({ score }) => score !== null);
  while (left.length > 0) {
    // Of equals the one with the most seeds, which has the smallest error.
    const best = left.reduce((a, b) => {
      const order = compareScores(b.score, a.score);
      return order > 0 || (order === 0 && seedsOf(b) > seedsOf(a)) ? b : a;
    });
    const top = best.score as number;
    const within = (one: Candidate) =>
      one === best || top - (one.score as number) <= standardError(noise, seedsOf(one), seedsOf(best)) + scoreTolerance;
    for (const one of left.filter(within)) counted.set(one, top);
    left = left.filter((one) => !within(one));
  }
  return counted;
}

const seedsOf = ({ seeds = 1 }: Candidate) => seeds;

/** "rte: noise of 0.4 points a run, from 6 further seeds"; why there is none. */
export function describeNoise({ task, noise }: TaskCandidates): string {
  if (!noise) return `${task}: one seed of each place, so there is no noise to be had: every difference counts`;
  const points = (100 * noise.sd).toFixed(2);
  return `${task}: a seed moves the score by ${points} points (from ${quantity(noise.degrees, "further seed")})`;
}
