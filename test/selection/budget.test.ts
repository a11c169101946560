// The budget's choice against brute force: the same total, and the same candidates where several reach it.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { countLayers } from "../../src/model/overhead";
import { type Allowance, chooseWithin, layerAllowance } from "../../src/selection/budget";
import type { Candidate, TaskCandidates } from "../../src/selection/candidate";
import { type LatencyModel, latencyAllowance, latencyOf } from "../../src/selection/latency";
import { applyRule, type Budget } from "../../src/selection/rule";
import { readScores } from "../../src/selection/scores-file";
import { everyChoice, paperCandidates, randomTasks, task } from "./tables";

/** Every choice in order; the one to keep has the fewest undefined scores, then the best total within 1e-9, then layers. */
function bruteForce(tasks: readonly TaskCandidates[], fits: (choice: readonly Candidate[]) => boolean) {
  const choices = everyChoice(tasks).filter(fits);
  if (choices.length === 0) return null;
  const undefinedIn = (choice: readonly Candidate[]) => choice.filter(({ score }) => score === null).length;
  const fewest = Math.min(...choices.map(undefinedIn));
  const defined = choices.filter((choice) => undefinedIn(choice) === fewest);
  const total = (choice: readonly Candidate[]) => choice.reduce((sum, { score }) => sum + (score ?? 0), 0);
  const best = Math.max(...defined.map(total));
  const tied = defined.filter((choice) => total(choice) >= best - 1e-9);
  const least = Math.min(...tied.map(layers));
  return tied.find((choice) => layers(choice) === least) as Candidate[];
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
