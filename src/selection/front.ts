// The Pareto front of a team's candidates: for each number of layers that the merged model may have the most points that a
// choice of one candidate a task reaches; and how much of it one further candidate would move, which is what a search asks.

import { stepsOf } from "./budget";
import { type Candidate, depthOf, type TaskCandidates } from "./candidate";

/** What a choice may lose of the most points to be of use: a tenth. Below that the front is not looked at. */
const MAY_LOSE = 0.1;

export interface FrontPoint {
  readonly layers: number;
  /** The sum of the tasks' scores, in steps of 1e-9. */
  readonly steps: number;
}

export interface Front {
  /** Where one more layer reaches more: from the fewest layers. */
  readonly points: readonly FrontPoint[];
  /** Those that keep nine tenths of the most points. */
  readonly useful: readonly FrontPoint[];
  /**
   * What a candidate with that score would add to the useful part of the front: points, summed over all numbers of layers.
   * 0: that part cannot move by it.
   * @param task its place among the tasks
   */
  gain(task: number, place: Pick<Candidate, "fork" | "layers">, score: number): number;
}

/** An undefined score is worth less than any other, and a task that has nothing else must be served with it. */
const worth = (score: number | null): number => stepsOf(score ?? -1);

/** Of tasks with at least one candidate each. @param total layers of the base */
export function frontOf(tasks: readonly TaskCandidates[], total: number): Front {
  // No choice needs more: every branch is a part of the base, above a trunk of at most the base.
  const most = total * (tasks.length + 1);
  const depths = Array.from({ length: total + 1 }, (_, depth) => depth);
  const others = tasks.map((_, t) => {
    const rest = tasks.filter((_, i) => i !== t);
    return depths.map((depth) => bestByLayers(rest, depth, most));
  });
  const best = new Float64Array(most + 1).fill(Number.NEGATIVE_INFINITY);
  const raise = (
    t: number,
    { fork, layers }: Pick<Candidate, "fork" | "layers">,
    score: number,
    into: Float64Array,
  ) => {
    for (let depth = fork ?? 0; depth <= total; depth++) {
      const rest = others[t]?.[depth] as Float64Array;
      for (let all = depth + layers; all <= most; all++) {
        const reached = score + (rest[all - depth - layers] as number);
        if (reached > (into[all] as number)) into[all] = reached;
      }
    }
  };
  for (const candidate of tasks[0]?.candidates ?? []) raise(0, candidate, worth(candidate.score), best);
  const points: FrontPoint[] = [];
  for (const [layers, steps] of best.entries()) {
    if (Number.isFinite(steps) && steps > (points.at(-1)?.steps ?? Number.NEGATIVE_INFINITY))
      points.push({ layers, steps });
  }
  const top = points.at(-1)?.steps ?? 0;
  const floor = top - MAY_LOSE * Math.abs(top);
  return {
    points,
    useful: points.filter(({ steps }) => steps >= floor),
    gain(task, place, score) {
      const raised = best.slice();
      raise(task, place, worth(score), raised);
      let gain = 0;
      for (let layers = 0; layers <= most; layers++) {
        gain += Math.max(0, (raised[layers] as number) - Math.max(floor, best[layers] as number));
      }
      return gain / 1e7;
    },
  };
}

/** The most that the tasks reach above a trunk of at most `depth` layers, by the branches' layers. */
function bestByLayers(tasks: readonly TaskCandidates[], depth: number, most: number): Float64Array {
  let table = new Float64Array(most + 1);
  for (const { candidates } of tasks) {
    const next = new Float64Array(most + 1).fill(Number.NEGATIVE_INFINITY);
    for (const candidate of candidates) {
      if (depthOf(candidate) > depth) continue;
      const own = worth(candidate.score);
      for (let all = candidate.layers; all <= most; all++) {
        const reached = own + (table[all - candidate.layers] as number);
        if (reached > (next[all] as number)) next[all] = reached;
      }
    }
    table = next;
  }
  return table;
}
