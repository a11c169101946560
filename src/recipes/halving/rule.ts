// The search over k. `full` trains every k to its end. `halving` is successive halving (Jamieson and Talwalkar 2016),
// the bracket of Hyperband that begins with one epoch (eta = 2): after epochs 1, 2, 4, ... a half, a quarter, an
// eighth of the k (rounded down, at least one) go on, those with the best dev scores so far. What ties with the last
// of them goes on too: equal scores, such as all 0 while a head still predicts one label, are no evidence.
// The rule is a function of the scores by epoch and of nothing else, so that it can be replayed on any sweep.

import { stepsPerEpoch } from "../../batches/batches";
import { optionsOf, readDevScores, type StoredRun } from "../../checkpoints/runs/run-folder";
import type { ChooseBy } from "../../settings/selection";
import { trainingSettings } from "../../settings/training";
import { compareScores } from "../../tasks/metrics";
import { meanScore } from "../../tasks/scores";

type Score = number | null;

/** A k with all its seeds, which go on and stop together: a k is chosen over its seeds. */
export interface SearchArm {
  readonly layers: number;
  /** Dev scores by epoch, one list a seed. */
  readonly scores: readonly (readonly Score[])[];
}

/** After `epoch` epochs, `keep` of the arms go on. */
export interface Rung {
  readonly epoch: number;
  readonly keep: number;
}

/** The rungs of `arms` values of k; none where there is one k or one epoch. */
export function rungsOf(arms: number, epochs: number): Rung[] {
  const rungs: Rung[] = [];
  if (arms < 2) return rungs;
  let keep = arms;
  for (let epoch = 1; epoch < epochs; epoch *= 2) {
    keep = Math.max(1, Math.floor(keep / 2));
    rungs.push({ epoch, keep });
  }
  return rungs;
}

/** The arms that go on after a rung, in their order. */
export function goingOn<A extends SearchArm>(arms: readonly A[], { epoch, keep }: Rung, by: ChooseBy): A[] {
  const scores = arms.map((arm) => scoreAfter(arm, epoch, by));
  const last = [...scores].sort((a, b) => compareScores(b, a))[Math.min(keep, arms.length) - 1] as Score;
  return arms.filter((_, i) => compareScores(scores[i] as Score, last) >= 0);
}

/** The best dev score of an arm's first `epoch` epochs, over its seeds. */
export function scoreAfter({ scores }: SearchArm, epoch: number, by: ChooseBy): Score {
  const best = scores.map((seed) => {
    return seed.slice(0, epoch).reduce<Score>((max, score) => (compareScores(score, max) > 0 ? score : max), null);
  });
  if (by === "max") return best.reduce((max, score) => (compareScores(score, max) > 0 ? score : max), null);
  return meanScore(best);
}

/** What the rule does with scores that are known. */
export interface Replay {
  /** The k with the best score of those that reached the end; the smaller wins a tie. */
  readonly chosen: number;
  /** The epoch after which each other k was stopped. */
  readonly stops: ReadonlyMap<number, number>;
}

export function replayHalving(arms: readonly SearchArm[], epochs: number, by: ChooseBy): Replay {
  const stops = new Map<number, number>();
  let alive = arms;
  for (const rung of rungsOf(arms.length, epochs)) {
    const left = goingOn(alive, rung, by);
    for (const arm of alive) if (!left.includes(arm)) stops.set(arm.layers, rung.epoch);
    alive = left;
  }
  return { chosen: bestArm(alive, epochs, by), stops };
}

function bestArm(arms: readonly SearchArm[], epochs: number, by: ChooseBy): number {
  const ascending = [...arms].sort((a, b) => a.layers - b.layers);
  const best = ascending.reduce((chosen, arm) =>
    compareScores(scoreAfter(arm, epochs, by), scoreAfter(chosen, epochs, by)) > 0 ? arm : chosen,
  );
  return best.layers;
}

/**
 * The least and the most that the rule leaves of a sweep's work, by whether the cheapest or the costliest k go on.
 * Ties are not foreseen: each lets more go on.
 * @param perEpoch what is left to compute of an epoch of each k
 */
export function halvedWork(perEpoch: readonly number[], epochs: number): { least: number; most: number } {
  const cost = (order: readonly number[]) => {
    let [sum, from, alive] = [0, 0, order.length];
    for (const { epoch, keep } of [...rungsOf(order.length, epochs), { epoch: epochs, keep: 0 }]) {
      sum += (epoch - from) * order.slice(0, alive).reduce((total, one) => total + one, 0);
      [from, alive] = [epoch, keep];
    }
    return sum;
  };
  const ascending = [...perEpoch].sort((a, b) => a - b);
  return { least: cost(ascending), most: cost([...ascending].reverse()) };
}

/** Epochs, steps and seconds of training, evaluation and compiling; the trunk is not counted. */
export interface SearchWork {
  readonly epochs: number;
  readonly steps: number;
  readonly seconds: number;
}

