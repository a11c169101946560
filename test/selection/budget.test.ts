// The budget's choice against brute force: the same total, and the same candidates where several reach it.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { countLayers } from "../../src/model/overhead";
import { type Allowance, chooseWithin, type Goal, layerAllowance } from "../../src/selection/budget";
import type { Candidate, TaskCandidates } from "../../src/selection/candidate";
import { type LatencyModel, latencyAllowance, latencyOf } from "../../src/selection/latency";
import { countedScores } from "../../src/selection/noise";
import { applyRule, type Budget, describeRule } from "../../src/selection/rule";
import { readScores } from "../../src/selection/scores-file";
import { everyChoice, paperCandidates, randomTasks, task } from "./tables";

/**
 * Every choice in order. The one to keep has the fewest undefined scores, then the most points less the price of its layers,
 * then the fewest layers, then the most points as measured; or, with a floor, the fewest layers that reach it with every
 * score defined, then the most points. Scores count in whole steps of 1e-9.
 */
function bruteForce(
  tasks: readonly TaskCandidates[],
  fits: (choice: readonly Candidate[]) => boolean,
  { price = 0, floor, counted = ({ score }) => score }: Goal = {},
) {
  const steps = (score: number) => Math.round(score * 1e9);
  const sum = (choice: readonly Candidate[], of: (one: Candidate) => number | null) =>
    choice.reduce((total, one) => total + steps(of(one) ?? 0), 0);
  const undefinedIn = (choice: readonly Candidate[]) => choice.filter(({ score }) => score === null).length;
  const judged = everyChoice(tasks)
    .filter(fits)
    .map((choice) => {
      const points = sum(choice, counted);
      const gain = points - Math.round(price * 1e7) * layers(choice);
      const order = [-undefinedIn(choice), gain, -layers(choice), sum(choice, ({ score }) => score)];
      const byLayers = [-layers(choice), points, sum(choice, ({ score }) => score)];
      const reaches = floor === undefined || (undefinedIn(choice) === 0 && points >= floor);
      return { choice, reaches, order: floor === undefined ? order : byLayers };
    })
    .filter(({ reaches }) => reaches);
  let best = judged[0];
  for (const one of judged) if (best && isMore(one.order, best.order)) best = one;
  return best?.choice ?? null;
}

/** Whether the first number that differs is larger in a. */
function isMore(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i >= 0 && (a[i] as number) > (b[i] as number);
}

const layers = (choice: readonly Candidate[]) => countLayers(choice).shared + countLayers(choice).branch;

