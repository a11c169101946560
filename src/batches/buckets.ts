// Length buckets: the few padded lengths of a data set, chosen so that the least padding is computed.
// Compiled engines need few shapes, and every engine saves what padding to 128 would waste.

/** Most shapes that one data set is cut into. */
const MAX_BUCKETS = 8;
/** Buckets end on a multiple of this, where the data's longest row allows. */
const STEP = 4;

/**
 * Upper bounds of at most eight buckets, ascending, minimising padded tokens exactly (dynamic programming over the
 * histogram of lengths). A bucket must save more than 0.5 % of all tokens to exist.
 * @param lengths tokens of each row, special ones included
 */
export function chooseBuckets(lengths: ArrayLike<number>): number[] {
  const longest = Math.max(1, maximum(lengths));
  const bounds = candidateBounds(longest);
  const rows = rowsUpTo(lengths, bounds);
  let best: { bounds: number[]; cost: number } | undefined;
  // cost[j]: padded tokens of all rows up to bound j with the buckets used so far; from[b][j]: the bound before j.
  let cost = bounds.map((bound, j) => bound * (rows[j] as number));
  const from: number[][] = [bounds.map(() => -1)];
  for (let used = 1; used <= MAX_BUCKETS; used++) {
    const total = cost[bounds.length - 1] as number;
    const worthIt = best === undefined || total < best.cost - 0.005 * tokens(lengths);
    if (worthIt) best = { bounds: trace(bounds, from), cost: total };
    const next = extend(bounds, rows, cost);
    from.push(next.from);
    cost = next.cost;
  }
  return (best as { bounds: number[] }).bounds;
}

function candidateBounds(longest: number): number[] {
  const bounds: number[] = [];
  for (let bound = STEP; bound < longest; bound += STEP) bounds.push(bound);
  bounds.push(longest);
  return bounds;
}

/** Number of rows with at most bounds[j] tokens. */
function rowsUpTo(lengths: ArrayLike<number>, bounds: readonly number[]): number[] {
  const longest = bounds[bounds.length - 1] as number;
  const counts = new Array<number>(longest + 1).fill(0);
  for (let i = 0; i < lengths.length; i++) counts[lengths[i] as number] = (counts[lengths[i] as number] ?? 0) + 1;
  let sum = 0;
  const cumulative = counts.map((count) => {
    sum += count;
    return sum;
  });
  return bounds.map((bound) => cumulative[bound] as number);
}

/** One more bucket: the last one ends at j and begins after the best i < j. */
function extend(bounds: readonly number[], rows: readonly number[], cost: readonly number[]) {
  const from: number[] = [];
  const extended = bounds.map((bound, j) => {
    let best = cost[j] as number;
    from[j] = -2; // the extra bucket stays empty
    for (let i = 0; i < j; i++) {
      const candidate = (cost[i] as number) + bound * ((rows[j] as number) - (rows[i] as number));
      if (candidate < best) {
        best = candidate;
        from[j] = i;
      }
    }
    return best;
  });
  return { cost: extended, from };
}

function trace(bounds: readonly number[], from: readonly (readonly number[])[]): number[] {
  const chosen: number[] = [];
  let j = bounds.length - 1;
  for (let used = from.length - 1; used >= 0 && j >= 0; used--) {
    const before = from[used]?.[j] as number;
    if (before === -2) continue;
    chosen.unshift(bounds[j] as number);
    j = before;
  }
  return chosen;
}

function maximum(values: ArrayLike<number>): number {
  let longest = 0;
  for (let i = 0; i < values.length; i++) longest = Math.max(longest, values[i] as number);
  return longest;
}

function tokens(lengths: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < lengths.length; i++) sum += lengths[i] as number;
  return sum;
}
