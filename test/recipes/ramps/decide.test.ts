// From what ramps say of rows to a rule: what does not pay, what a budget loses, and whose ramps are decided on.

import { expect, test } from "@jest/globals";
import type { Asked } from "../../../src/exits/asked";
import { thresholdGrid } from "../../../src/exits/thresholds";
import { type Candidate, decideExits } from "../../../src/recipes/ramps/decide";
import { judgesOf, leavingBy } from "../../../src/recipes/ramps/judge";
import type { SplitOutputs } from "../../../src/recipes/ramps/outputs";
import { glueTasks } from "../../../src/tasks/glue";
import { tinyBase } from "../../tiny";

const task = glueTasks.sst2;
const ROWS = 400;
const LENGTH = 64;
const keep: Asked = { promise: { keep: 0.9, confidence: 0.9 } };

/** Every row is of class 1, and so says the model. A ramp is this sure of it (in logits), and wrong at some rows. */
interface Ramp {
  readonly sure: number;
  readonly wrong?: number;
}

function split(ramps: Readonly<Record<number, Ramp>>, top: number): SplitOutputs {
  const logits = (logit: number) => Float32Array.of(-logit / 2, logit / 2);
  const layers = Object.keys(ramps).map(Number);
  const ramp =
    ({ sure, wrong = 0 }: Ramp) =>
    (row: number) =>
      logits(row < wrong ? -sure : sure);
  return {
    ...{ top, rows: ROWS, data: new Float32Array(0), full: () => logits(9) },
    ramps: new Map(layers.map((layer) => [layer, ramp(ramps[layer] as Ramp)])),
  };
}

const rows = () => ({ labels: new Float32Array(ROWS).fill(1), lengths: new Int32Array(ROWS).fill(LENGTH) });
type Data = Parameters<typeof decideExits>[1]["data"];
const data = { train: rows(), dev: rows() } as unknown as Data;

function candidate(train: Readonly<Record<number, Ramp>>, dev = train, top = 4): Candidate {
  const trainRows = Int32Array.from({ length: ROWS }, (_, row) => row);
  const outputs = { train: split(train, top), dev: split(dev, top), trainRows };
  return { outputs, judged: judgesOf(outputs, task, data, leavingBy(task, undefined)) };
}

const config = { ...tinyBase("tiny-decide").config, hiddenSize: 768, intermediateSize: 3072 };
const decided = (candidates: readonly Candidate[], asked: Asked) => decideExits(candidates, { data, config, asked });
const decide = (own: Candidate, asked: Asked = keep) => decided([own], asked).decision;

const [sure, unsure] = [{ sure: 9 }, { sure: 0.01, wrong: 50 }];

test("a ramp that is sure of its rows is asked", () => {
  expect(decide(candidate({ 1: sure, 2: sure, 3: sure }))).toMatchObject({
    exits: { stops: [1], promise: { keep: 0.9, confidence: 0.9 }, measured: { layers: 1, lost: 0, left: [ROWS] } },
  });
});

test("a rule says from which threshold on it pays", () => {
  const { exits } = decide(candidate({ 1: sure }));
  const doubt = Math.log1p(Math.exp(-9)) + 9 / (1 + Math.exp(9)); // the entropy of each row: below it none leaves
  const grid = thresholdGrid(Math.LN2);
  expect(exits?.pays).toBe(grid.find((threshold) => threshold >= doubt));
});

test("no rule where ramps are sure of train rows and of too few on dev", () => {
  // At any threshold that leaves rows, more than a tenth is lost; at those that hold, none leaves, and the ramp is asked in vain.
  const dev = { 1: { sure: 0.5, wrong: 100 } };
  expect(decide(candidate({ 1: sure }, dev))).toEqual({
    exits: null,
    why: expect.stringMatching(/too few dev rows leave: .* 0 of 400 do, and ramps cost more .* lower --keep/),
  });
});

test("no rule where nothing is sure, nor where too few rows count", () => {
  const wrong = { 1: { sure: 9, wrong: ROWS }, 2: { sure: 9, wrong: ROWS } };
  expect(decide(candidate(wrong))).toEqual({ exits: null, why: expect.stringMatching(/no exit is predicted to pay/) });
  const much: Asked = { promise: { keep: 0.999, confidence: 0.99 } };
  expect(decide(candidate({ 1: sure }), much)).toMatchObject({
    why: expect.stringMatching(/takes 4603 of which none/),
  });
});

test("within a budget those ramps are asked that lose least, not those that spare most", () => {
  // The first is as sure as the third and wrong at a quarter; both take no more than three layers.
  const own = candidate({ 1: { sure: 4, wrong: 100 }, 2: unsure, 3: { sure: 4 } });
  expect(decide(own, { budget: 3 })).toMatchObject({
    exits: { stops: [3], budget: 3, measured: { lost: 0, layers: 3 } },
  });
  expect(decide(own, { budget: 1 })).toMatchObject({ exits: { stops: [1], measured: { lost: 100, layers: 1 } } });
});

test("a budget that cannot be, or need not be held, is said to be so", () => {
  const own = candidate({ 2: sure, 3: sure });
  expect(decide(own, { budget: 1.5 })).toEqual({
    exits: null,
    why: expect.stringMatching(/no threshold .* at most 1.5/),
  });
  expect(decide(own, { budget: 4 })).toEqual({ exits: null, why: expect.stringMatching(/the whole way, which has 4/) });
});

test("of several seeds that of the train rows is decided on, whichever passes on dev", () => {
  const passes = candidate({ 2: sure });
  const fails = candidate({ 1: sure }, { 1: { sure: 20, wrong: 100 } });
  expect(decide(passes).exits).not.toBeNull();
  for (const order of [
    [passes, fails],
    [fails, passes],
  ]) {
    const { chosen, decision } = decided(order, keep);
    expect(chosen).toBe(fails);
    expect(decision).toMatchObject({ exits: null, why: expect.stringMatching(/100 of 400 dev rows are lost/) });
  }
});