describe("chooseWithin", () => {
  test("a budget of layers equals brute force, ties included", () => {
    fc.assert(
      fc.property(randomTasks, fc.integer({ min: 0, max: 45 }), (tasks, budget) => {
        const chosen = chooseWithin(tasks, layerAllowance(budget));
        expect(chosen).toEqual(bruteForce(tasks, (choice) => layers(choice) <= budget));
      }),
      { numRuns: 1000 },
    );
  });

  test("a budget of milliseconds equals brute force, alone and with one of layers", () => {
    const model: fc.Arbitrary<LatencyModel> = fc.record({
      sharedLayerMs: fc.double({ min: 0.1, max: 5, noNaN: true }),
      branchLayerMs: fc.double({ min: 0.1, max: 5, noNaN: true }),
      topLayerMs: fc.double({ min: 0.1, max: 5, noNaN: true }),
      fixedMs: fc.double({ min: 0, max: 5, noNaN: true }),
    });
    const limits = fc.tuple(fc.double({ min: 0, max: 120, noNaN: true }), fc.integer({ min: 5, max: 60 }));
    fc.assert(
      fc.property(randomTasks, model, limits, (tasks, costs, [maxMs, maxLayers]) => {
        const ms = (choice: readonly Candidate[]) => latencyOf(costs, countLayers(choice), tasks.length);
        const byTime = latencyAllowance(costs, maxMs, tasks.length);
        const both: Allowance = (depth) => Math.min(byTime(depth), maxLayers - depth);
        expect(chooseWithin(tasks, byTime)).toEqual(bruteForce(tasks, (choice) => ms(choice) <= maxMs + 1e-9));
        expect(chooseWithin(tasks, both)).toEqual(
          bruteForce(tasks, (choice) => ms(choice) <= maxMs + 1e-9 && layers(choice) <= maxLayers),
        );
      }),
      { numRuns: 500 },
    );
  });

  test("a price equals brute force, alone and within a budget, ties included", () => {
    // Prices at which a layer is worth exactly what scores of tenths differ by, and others.
    const prices = fc.oneof(
      fc.integer({ min: 0, max: 6 }).map((i) => 5 * i),
      fc.double({ min: 0, max: 40, noNaN: true }),
    );
    fc.assert(
      fc.property(randomTasks, prices, fc.integer({ min: 0, max: 60 }), (tasks, price, budget) => {
        const free = chooseWithin(tasks, () => 1e9, { price });
        expect(free).toEqual(bruteForce(tasks, () => true, { price }));
        const within = chooseWithin(tasks, layerAllowance(budget), { price });
        expect(within).toEqual(bruteForce(tasks, (choice) => layers(choice) <= budget, { price }));
      }),
      { numRuns: 200 },
    );
  });

  test("the fewest layers that reach a sum equal brute force, alone and within a budget", () => {
    fc.assert(
      fc.property(
        randomTasks,
        fc.integer({ min: -20, max: 50 }),
        fc.integer({ min: 0, max: 60 }),
        (tasks, tenths, budget) => {
          const floor = tenths * 1e8;
          expect(chooseWithin(tasks, () => 1e9, { floor })).toEqual(bruteForce(tasks, () => true, { floor }));
          const within = chooseWithin(tasks, layerAllowance(budget), { floor });
          expect(within).toEqual(bruteForce(tasks, (choice) => layers(choice) <= budget, { floor }));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("where other scores count than those measured, the choice equals brute force", () => {
    fc.assert(
      fc.property(
        randomTasks,
        fc.double({ min: 0, max: 0.3, noNaN: true }),
        fc.integer({ min: 0, max: 9 }),
        (tasks, sd, price) => {
          const noisy = tasks.map((one) => ({ ...one, noise: { sd, degrees: 2 } }));
          const scores = new Map(noisy.flatMap((one) => [...countedScores(one)]));
          const goal: Goal = { price, counted: (one) => scores.get(one) ?? null };
          expect(chooseWithin(noisy, () => 1e9, goal)).toEqual(bruteForce(noisy, () => true, goal));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("on the paper's tables: every budget equals brute force, up to the teachers' 67 layers", async () => {
    const { tasks } = await readScores(paperCandidates, "auto");
    const five = tasks.slice(1, 6);
    for (let budget = 0; budget <= 60; budget++) {
      const chosen = chooseWithin(five, layerAllowance(budget));
      expect(chosen).toEqual(bruteForce(five, (choice) => layers(choice) <= budget));
    }
    const whole = chooseWithin(tasks, layerAllowance(67)) as Candidate[];
    expect(whole.map((candidate) => candidate.layers)).toEqual([10, 5, 2, 8, 6, 5, 8, 3]);
    expect(chooseWithin(tasks, layerAllowance(14))).toBeNull();
  });

  test("the shared layers are those that the choice needs: a shallow fork may win over a better score", () => {
    const tasks = [task("a", [1, 70, 1], [1, 75, 6]), task("b", [4, 60, 0], [6, 64, 0])];
    // With fork 6 there are 2 layers left for b, which has none so small; with fork 1, 6.
    expect(chooseWithin(tasks, layerAllowance(8))?.map(({ score }) => score)).toEqual([0.7, 0.64]);
    expect(chooseWithin(tasks, layerAllowance(11))?.map(({ score }) => score)).toEqual([0.75, 0.6]);
  });

  test("many tasks and a huge budget are no trouble", () => {
    const many = Array.from({ length: 300 }, (_, i) =>
      task(`t${i}`, [1, 50 + (i % 7), i % 5], [2, 60 + (i % 11), i % 6], [9, 70, 3]),
    );
    const before = process.cpuUsage();
    expect(chooseWithin(many, layerAllowance(1e15))).toHaveLength(300);
    const chosen = chooseWithin(many, layerAllowance(900)) as Candidate[];
    expect(layers(chosen)).toBeLessThanOrEqual(900);
    const { user, system } = process.cpuUsage(before);
    expect(user + system).toBeLessThan(5e6); // microseconds of this process, however busy the machine is
  });
});

describe("applyRule with a budget", () => {
  const tasks = [task("a", [1, 70], [3, 76]), task("b", [1, 60], [2, 61], [3, null])];
  const notes = (rule: Omit<Budget, "kind">) => applyRule(tasks, { kind: "budget", ...rule }).map((one) => one.notes);
  const model = { sharedLayerMs: 1, branchLayerMs: 2, topLayerMs: 2.5, fixedMs: 1 };

  test("says of each candidate what it would change", () => {
    expect(notes({ maxLayers: 6 })).toEqual([
      ["-6.0 points", "chosen with the others"],
      ["chosen with the others", "+1.0 points, but 7 layers in all, over 6", "its score is undefined"],
    ]);
    // 1 + 2 topmost of 2.5 + 2 shared of 1 + 2 below the topmost of 2 = 12 ms.
    expect(notes({ latency: { maxMs: 12, model } })[1]?.[1]).toBe("+1.0 points, but 14 ms in all, over 12");
  });

  test("a budget that nothing meets names the least", () => {
    expect(() => notes({ maxLayers: 3 })).toThrow(
      "--max-layers 3: the smallest choice has 2 shared + 2 task layers = 4. Give more, or leave out tasks with --task",
    );
    expect(() => notes({ latency: { maxMs: 7.9, model } })).toThrow("--max-latency 7.9: the fastest choice takes 8 ms");
    // The shallow fork is slow and the deep one large: each limit alone can be met.
    const apart = [task("a", [1, 70, 5], [4, 70, 0])];
    const costs = { sharedLayerMs: 0.1, branchLayerMs: 5, topLayerMs: 5, fixedMs: 0 };
    const rule: Budget = { kind: "budget", maxLayers: 4, latency: { maxMs: 10, model: costs } };
    expect(() => applyRule(apart, rule)).toThrow(/no choice meets both/);
  });
});

describe("applyRule with a price", () => {
  test("on the paper's tables it finds mixes that the threshold does not: every k may be left for another", async () => {
    const { tasks } = await readScores(paperCandidates, "auto");
    const totals = [0, 0.25, 0.5, 1, 2, 3].map((price) => {
      const chosen = applyRule(tasks, { kind: "budget", price }).map((decision) => decision.chosen);
      const points = chosen.reduce((sum, { score }) => sum + 100 * (score as number), 0);
      return [layers(chosen), Number((points / 8).toFixed(2))];
    });
    for (const [i, [total, average]] of totals.entries()) {
      expect(total).toBeLessThanOrEqual(totals[i - 1]?.[0] ?? 67);
      expect(average).toBeLessThanOrEqual(totals[i - 1]?.[1] ?? 100);
    }
    // At the threshold's own layers no choice has more points.
    const within = applyRule(tasks, { kind: "budget", maxLayers: 33 }).map(({ chosen }) => chosen.score as number);
    expect(within.reduce((sum, score) => sum + score, 0)).toBeGreaterThanOrEqual(8 * 0.82475 - 1e-9);
  });

  test("says what each candidate would change", () => {
    const tasks = [task("a", [1, 70], [2, 70.4], [4, 76, 0]), task("b", [1, 60], [2, 62])];
    const decisions = applyRule(tasks, { kind: "budget", price: 1 });
    expect(decisions.map(({ chosen }) => chosen.layers)).toEqual([4, 2]);
    expect(decisions[0]?.notes).toEqual([
      "-6.0 points, -3 layers in all at 1 a layer",
      "-5.6 points, -2 layers in all at 1 a layer",
      "chosen with the others",
    ]);
    expect(describeRule({ kind: "budget", price: 1, maxLayers: 9, withinNoise: true })).toBe(
      "price 1, at most 9 layers, within noise",
    );
  });
});

describe("applyRule with a share to keep", () => {
  test("the fewest layers with 99.1 % of the paper's teachers; all of it with all of them, or fewer", async () => {
    const { tasks } = await readScores(paperCandidates, "auto");
    const keep = (share: number) => applyRule(tasks, { kind: "budget", keep: share }).map(({ chosen }) => chosen);
    const teachers = tasks.reduce((sum, { candidates }) => sum + (candidates.at(-1)?.score as number), 0);
    const kept = (choice: readonly Candidate[]) =>
      choice.reduce((sum, { score }) => sum + (score as number), 0) / teachers;
    for (const share of [80, 95, 98, 99, 99.1, 99.6, 99.9, 100]) {
      const chosen = keep(share);
      expect(kept(chosen)).toBeGreaterThanOrEqual(share / 100 - 1e-9);
      // One layer fewer keeps less, whatever is chosen.
      const fewer = chooseWithin(tasks, layerAllowance(layers(chosen) - 1));
      if (fewer) expect(kept(fewer)).toBeLessThan(share / 100);
    }
  });

  test("what cannot be kept is told: too much, without a teacher, of a teacher without a score", () => {
    const rule = (keep: number, maxLayers?: number): Budget => ({
      kind: "budget",
      keep,
      ...(maxLayers ? { maxLayers } : {}),
    });
    const tasks = [task("a", [1, 70], [3, 76]), task("b", [1, 60], [3, 64])];
    expect(() => applyRule(tasks, rule(101))).toThrow("the best keeps 100.00 %. Ask for less");
    expect(() => applyRule(tasks, rule(99, 5))).toThrow("--keep 99: no choice keeps so much");
    expect(() => applyRule(tasks, rule(99, 3))).toThrow("--max-layers 3: the smallest choice has");
    const full = [task("a", [12, 70, null])];
    expect(() => applyRule(full, rule(99))).toThrow("a has no teacher to keep a share of");
    expect(() => applyRule([task("a", [1, 70], [3, null])], rule(99))).toThrow("the score of a's teacher is undefined");
    expect(() => applyRule([task("a", [1, 5], [3, -2])], rule(99))).toThrow("is not above 0");
  });

  test("a share that is met exactly is met, whatever floating point makes of it", () => {
    // 0.7 + 0.1 is 0.7999999999999999; the teachers have 0.8.
    const tasks = [task("a", [1, 70], [2, 40]), task("b", [1, 10], [2, 40])];
    expect(layers(applyRule(tasks, rule100).map(({ chosen }) => chosen))).toBe(4);
  });
});

const rule100: Budget = { kind: "budget", keep: 100 };

describe("applyRule with a size", () => {
  test("bytes are those of the fixed parts and of every layer; both limits hold", () => {
    const tasks = [task("a", [1, 70], [3, 76]), task("b", [1, 60], [2, 61])];
    const model = { layerBytes: 10, fixedBytes: 100 };
    const choose = (maxBytes: number) =>
      applyRule(tasks, { kind: "budget", size: { maxBytes, model } }).map(({ chosen }) => chosen.layers);
    expect(choose(140)).toEqual([1, 1]);
    expect(choose(159)).toEqual([1, 2]);
    expect(choose(160)).toEqual([3, 1]);
    expect(() => choose(139)).toThrow("--max-bytes 139: the smallest choice has 140 B");
  });
});
