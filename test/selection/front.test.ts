// The front against brute force, and what one more candidate adds to it.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { countLayers } from "../../src/model/overhead";
import type { Candidate, TaskCandidates } from "../../src/selection/candidate";
import { frontOf } from "../../src/selection/front";
import { everyChoice, task } from "./tables";

const total = 6;

/** Places of a base of six layers; few different scores, so that ties are common. */
const tables: fc.Arbitrary<TaskCandidates[]> = fc
  .array(
    fc.array(
      fc.record({
        fork: fc.integer({ min: 0, max: 5 }),
        own: fc.integer({ min: 1, max: 6 }),
        score: fc.option(
          fc.integer({ min: -1, max: 9 }).map((tenth) => tenth / 10),
          { freq: 9 },
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((tasks) =>
    tasks.map((candidates, t) => ({
      task: `t${t}`,
      candidates: candidates.map(({ fork, own, score }): Candidate => {
        return { role: "student", fork, layers: Math.min(own, total - fork), score };
      }),
    })),
  );

/** The best sum of steps with at most so many layers, by layers. */
function bruteForce(tasks: readonly TaskCandidates[]): (layers: number) => number {
  const choices = everyChoice(tasks).map((choice) => {
    const { shared, branch } = countLayers(choice);
    const steps = choice.reduce((sum, { score }) => sum + Math.round((score ?? -1) * 1e9), 0);
    return { layers: shared + branch, steps };
  });
  return (layers) => Math.max(...choices.filter((one) => one.layers <= layers).map(({ steps }) => steps));
}

describe("frontOf", () => {
  test("has a point wherever one more layer reaches more, and no other", () => {
    fc.assert(
      fc.property(tables, (tasks) => {
        const best = bruteForce(tasks);
        const points = [];
        for (let layers = 0, held = Number.NEGATIVE_INFINITY; layers <= total * (tasks.length + 1); layers++) {
          if (best(layers) > held) points.push({ layers, steps: best(layers) });
          held = Math.max(held, best(layers));
        }
        expect(frontOf(tasks, total).points).toEqual(points);
      }),
      { numRuns: 200 },
    );
  });

  test("a candidate gains what it adds, summed over layers; nothing where the front stays as it is", () => {
    const place = fc.record({ fork: fc.integer({ min: 0, max: 5 }), score: fc.integer({ min: 0, max: 10 }) });
    fc.assert(
      fc.property(tables, place, fc.nat(), (tasks, { fork, score }, pick) => {
        const t = pick % tasks.length;
        const candidate: Candidate = { role: "student", fork, layers: 1, score: score / 10 };
        const more = tasks.map((one, i) => (i === t ? { ...one, candidates: [...one.candidates, candidate] } : one));
        const front = frontOf(tasks, total);
        const [before, after] = [bruteForce(tasks), bruteForce(more)];
        const top = front.points.at(-1)?.steps as number;
        const floor = top - Math.abs(top) / 10;
        let gain = 0;
        for (let layers = 0; layers <= total * (tasks.length + 1); layers++) {
          gain += Math.max(0, after(layers) - Math.max(floor, before(layers))) / 1e7;
        }
        expect(front.useful).toEqual(front.points.filter(({ steps }) => steps >= floor));
        expect(front.gain(t, candidate, score / 10)).toBeCloseTo(gain, 6);
      }),
      { numRuns: 200 },
    );
  });

  test("a cheaper place that keeps nearly all points moves it, one that keeps few does not", () => {
    const tasks = [task("a", [6, 80, 0]), task("b", [4, 90, 2])];
    const front = frontOf(tasks, 6);
    expect(front.points).toEqual([{ layers: 12, steps: 1_700_000_000 }]);
    expect(front.gain(0, { fork: 2, layers: 2 }, 0.8)).toBeGreaterThan(0);
    expect(front.gain(0, { fork: 2, layers: 2 }, 0.7)).toBeGreaterThan(0);
    expect(front.gain(0, { fork: 2, layers: 2 }, 0.6)).toBe(0);
    // As many layers, and fewer points.
    expect(front.gain(0, { fork: 0, layers: 6 }, 0.79)).toBe(0);
  });
});
