// The best total score within a budget, exactly: for each depth that the trunk may have, a multiple-choice knapsack
// over the branches' layers by dynamic programming. The trunk is as deep as the choice's own deepest fork, so a
// cheaper trunk is part of what is optimised. The budget may count layers or milliseconds (latency.ts).

import { scoreTolerance } from "../tasks/metrics";
import { type Candidate, depthOf, type TaskCandidates } from "./candidate";

/** How many branch layers a budget leaves beside a trunk of `depth` layers; negative where that alone is too much. */
export type Allowance = (depth: number) => number;

export const layerAllowance =
  (maxLayers: number): Allowance =>
  (depth) =>
    maxLayers - depth;

/** The choices with one depth of the trunk. */
interface Plan {
  readonly depth: number;
  readonly allowed: number;
  /** suffix[t][L]: the largest worth of tasks t to the last in at most L layers; -Infinity where none fits. */
  readonly suffix: readonly Float64Array[];
}

/**
 * One candidate a task, or null where no choice fits. The allowance must not grow with the depth. Of the choices within
 * 1e-9 of the best total score the one with the fewest layers, trunk included; of those the first in the order of tasks and
 * candidates. Undefined scores count as worst: the fewest of them, then the total.
 */
export function chooseWithin(tasks: readonly TaskCandidates[], allowance: Allowance): Candidate[] | null {
  // One undefined score weighs more than all others together.
  const undefinedWorth = -(2 * tasks.length + 1);
  const worth = ({ score }: Candidate) => score ?? undefinedWorth;
  const most = tasks.reduce((sum, { candidates }) => sum + Math.max(...candidates.map(({ layers }) => layers)), 0);
  const plans: Plan[] = [];
  for (const depth of depthsOf(tasks)) {
    const allowed = Math.min(Math.floor(allowance(depth)), most);
    if (allowed >= 0) plans.push({ depth, allowed, suffix: suffixTables(tasks, depth, allowed, worth) });
  }
  const best = Math.max(...plans.map(({ suffix, allowed }) => at(suffix, 0, allowed)));
  if (!Number.isFinite(best)) return null;
  const enough = best - scoreTolerance;
  const totals = plans.flatMap(({ depth, suffix }) => {
    const layers = suffix[0]?.findIndex((value) => value >= enough) ?? -1;
    return layers < 0 ? [] : [depth + layers];
  });
  // Sums of another order differ in their last bits: the walk must not miss a choice for that.
  const slack = 1e-13 * (1 + Math.abs(best));
  return firstInOrder(tasks, plans, Math.min(...totals), enough - slack, worth);
}

const at = (suffix: readonly Float64Array[], task: number, layers: number): number =>
  suffix[task]?.[layers] ?? Number.NEGATIVE_INFINITY;

/** Every depth that some candidate asks for, from the shallowest. */
export function depthsOf(tasks: readonly TaskCandidates[]): number[] {
  const depths = tasks.flatMap(({ candidates }) => candidates.map(depthOf));
  return [...new Set(depths)].sort((a, b) => a - b);
}

function suffixTables(
  tasks: readonly TaskCandidates[],
  depth: number,
  allowed: number,
  worth: (candidate: Candidate) => number,
): Float64Array[] {
  const tables = [new Float64Array(allowed + 1)];
  for (const { candidates } of [...tasks].reverse()) {
    const after = tables[0] as Float64Array;
    const table = new Float64Array(allowed + 1).fill(Number.NEGATIVE_INFINITY);
    for (const candidate of candidates) {
      if (depthOf(candidate) > depth) continue;
      for (let layers = candidate.layers; layers <= allowed; layers++) {
        const value = worth(candidate) + (after[layers - candidate.layers] as number);
        if (value > (table[layers] as number)) table[layers] = value;
      }
    }
    tables.unshift(table);
  }
  return tables;
}

/** Walks the tasks in order, taking the first candidate from which a choice of `total` layers still reaches `enough`. */
function firstInOrder(
  tasks: readonly TaskCandidates[],
  plans: readonly Plan[],
  total: number,
  enough: number,
  worth: (candidate: Candidate) => number,
): Candidate[] {
  const chosen: Candidate[] = [];
  let sum = 0;
  let open = plans.map(({ depth, allowed, suffix }) => ({ depth, suffix, left: Math.min(allowed, total - depth) }));
  for (const [t, { task, candidates }] of tasks.entries()) {
    const reached = (candidate: Candidate) =>
      open
        .map((plan) => ({ ...plan, left: plan.left - candidate.layers }))
        .filter(
          ({ depth, suffix, left }) =>
            depthOf(candidate) <= depth && sum + worth(candidate) + at(suffix, t + 1, left) >= enough,
        );
    const next = candidates.find((candidate) => reached(candidate).length > 0);
    if (!next) throw new Error(`the tables promise a choice for ${task} that the walk does not find`);
    open = reached(next);
    sum += worth(next);
    chosen.push(next);
  }
  return chosen;
}

/** The fewest branch layers with a trunk of at most `depth` layers; Infinity where a task has no such candidate. */
export function fewestBranchLayers(tasks: readonly TaskCandidates[], depth: number): number {
  return tasks.reduce((sum, { candidates }) => {
    const fitting = candidates.filter((candidate) => depthOf(candidate) <= depth);
    return sum + Math.min(...fitting.map(({ layers }) => layers));
  }, 0);
}
