// Score against layers (the paper's Figure 5): every choice that the threshold makes, and the Pareto front of all choices,
// found exactly. A choice costs the deepest fork that it needs, once, and its branches' layers.

import { overhead } from "../model/overhead";
import { gainPerLayer, pickByThreshold } from "../selection/threshold";

/** A task's student or teacher. */
export interface TradeoffCandidate {
  readonly layers: number;
  readonly fork: number;
  readonly score: number | null;
}

/** A task's candidates by layers, and whether its score counts in the average. */
export interface TradeoffTask {
  readonly task: string;
  readonly inAverage: boolean;
  readonly candidates: readonly TradeoffCandidate[];
}

export interface TradeoffPoint {
  readonly layers: number;
  /** Mean of the tasks in the average, as a fraction. */
  readonly average: number;
  /** One a task, in the tasks' order. */
  readonly choice: readonly TradeoffCandidate[];
}

export interface ThresholdPoint extends TradeoffPoint {
  /** The choice is the same for every threshold above `from` up to and with `to` (null: without end). */
  readonly from: number;
  readonly to: number | null;
}

/** What a choice costs and scores. An undefined score counts as 0. */
export function evaluateChoice(
  tasks: readonly TradeoffTask[],
  choice: readonly TradeoffCandidate[],
  baseLayers: number,
): TradeoffPoint {
  const counted = choice.filter((_, i) => tasks[i]?.inAverage);
  const average = counted.reduce((sum, { score }) => sum + (score ?? 0), 0) / Math.max(1, counted.length);
  return { layers: overhead({ base: { layers: baseLayers }, tasks: choice }).layers, average, choice };
}

/** Every different choice of a threshold above 0, from the highest to the lowest: one below would pay layers for losses. */
export function thresholdPath(tasks: readonly TradeoffTask[], baseLayers: number): ThresholdPoint[] {
  // The choice changes only where a gain a layer between two candidates of a task equals the threshold.
  const gains = new Set<number>();
  for (const { candidates } of tasks) {
    for (const from of candidates) {
      for (const to of candidates) {
        const gain = to.layers > from.layers ? gainPerLayer(from, to) : Number.NaN;
        if (gain > 0 && Number.isFinite(gain)) gains.add(gain);
      }
    }
  }
  const steps = [Number.POSITIVE_INFINITY, ...[...gains].sort((a, b) => b - a)];
  const path: ThresholdPoint[] = [];
  for (const [i, threshold] of steps.entries()) {
    const choice = tasks.map(({ candidates }) => pickByThreshold(candidates, threshold));
    const from = steps[i + 1] ?? 0;
    const before = path.at(-1);
    if (before && choice.every((candidate, task) => candidate === before.choice[task])) {
      path[path.length - 1] = { ...before, from };
    } else {
      const to = Number.isFinite(threshold) ? threshold : null;
      path.push({ ...evaluateChoice(tasks, choice, baseLayers), from, to });
    }
  }
  return path;
}

/**
 * The choices that no other beats in score at as low a cost, by cost.
 * @param costOf of a choice; grows with its trunk and with its branches' layers
 */
export function paretoFront(
  tasks: readonly TradeoffTask[],
  baseLayers: number,
  costOf: (point: TradeoffPoint) => number = ({ layers }) => layers,
): TradeoffPoint[] {
  const forks = new Set(tasks.flatMap(({ candidates }) => candidates.map(({ fork }) => fork)));
  const points: TradeoffPoint[] = [];
  for (const shared of forks) {
    for (const choice of bestByLayers(tasks, shared)) points.push(evaluateChoice(tasks, choice, baseLayers));
  }
  const front: TradeoffPoint[] = [];
  for (const point of points.sort((a, b) => costOf(a) - costOf(b) || b.average - a.average)) {
    if (point.average > (front.at(-1)?.average ?? Number.NEGATIVE_INFINITY) + 1e-12) front.push(point);
  }
  return front;
}

interface Partial {
  readonly total: number;
  readonly choice: readonly TradeoffCandidate[];
}

/** The best choice for each number of branch layers, among candidates whose fork needs at most `shared` layers. */
function bestByLayers(tasks: readonly TradeoffTask[], shared: number): Iterable<readonly TradeoffCandidate[]> {
  let best = new Map<number, Partial>([[0, { total: 0, choice: [] }]]);
  for (const { candidates, inAverage } of tasks) {
    const next = new Map<number, Partial>();
    for (const [layers, { total, choice }] of best) {
      for (const candidate of candidates) {
        if (candidate.fork > shared) continue;
        const sum = layers + candidate.layers;
        const score = total + (inAverage ? (candidate.score ?? 0) : 0);
        if (score > (next.get(sum)?.total ?? Number.NEGATIVE_INFINITY)) {
          next.set(sum, { total: score, choice: [...choice, candidate] });
        }
      }
    }
    best = next;
  }
  return [...best.values()].map(({ choice }) => choice);
}
