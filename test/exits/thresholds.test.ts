// Thresholds: what rows do under them, which one a promise allows, and that the promise holds on rows that no choice has seen.

import { describe, expect, test } from "@jest/globals";
import { exitProblem } from "../../src/exits/exits";
import { chooseStops, leastPaying, meanCost, paying, type StopCosts } from "../../src/exits/stops";
import {
  certified,
  type Doubts,
  doubtsAt,
  type ExitJudge,
  type ExitOutputs,
  measure,
  measuredBy,
  thresholdGrid,
  withinBudget,
} from "../../src/exits/thresholds";
import { normals, permutation } from "../../src/random/draws";
import { foldIn, seedKey } from "../../src/random/threefry";
import { kinds } from "../../src/tasks/kinds";
import type { Labelled } from "../../src/tasks/kinds/kind";

const LAYERS = [1, 2, 3, 4, 5];
const two: Labelled = { labels: ["no", "yes"] };

interface Synthetic {
  readonly outputs: ExitOutputs;
  readonly judge: ExitJudge;
}

/**
 * Rows of two classes: each has a margin of its own, of which a ramp sees the more the higher it stands, with noise, so that doubt says
 * something of what is wrong, and not all.
 */
function synthetic(rows: number, seed: number): Synthetic {
  const key = seedKey(seed);
  const draw = (which: number) => normals(foldIn(key, which), rows, 1);
  const [margins, labels] = [draw(0), Float32Array.from(draw(1), (value) => Number(value > 0))];
  const logitsOf = (share: number, noise: Float32Array) => (row: number) => {
    const sign = labels[row] === 1 ? 1 : -1;
    const logit = share * (sign * (2.2 + (margins[row] as number)) + 1.2 * (noise[row] as number));
    return Float32Array.of(-logit, logit);
  };
  const ramps = new Map(LAYERS.map((layer) => [layer, logitsOf(layer / 4, draw(1 + layer))] as const));
  const full = logitsOf(1.6, draw(9));
  return { outputs: { top: 6, ramps, full, rows }, judge: judgeOf(full, labels) };
}

function judgeOf(full: (row: number) => Float32Array, labels: Float32Array): ExitJudge {
  const leaving = kinds.classification.leaving as NonNullable<typeof kinds.classification.leaving>;
  const lost = leaving.losses(two, labels);
  return {
    doubt: (outputs) => leaving.criteria["entropy"]?.doubt(outputs, two) as number,
    loss: (row, left) => lost(left, full(row), [labels[row] as number]),
  };
}

/** Doubts and losses of some of the rows, as of a split of their own. */
function someOf({ doubt, loss, counts, ...all }: Doubts & { readonly counts: Uint8Array }, rows: Int32Array): Doubts {
  const own = (values: Float64Array) => Float64Array.from(rows, (row) => values[row] as number);
  const counted = rows.reduce((sum, row) => sum + (counts[row] as number), 0);
  return { ...all, rows: rows.length, counted, doubt: doubt.map(own), loss: loss.map(own) };
}

/** Of all rows at once, and which of them count. */
function doubtsOfAll({ outputs, judge }: Synthetic) {
  const counts = Uint8Array.from({ length: outputs.rows }, (_, row) =>
    Number(judge.loss(row, outputs.full(row)) !== null),
  );
  return { ...doubtsAt(LAYERS, outputs, judge), counts };
}

const grid = thresholdGrid(Math.LN2, 48);
const ROWS = 6000;
const DEV = 800;
const lostShare = (doubts: Doubts, threshold: number | null) => {
  if (threshold === null) return 0;
  const { lost, counted } = measure(doubts, threshold);
  return lost / counted;
};

/** 100 splits of the same rows into dev and others, made once. */
let made: { readonly dev: Doubts; readonly others: Doubts }[] | undefined;
function splits() {
  if (made) return made;
  const all = doubtsOfAll(synthetic(ROWS, 7));
  made = Array.from({ length: 100 }, (_, split) => {
    const order = Int32Array.from(permutation(foldIn(seedKey(split), 3), ROWS));
    return { dev: someOf(all, order.subarray(0, DEV)), others: someOf(all, order.subarray(DEV)) };
  });
  return made;
}

describe("the promise", () => {
  test.each([
    [0.99, 0.95],
    [0.97, 0.9],
  ])("to keep %d with a confidence of %d breaks in no more than that of 100 splits", (keep, confidence) => {
    let [broken, leaving] = [0, 0];
    for (const { dev, others } of splits()) {
      const threshold = certified(dev, grid, { keep, confidence });
      if (threshold !== null) leaving += 1;
      if (lostShare(others, threshold) > 1 - keep) broken += 1;
    }
    expect(broken).toBeLessThanOrEqual(100 * (1 - confidence));
    expect(leaving).toBe(100); // a promise that lets nobody leave is kept by anybody
  });

  test("is what a choice that is tuned alone breaks", () => {
    let broken = 0;
    for (const { dev, others } of splits()) {
      const fitting = grid.filter((threshold) => lostShare(dev, threshold) <= 0.01);
      if (lostShare(others, fitting.at(-1) ?? null) > 0.01) broken += 1;
    }
    expect(broken).toBeGreaterThan(20);
  });

  test("has no threshold where too few rows count", () => {
    const few = synthetic(200, 5);
    expect(certified(doubtsAt(LAYERS, few.outputs, few.judge), grid, { keep: 0.99, confidence: 0.95 })).toBeNull();
  });
});

