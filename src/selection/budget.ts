// The joint choice over all tasks, exactly: for each depth that the trunk may have, a multiple-choice knapsack over the
// branches' layers by dynamic programming. The trunk is as deep as the choice's own deepest fork, so a cheaper trunk is
// part of what is optimised. Limits may count layers, milliseconds (latency.ts) or bytes (size.ts): each is a function of
// the trunk's depth and of the branches' layers, which is all that a state of the tables has.

import { type Candidate, depthOf, type TaskCandidates } from "./candidate";

/** How many branch layers a budget leaves beside a trunk of `depth` layers; negative where that alone is too much. */
export type Allowance = (depth: number) => number;

export const layerAllowance =
  (maxLayers: number): Allowance =>
  (depth) =>
    maxLayers - depth;

/** Scores count in whole steps of 1e-9, so that sums are exact (below 9e6 tasks) and a tie is a tie in any order of adding. */
const STEPS = 1e9;

export const stepsOf = (score: number): number => Math.round(score * STEPS);

/** What a choice is to reach within its limits. */
export interface Goal {
  /** Points that each layer of the merged model costs; 0 where it is not given: the most points. */
  readonly price?: number;
  /** Steps that the scores must add up to: the fewest layers that reach it, instead of the most points. */
  readonly floor?: number;
  /** The score that counts in place of a candidate's own: where noise makes two scores one (noise.ts). */
  readonly counted?: (candidate: Candidate) => number | null;
}

/** Sums of a choice, compared in this order: fewer undefined scores, more that counts, more as measured. */
interface Worth {
  readonly undefined: number;
  readonly counted: number;
  readonly measured: number;
}

/** Of one trunk and the tasks from one on: the best worth in at most L layers, by L. `undefined` is {@link NONE} where nothing fits. */
interface Table {
  readonly undefined: Float64Array;
  readonly counted: Float64Array;
  readonly measured: Float64Array;
}

const NONE = Number.POSITIVE_INFINITY;

/** The choices with one depth of the trunk. */
interface Plan {
  readonly depth: number;
  readonly allowed: number;
  /** Of the tasks from the t-th to the last. */
  readonly suffix: readonly Table[];
}

/**
 * One candidate a task, or null where no choice fits. The allowance must not grow with the depth. The order of choices: fewer
 * undefined scores; more points less the price of the layers, trunk included; fewer layers; more points as measured; the
 * first in the order of tasks and candidates. With a floor: fewer layers, then more points, among what reaches it.
 */
export function chooseWithin(
  tasks: readonly TaskCandidates[],
  allowance: Allowance,
  { price = 0, floor, counted = ({ score }) => score }: Goal = {},
): Candidate[] | null {
  const worths = new Map(tasks.flatMap(({ candidates }) => candidates.map((one) => [one, worthOf(one, counted)])));
  const worth = (candidate: Candidate) => worths.get(candidate) as Worth;
  const most = tasks.reduce((sum, { candidates }) => sum + Math.max(...candidates.map(({ layers }) => layers)), 0);
  const plans: Plan[] = [];
  for (const depth of depthsOf(tasks)) {
    const allowed = Math.min(Math.floor(allowance(depth)), most);
    if (allowed >= 0) plans.push({ depth, allowed, suffix: suffixTables(tasks, depth, allowed, worth) });
  }
  // A point is 1e7 steps.
  const total = floor === undefined ? bestTotal(plans, Math.round(price * 1e7)) : leastTotal(plans, floor);
  return total === null ? null : firstInOrder(tasks, plans, total, worth);
}

function worthOf(candidate: Candidate, counted: (candidate: Candidate) => number | null): Worth {
  const score = counted(candidate);
  if (score === null || candidate.score === null) return { undefined: 1, counted: 0, measured: 0 };
  return { undefined: 0, counted: stepsOf(score), measured: stepsOf(candidate.score) };
}

/** Every depth that some candidate asks for, from the shallowest. */
export function depthsOf(tasks: readonly TaskCandidates[]): number[] {
  const depths = tasks.flatMap(({ candidates }) => candidates.map(depthOf));
  return [...new Set(depths)].sort((a, b) => a - b);
}

const at = ({ undefined: none, counted, measured }: Table, layers: number): Worth => ({
  undefined: none[layers] ?? NONE,
  counted: counted[layers] ?? 0,
  measured: measured[layers] ?? 0,
});

/** Negative where a is the better. */
function compareWorths(a: Worth, b: Worth): number {
  if (a.undefined !== b.undefined) return a.undefined < b.undefined ? -1 : 1;
  return b.counted - a.counted || b.measured - a.measured;
}

