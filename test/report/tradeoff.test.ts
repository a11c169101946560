// Threshold path and Pareto front against brute force over all choices.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  evaluateChoice,
  paretoFront,
  type TradeoffCandidate,
  type TradeoffTask,
  thresholdPath,
} from "../../src/report/tradeoff";
import { pickByThreshold } from "../../src/selection/threshold";

const LAYERS = 6;

/** A task's teacher and smaller students on its fork. */
const task = fc
  .record({
    teacher: fc.integer({ min: 1, max: LAYERS }),
    students: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    scores: fc.array(fc.option(fc.integer({ min: 0, max: 100 }), { freq: 20 }), { minLength: 4, maxLength: 4 }),
    inAverage: fc.boolean(),
  })
  .map(({ teacher, students, scores, inAverage }): Omit<TradeoffTask, "task"> => {
    const sizes = [...students.filter((layers) => layers < teacher).sort((a, b) => a - b), teacher];
    const candidates = sizes.map((layers, n): TradeoffCandidate => {
      const score = scores[n] ?? null;
      return { layers, fork: LAYERS - teacher, score: score === null ? null : score / 100 };
    });
    return { inAverage, candidates };
  });

const tasks = fc
  .array(task, { minLength: 1, maxLength: 4 })
  .map((list) =>
    list.map((one, i): TradeoffTask => ({ ...one, task: `task${i}`, inAverage: i === 0 || one.inAverage })),
  );

function everyChoice(list: readonly TradeoffTask[]): TradeoffCandidate[][] {
  return list.reduce<TradeoffCandidate[][]>(
    (choices, { candidates }) => choices.flatMap((choice) => candidates.map((candidate) => [...choice, candidate])),
    [[]],
  );
}

describe("paretoFront", () => {
  test("is the front of all choices", () => {
    fc.assert(
      fc.property(tasks, (list) => {
        const all = everyChoice(list).map((choice) => evaluateChoice(list, choice, LAYERS));
        const front = paretoFront(list, LAYERS);
        for (const { layers, average } of all) {
          const best = front.filter((point) => point.layers <= layers).map((point) => point.average);
          expect(Math.max(...best)).toBeGreaterThanOrEqual(average - 1e-12);
        }
        for (const { layers, average, choice } of front) {
          expect(evaluateChoice(list, choice, LAYERS)).toMatchObject({ layers, average });
        }
        for (const [i, point] of front.entries()) {
          const before = front[i - 1];
          if (!before) continue;
          expect(point.layers).toBeGreaterThan(before.layers);
          expect(point.average).toBeGreaterThan(before.average);
        }
      }),
    );
  });
});

describe("thresholdPath", () => {
  test("makes at each threshold the choice that its range says", () => {
    fc.assert(
      fc.property(tasks, fc.double({ min: 0.01, max: 120, noNaN: true }), (list, threshold) => {
        const path = thresholdPath(list, LAYERS);
        const point = path.find(({ from, to }) => threshold > from + 1e-6 && (to === null || threshold <= to));
        const at = path.some(({ from }) => Math.abs(threshold - from) <= 1e-6);
        if (at) return; // on the border, where the tolerance decides
        expect(point?.choice).toEqual(list.map(({ candidates }) => pickByThreshold(candidates, threshold)));
      }),
    );
  });

  test("ranges join without a gap from any threshold down to 0", () => {
    fc.assert(
      fc.property(tasks, (list) => {
        const path = thresholdPath(list, LAYERS);
        expect(path[0]?.to).toBeNull();
        expect(path.at(-1)?.from).toBe(0);
        for (const [i, point] of path.entries()) if (i > 0) expect(point.to).toBe(path[i - 1]?.from);
      }),
    );
  });

  test("the paper's RTE: 66.1, 64.6, 66.8 points for 1, 2, 3 layers and 71.5 for 5", () => {
    const candidates = [
      { layers: 1, fork: 7, score: 0.661 },
      { layers: 2, fork: 7, score: 0.646 },
      { layers: 3, fork: 7, score: 0.668 },
      { layers: 5, fork: 7, score: 0.715 },
    ];
    const layers = [1, 2, 3].map((c) => pickByThreshold(candidates, c).layers);
    expect(layers).toEqual([5, 1, 1]);
  });
});