describe("rows", () => {
  // Three rows, ramps on layers 1 and 2 of 3: a sure one, one that is sure at the second and wrong, one that is never sure.
  const logits = (...values: number[]) => Float32Array.from(values);
  const rampOf = (rows: readonly Float32Array[]) => (row: number) => rows[row] as Float32Array;
  const full = rampOf([logits(-3, 3), logits(-3, 3), logits(-3, 3)]);
  const outputs: ExitOutputs = {
    top: 3,
    rows: 3,
    full,
    ramps: new Map([
      [1, rampOf([logits(-3, 3), logits(0, 0.1), logits(0, 0)])],
      [2, rampOf([logits(-9, 9), logits(4, -4), logits(0.1, 0)])],
    ]),
  };
  const judge = judgeOf(full, Float32Array.of(1, 1, 1));

  test("leave at the first ramp that is sure, and count what they lose there", () => {
    const measured = measure(doubtsAt([1, 2], outputs, judge), 0.1);
    expect(measured).toEqual({ rows: 3, counted: 3, lost: 1, layers: 2, top: 3, left: [1, 1], binary: true });
    expect(measuredBy({ criterion: "entropy", threshold: 0.1, stops: [2] }, outputs, judge)).toMatchObject({
      left: [2],
      layers: (2 + 2 + 3) / 3,
    });
    expect(measure(doubtsAt([1, 2], outputs, judge), 0)).toMatchObject({ lost: 0, layers: 3, left: [0, 0] });
  });

  test("take no more layers than a budget has, at the smallest threshold that does", () => {
    const doubts = doubtsAt([1, 2], outputs, judge);
    const pays = () => true;
    expect(withinBudget(doubts, [0.001, 0.1, 0.7, 1], 2, pays)).toBe(0.1);
    expect(withinBudget(doubts, [0.001, 0.1, 0.7, 1], 2, (threshold) => threshold > 0.1)).toBe(0.7);
    expect(withinBudget(doubts, [0.001, 0.1], 1, pays)).toBeNull();
  });

  test("are not asked by ramps that do not pay", () => {
    const chosen = (costs: StopCosts) =>
      chooseStops([1, 2], (stops) => [meanCost(doubtsAt(stops, outputs, judge), 0.1, costs)]).stops;
    expect(chosen({ layer: () => 100, stop: () => 1 })).toEqual([1, 2]);
    // The second spares the topmost layer, which costs a fifth of another.
    expect(chosen({ layer: () => 100, stop: () => 34 })).toEqual([1]);
    expect(chosen({ layer: () => 1, stop: () => 34 })).toEqual([]);
    const whole = doubtsAt([], outputs, judge);
    expect(meanCost(whole, null, { layer: () => 10, stop: () => 5 })).toBeCloseTo(22);
  });

  test("pay from the least threshold on from which all do", () => {
    // The first row leaves after layer 2, which spares a fifth of a layer; from 0.02 on after layer 1, and the second after layer 2.
    const doubts = doubtsAt([1, 2], outputs, judge);
    const grid = [0.001, 0.02, 0.1, 0.7, 1];
    const least = (stop: number, most = 0.1) =>
      leastPaying(grid, most, paying(doubts, { layer: () => 100, stop: () => stop }));
    expect(least(1)).toBe(0.001);
    expect(least(5)).toBe(0.02);
    expect(least(26)).toBe(0.02);
    expect(least(26, 0.001)).toBeNull();
    expect(least(1000)).toBeNull();
    // Not the first that pays by chance: a caller may ask for any between it and the rule's.
    expect(leastPaying(grid, 1, (threshold) => threshold !== 0.1)).toBe(0.7);
    expect(leastPaying(grid, 1, () => true)).toBe(0.001);
  });
});

test("stops weigh by the first number, and by the next where those are equal", () => {
  // Each ramp that is left out loses nothing until the last; all but the first are dear.
  const lost = (stops: readonly number[]) => Number(stops.length === 0);
  const weigh = (stops: readonly number[]) => [lost(stops), stops.reduce((sum, stop) => sum + stop, 0)];
  expect(chooseStops([1, 2, 3], weigh)).toEqual({ stops: [1], weight: [0, 1] });
  const never = () => [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  expect(chooseStops([1, 2, 3], never).stops).toEqual([]);
});

test("a rule that a file holds is one of its way", () => {
  const rule = { criterion: "entropy", threshold: 0.2, stops: [1, 3] };
  const problem = (changed: object) => exitProblem({ ...rule, ...changed }, ["entropy", "probability"], 4);
  expect(problem({})).toBeNull();
  expect(problem({ stops: [] })).toBeNull();
  expect(problem({ criterion: "toString" })).toMatch(/its criterion is "toString", not entropy or probability/);
  for (const threshold of [-1, "0", Number.NaN, null]) expect(problem({ threshold })).toMatch(/threshold/);
  for (const pays of [-1, 0.3, "0", null]) expect(problem({ pays })).toMatch(/it pays from/);
  for (const stops of [[0], [4], [3, 1], [1, 1], [1.5], "1", null]) expect(problem({ stops })).toMatch(/stops/);
});