/** What halving did in a sweep, or would have done in one that ran whole. */
export interface SearchReport {
  readonly rule: string;
  readonly halving: { readonly layers: number; readonly score: Score };
  /** The whole sweep's choice; null while a k is unfinished, because only `--search full` can tell. */
  readonly full: { readonly layers: number; readonly score: Score } | null;
  /** Best scores are those up to the epoch, over the seeds. */
  readonly stopped: readonly { readonly layers: number; readonly epoch: number; readonly score: Score }[];
  /**
   * What halving left out of `of`, or would have left out of a whole sweep. Seconds of epochs that never ran are those of
   * the same k's epochs that did.
   */
  readonly saved: SearchWork;
  readonly of: SearchWork;
}

/**
 * Replays halving on a sweep's runs, finished and stopped. null where the rule stops nothing (one k, or one epoch), and
 * where scores that it needs are not there.
 * @param runs of one task and the same options; full branches are no candidates and are left out
 */
export async function reportSearch(
  runs: readonly StoredRun[],
  metric: string,
  by: ChooseBy,
): Promise<SearchReport | null> {
  const sweep = runs.filter(({ record }) => record.fork !== null);
  const arms = armsOf(await Promise.all(sweep.map(async (run) => ({ run, scores: await scoresOf(run, metric) }))));
  if (!sweep[0]) return null;
  const { epochs } = optionsOf(trainingSettings, sweep[0]);
  if (rungsOf(arms.length, epochs).length === 0) return null;
  const { chosen, stops } = replayHalving(arms, epochs, by);
  const known = arms.every(({ layers, scores }) =>
    scores.every((seed) => seed.length >= (stops.get(layers) ?? epochs)),
  );
  if (!known) return null;
  const choice = (layers: number) => {
    return { layers, score: scoreAfter(arms.find((arm) => arm.layers === layers) as SearchArm, epochs, by) };
  };
  const complete = sweep.every(({ record }) => record.state === "finished");
  /** Epochs that halving left out; of a whole sweep, those that it would have left out. */
  const leftOut = (run: StoredRun) => {
    if (complete) return epochs - (stops.get(run.record.layers) ?? epochs);
    return run.record.state === "finished" ? 0 : epochs - epochsDone(run);
  };
  const none: SearchWork = { epochs: 0, steps: 0, seconds: 0 };
  const rungs = rungsOf(arms.length, epochs).map(({ epoch }) => epoch);
  /** A k that goes on after a rung is compiled again, which a whole sweep does once. */
  const savedOf = (run: StoredRun): SearchWork => {
    const { epochs: count, steps, seconds } = workOf(run, leftOut(run));
    const stop = stops.get(run.record.layers) ?? epochs;
    const again = rungs.filter((epoch) => epoch < stop).length * compileSeconds(run);
    return { epochs: count, steps, seconds: seconds - again };
  };
  return {
    rule: "successive halving, eta 2, from one epoch",
    halving: choice(chosen),
    full: complete ? choice(bestArm(arms, epochs, by)) : null,
    stopped: arms.flatMap((arm) => {
      const epoch = stops.get(arm.layers);
      return epoch === undefined ? [] : [{ layers: arm.layers, epoch, score: scoreAfter(arm, epoch, by) }];
    }),
    saved: sweep.reduce((sum, run) => added(sum, savedOf(run)), none),
    of: sweep.reduce((sum, run) => added(added(sum, workOf(run, epochs)), compilingOnce(run)), none),
  };
}

/** Arms from the smallest k, of runs with their scores. */
function armsOf(runs: readonly { readonly run: StoredRun; readonly scores: readonly Score[] }[]): SearchArm[] {
  const byLayers = new Map<number, (readonly Score[])[]>();
  for (const { run, scores } of runs) {
    byLayers.set(run.record.layers, [...(byLayers.get(run.record.layers) ?? []), scores]);
  }
  return [...byLayers].map(([layers, scores]) => ({ layers, scores })).sort((a, b) => a.layers - b.layers);
}

/** A run's dev scores by epoch: of an unfinished one those that its state has passed. */
export async function scoresOf(run: StoredRun, metric: string): Promise<readonly Score[]> {
  return (await readDevScores(run.folder, metric)).slice(0, epochsDone(run));
}

/** Whole epochs behind a run, as its record says. */
export function epochsDone(run: StoredRun): number {
  const { steps } = run.record;
  const perEpoch = epochSteps(run);
  return perEpoch === 0 ? 0 : Math.floor(steps / perEpoch);
}

const epochSteps = (run: StoredRun): number =>
  stepsPerEpoch(run.record.trainData.rows, optionsOf(trainingSettings, run).batchSize);

/** What `epochs` of a run's epochs take, compiling aside, by those that it has behind it. */
function workOf(run: StoredRun, epochs: number): SearchWork {
  const perEpoch = epochSteps(run);
  const { record } = run;
  const running = record.seconds - (record.compiled?.seconds ?? 0);
  return { epochs, steps: epochs * perEpoch, seconds: (epochs * perEpoch * running) / Math.max(1, record.steps) };
}

/** Seconds of compiling a run's steps once. */
const compileSeconds = ({ record: { compiled } }: StoredRun) => (compiled ? compiled.seconds / compiled.times : 0);

const compilingOnce = (run: StoredRun): SearchWork => ({ epochs: 0, steps: 0, seconds: compileSeconds(run) });

const added = (a: SearchWork, b: SearchWork): SearchWork => {
  return { epochs: a.epochs + b.epochs, steps: a.steps + b.steps, seconds: a.seconds + b.seconds };
};
