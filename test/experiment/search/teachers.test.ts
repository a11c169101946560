// The halving of fine-tunings in a search is the halving of the command; how many arms a budget affords.

import { describe, expect, test } from "@jest/globals";
import type { SearchTrial, Seen } from "../../../src/experiment/search/rule";
import {
  advanceHalving,
  affordable,
  armsOf,
  beginHalving,
  costOf,
  halvingItems,
} from "../../../src/experiment/search/teachers";
import { replayHalving } from "../../../src/recipes/halving/rule";

const trial = (layers: number, index: number, seed = 1, epochs = 4): SearchTrial & { seed: number } => ({
  ...{ index, task: "a", makes: "teachers", place: { fork: 6 - layers, layers }, setting: `${epochs}` },
  ...{ seed, epochs, unitsPerEpoch: 100 * layers },
});

/** By k and epoch: larger k are better in the end, smaller ones in the beginning. */
const scoreOf = ({ place: { layers } }: SearchTrial, epoch: number, seed = 1) =>
  0.5 + 0.02 * layers * epoch - 0.03 * layers + 0.001 * seed;

describe("halving", () => {
  test("stops the same k after the same epochs as the rule replayed on whole sweeps, over seeds", () => {
    const trials = [6, 5, 4, 3, 2, 1].flatMap((k, i) => [trial(k, 2 * i, 1), trial(k, 2 * i + 1, 2)]);
    const scores = (one: SearchTrial & { seed: number }) => [1, 2, 3, 4].map((epoch) => scoreOf(one, epoch, one.seed));
    const whole = [6, 5, 4, 3, 2, 1].map((k) => ({
      layers: k,
      scores: trials.filter(({ place }) => place.layers === k).map(scores),
    }));
    const { chosen, stops } = replayHalving(whole, 4, "mean");
    const seen = new Map<number, Seen>();
    let halving = beginHalving(armsOf(trials));
    while (!halving.done) {
      for (const { trial: one, until } of halvingItems(halving)) {
        seen.set(one.index, {
          scores: scores(one as (typeof trials)[number]).slice(0, until ?? 4),
          done: until === null,
        });
      }
      halving = advanceHalving(halving, seen, "mean");
    }
    for (const one of trials) {
      const { layers } = one.place;
      expect(seen.get(one.index)?.scores).toHaveLength(stops.get(layers) ?? 4);
    }
    expect(halving.alive.map(({ trials: own }) => own[0]?.place.layers)).toContain(chosen);
  });

  test("arms of fewer epochs than a rung are at their end", () => {
    const trials = [trial(6, 0), trial(6, 1, 1, 2), trial(5, 2), trial(5, 3, 1, 2)];
    const first = beginHalving(armsOf(trials));
    expect(halvingItems(first).map(({ until }) => until)).toEqual([1, 1, 1, 1]);
    const seen = new Map(trials.map((one) => [one.index, { scores: [0.5], done: false }]));
    // All tie, and all go on.
    const second = advanceHalving(first, seen, "max");
    expect(halvingItems(second).map(({ trial: one, until }) => [one.epochs, until])).toEqual([
      [4, 2],
      [2, null],
      [4, 2],
      [2, null],
    ]);
  });
});

describe("what a budget affords", () => {
  const arms = (ks: readonly number[]) => armsOf(ks.map((k, i) => trial(k, i)));

  test("all arms, or as many as fit spread over the list with the largest k first; one a task at least", () => {
    const tasks = [arms([6, 5, 4, 3, 2, 1]), arms([6, 5, 4, 3, 2, 1])];
    const sizes = (units: number) =>
      affordable(tasks, units).map((taken) => taken.map((arm) => arm.trials[0]?.place.layers));
    const all = tasks.reduce((sum, own) => sum + costOf(own), 0);
    expect(sizes(all)[0]).toEqual([6, 5, 4, 3, 2, 1]);
    for (const units of [all - 1, all / 2, 0]) {
      const [first, second] = sizes(units) as [number[], number[]];
      expect(second).toEqual(first);
      expect(first[0]).toBe(6);
      expect(first.length).toBeLessThan(6);
      const cost = affordable(tasks, units).reduce((sum, own) => sum + costOf(own), 0);
      if (first.length > 1) expect(cost).toBeLessThanOrEqual(units);
    }
    expect(sizes(0)).toEqual([[6], [6]]);
  });
});
