// Stages out of a plan: packs of one task's trials, arrays that a site takes, and what waits for what.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { arraysOf, asRanges, fromRanges, type LeftTrial, listStages } from "../../src/jobs/stages";

const trial = (index: number, task: string, method = "finetune"): LeftTrial => ({ index, method, task, flops: 0 });

const packs = (trials: readonly LeftTrial[], pack: "auto" | number, seconds: (trial: LeftTrial) => number) =>
  listStages(trials, [], pack, seconds).map(({ packs: own }) => own);

test("ranges are the numbers that they were made of", () => {
  expect(asRanges([0, 1, 2, 7])).toBe("0-2,7");
  expect(fromRanges("")).toEqual([]);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), (drawn) => {
      const sorted = drawn.sort((a, b) => a - b);
      expect(fromRanges(asRanges(sorted))).toEqual(sorted);
    }),
  );
});

test("trials shorter than a minute share a job of up to five minutes, those of one task alone", () => {
  const trials = [0, 1, 2, 3, 4, 5].map((i) => trial(i, i < 4 ? "a" : "b"));
  expect(packs(trials, "auto", () => 20)).toEqual([["0-3", "4-5"]]);
  expect(packs(trials, "auto", () => 59)).toEqual([["0-3", "4-5"]]);
  expect(
    packs(
      [...Array(12).keys()].map((i) => trial(i, "a")),
      "auto",
      () => 50,
    ),
  ).toEqual([["0-5", "6-11"]]);
  expect(packs(trials, "auto", () => 60)).toEqual([["0", "1", "2", "3", "4", "5"]]);
  expect(packs(trials, "auto", ({ index }) => (index === 1 ? 600 : 5))).toEqual([["0", "1", "2-3", "4-5"]]);
  expect(packs(trials, 3, () => 9999)).toEqual([["0-2", "3", "4-5"]]);
});

test("a recipe's trials begin when the stage before has ended, the steps when everything has succeeded", () => {
  const trials = [trial(0, "a"), trial(1, "a", "distill"), trial(2, "b", "distill")];
  const stages = listStages(trials, ["select", "merge"], 1, () => 0);
  expect(stages.map(({ name, after, packs: own }) => [name, after, own])).toEqual([
    ["finetune", "ended", ["0"]],
    ["distill", "ended", ["1", "2"]],
    ["select", "succeeded", null],
    ["merge", "succeeded", null],
  ]);
});

test("arrays hold no more than the site takes, and every pack once", () => {
  const stages = listStages(
    [...Array(7).keys()].map((i) => trial(i, "a")),
    ["report"],
    1,
    () => 0,
  );
  expect(arraysOf(stages, 3).map(({ name, packs: own }) => [name, own])).toEqual([
    ["finetune-0", ["0", "1", "2"]],
    ["finetune-1", ["3", "4", "5"]],
    ["finetune-2", ["6"]],
    ["report", []],
  ]);
  expect(arraysOf(stages, 7)[0]?.name).toBe("finetune");
});