const plus = (a: Worth, b: Worth): Worth => ({
  undefined: a.undefined + b.undefined,
  counted: a.counted + b.counted,
  measured: a.measured + b.measured,
});

/** States from which a whole choice may be made: every depth with every number of branch layers that it leaves. */
function* statesOf(plans: readonly Plan[]): Generator<{ readonly layers: number; readonly worth: Worth }> {
  for (const { depth, allowed, suffix } of plans) {
    for (let own = 0; own <= allowed; own++) {
      const worth = at(suffix[0] as Table, own);
      if (worth.undefined !== NONE) yield { layers: depth + own, worth };
    }
  }
}

/**
 * The layers of the best choice, null where there is none. A state with layers to spare pays for them, and never ties with
 * the one of the same choice that has none to spare and fewer layers.
 */
function bestTotal(plans: readonly Plan[], price: number): number | null {
  let best: { readonly undefined: number; readonly gain: number; readonly layers: number } | null = null;
  for (const { layers, worth } of statesOf(plans)) {
    const gain = worth.counted - price * layers;
    const order = best ? worth.undefined - best.undefined || best.gain - gain || layers - best.layers : -1;
    if (order < 0) best = { undefined: worth.undefined, gain, layers };
  }
  return best?.layers ?? null;
}

/** The fewest layers whose scores are all defined and reach the floor. */
function leastTotal(plans: readonly Plan[], floor: number): number | null {
  let least: number | null = null;
  for (const { layers, worth } of statesOf(plans)) {
    if (worth.undefined === 0 && worth.counted >= floor && (least === null || layers < least)) least = layers;
  }
  return least;
}

function suffixTables(
  tasks: readonly TaskCandidates[],
  depth: number,
  allowed: number,
  worth: (candidate: Candidate) => Worth,
): Table[] {
  const empty = (none: number): Table => ({
    undefined: new Float64Array(allowed + 1).fill(none),
    counted: new Float64Array(allowed + 1),
    measured: new Float64Array(allowed + 1),
  });
  const tables = [empty(0)];
  for (const { candidates } of [...tasks].reverse()) {
    const table = empty(NONE);
    for (const candidate of candidates) {
      if (depthOf(candidate) <= depth) addCandidate(table, tables[0] as Table, candidate.layers, worth(candidate));
    }
    tables.unshift(table);
  }
  return tables;
}

/** The innermost loop: no objects in it. */
function addCandidate(table: Table, after: Table, layers: number, own: Worth): void {
  const { undefined: none, counted, measured } = table;
  for (let all = layers; all < none.length; all++) {
    const rest = all - layers;
    const u = own.undefined + (after.undefined[rest] as number);
    if (u === NONE) continue;
    const c = own.counted + (after.counted[rest] as number);
    const m = own.measured + (after.measured[rest] as number);
    const held = none[all] as number;
    const gain = c - (counted[all] as number);
    if (u > held || (u === held && (gain < 0 || (gain === 0 && m <= (measured[all] as number))))) continue;
    none[all] = u;
    counted[all] = c;
    measured[all] = m;
  }
}

/** Of the choices of `total` layers the best, and of equals the first: walks the tasks, taking what still leads there. */
function firstInOrder(
  tasks: readonly TaskCandidates[],
  plans: readonly Plan[],
  total: number,
  worth: (candidate: Candidate) => Worth,
): Candidate[] {
  const fitting = plans.filter(({ depth, allowed }) => total >= depth && total - depth <= allowed);
  let open = fitting.map(({ depth, suffix }) => ({ depth, suffix, left: total - depth }));
  const wanted = open
    .map(({ suffix, left }) => at(suffix[0] as Table, left))
    .reduce((a, b) => (compareWorths(b, a) < 0 ? b : a));
  const chosen: Candidate[] = [];
  let sum: Worth = { undefined: 0, counted: 0, measured: 0 };
  for (const [t, { task, candidates }] of tasks.entries()) {
    const leading = (candidate: Candidate) =>
      open
        .map((plan) => ({ ...plan, left: plan.left - candidate.layers }))
        .filter(({ depth, suffix, left }) => {
          if (left < 0 || depthOf(candidate) > depth) return false;
          const reached = plus(plus(sum, worth(candidate)), at(suffix[t + 1] as Table, left));
          return compareWorths(reached, wanted) === 0;
        });
    const next = candidates.find((candidate) => leading(candidate).length > 0);
    if (!next) throw new Error(`the tables promise a choice for ${task} that the walk does not find`);
    open = leading(next);
    sum = plus(sum, worth(next));
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
