// Successive halving as a function of scores: who goes on, what ties do, what is chosen.

import { expect, test } from "@jest/globals";
import {
  goingOn,
  halvedWork,
  replayHalving,
  rungsOf,
  type SearchArm,
  scoreAfter,
} from "../../../src/recipes/halving/rule";

const arm = (layers: number, ...seeds: (number | null)[][]): SearchArm => ({ layers, scores: seeds });
const layersOf = (arms: readonly SearchArm[]) => arms.map(({ layers }) => layers);

test.each([
  [6, 4, [{ epoch: 1, keep: 3 }, { epoch: 2, keep: 1 }]], // biome-ignore format: a row a case
  [7, 3, [{ epoch: 1, keep: 3 }, { epoch: 2, keep: 1 }]], // biome-ignore format: a row a case
  [5, 2, [{ epoch: 1, keep: 2 }]],
  [2, 5, [{ epoch: 1, keep: 1 }, { epoch: 2, keep: 1 }, { epoch: 4, keep: 1 }]], // biome-ignore format: a row a case
  [1, 4, []],
  [0, 4, []],
  [6, 1, []],
])("%i values of k and %i epochs have the rungs of Hyperband's bracket", (arms, epochs, rungs) => {
  expect(rungsOf(arms, epochs)).toEqual(rungs);
});

test("the best half goes on, by the best score so far and not the last", () => {
  const arms = [arm(4, [0.7, 0.5]), arm(3, [0.6, 0.65]), arm(2, [0.5, 0.69]), arm(1, [0.1, 0.2])];
  expect(layersOf(goingOn(arms, { epoch: 1, keep: 2 }, "max"))).toEqual([4, 3]);
  expect(layersOf(goingOn(arms, { epoch: 2, keep: 2 }, "max"))).toEqual([4, 2]);
});

test("what ties with the last that goes on goes on too, and a score that is undefined is the worst", () => {
  const undecided = [6, 5, 4, 3, 2, 1].map((layers) => arm(layers, [0]));
  expect(layersOf(goingOn(undecided, { epoch: 1, keep: 3 }, "max"))).toEqual([6, 5, 4, 3, 2, 1]);
  const partly = [arm(3, [0.684]), arm(2, [0.684]), arm(1, [0.7]), arm(4, [null])];
  expect(layersOf(goingOn(partly, { epoch: 1, keep: 2 }, "max"))).toEqual([3, 2, 1]);
  const unknown = [arm(2, [null]), arm(1, [null])];
  expect(layersOf(goingOn(unknown, { epoch: 1, keep: 1 }, "max"))).toEqual([2, 1]);
});

test("seeds count as they do when the teacher is chosen", () => {
  const arms = [arm(2, [0.9], [0.1]), arm(1, [0.6], [0.6])];
  expect(layersOf(goingOn(arms, { epoch: 1, keep: 1 }, "max"))).toEqual([2]);
  expect(layersOf(goingOn(arms, { epoch: 1, keep: 1 }, "mean"))).toEqual([1]);
  expect(scoreAfter(arm(1, [0.6, 0.8], [null, 0.4]), 1, "mean")).toBeNull();
  expect(scoreAfter(arm(1, [0.6, 0.8], [null, 0.4]), 2, "mean")).toBeCloseTo(0.6, 12);
});

test("a replay reads nothing after a stop, and the smaller k wins a final tie", () => {
  const arms = [
    arm(1, [0.1]),
    arm(2, [0.5, 0.5]),
    arm(3, [0.6, 0.7, 0.7, 0.8]),
    arm(4, [0.4]),
    arm(5, [0.6, 0.7, 0.8, 0.8]),
    arm(6, [0.2]),
  ];
  expect(replayHalving(arms, 4, "max")).toEqual({
    chosen: 3,
    stops: new Map([
      [1, 1],
      [4, 1],
      [6, 1],
      [2, 2],
    ]),
  });
});

test("six k and four epochs take between a third and 0.58 of the whole sweep", () => {
  // 21 layer-epochs for the first epoch; then k = 1 to 3 or 4 to 6; then two epochs of k = 1 or 6
  expect(halvedWork([1, 2, 3, 4, 5, 6], 4)).toEqual({ least: 21 + 6 + 2, most: 21 + 15 + 12 });
  expect(halvedWork([3], 4)).toEqual({ least: 12, most: 12 });
  expect(halvedWork([], 4)).toEqual({ least: 0, most: 0 });
});

test("nothing that was stopped had a better score than the choice has", () => {
  for (let seed = 1; seed <= 50; seed++) {
    let state = seed;
    const next = () => {
      state = (state * 48271) % 2147483647;
      return Math.round((state / 2147483647) * 20) / 20; // coarse, so that ties occur
    };
    const arms = [1, 2, 3, 4, 5, 6, 7].map((layers) => arm(layers, [next(), next(), next(), next(), next()]));
    const { chosen, stops } = replayHalving(arms, 5, "max");
    const best = scoreAfter(arms[chosen - 1] as SearchArm, 5, "max") as number;
    expect(stops.has(chosen)).toBe(false);
    for (const [layers, epoch] of stops) {
      expect(scoreAfter(arms[layers - 1] as SearchArm, epoch, "max") as number).toBeLessThan(best);
    }
  }
});
