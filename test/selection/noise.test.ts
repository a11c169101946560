// What counts as no difference: the spread of seeds, one standard error, groups from the best down.

import { describe, expect, test } from "@jest/globals";
import type { StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Candidate, TaskCandidates } from "../../src/selection/candidate";
import { countedScores, describeNoise, noiseOf, seedGroups, standardError } from "../../src/selection/noise";
import { applyRule } from "../../src/selection/rule";

const run = (fork: number, layers: number, seed: number, score: number | null, options = { epochs: 3 }) => {
  const read = { base: { sha256: "b" }, trainData: { sha256: "a" }, devData: { sha256: "d" } };
  return {
    folder: `k${layers}-${seed}-${options.epochs}`,
    record: { method: "finetune", fork, layers, seed, score, options, ...read },
  } as unknown as StoredRun;
};

const noisy = (
  sd: number,
  ...shapes: readonly (readonly [layers: number, score: number | null, seeds?: number])[]
) => ({
  task: "a",
  noise: { sd, degrees: 4 },
  candidates: shapes.map(
    ([layers, score, seeds = 1], i): Candidate => ({
      role: i === shapes.length - 1 ? "teacher" : "student",
      fork: 2,
      layers,
      score,
      seeds,
    }),
  ),
});
const counted = (task: TaskCandidates) => [...countedScores(task).values()];

describe("the noise of seeds", () => {
  test("is pooled over places, each around its own mean; other settings are another group", () => {
    const groups = seedGroups([
      run(2, 2, 1, 0.8),
      run(2, 2, 2, 0.82),
      run(2, 2, 1, 0.5, { epochs: 8 }),
      run(1, 3, 1, 0.9),
      run(1, 3, 2, 0.93),
      run(1, 3, 3, 0.9),
      run(1, 3, 4, null),
    ]);
    expect(groups.map(({ length }) => length)).toEqual([2, 1, 4]);
    const noise = noiseOf(groups);
    // 0.0002 of one further seed and 0.0006 of two.
    expect(noise).toEqual({ sd: expect.closeTo(Math.sqrt(0.0008 / 3), 12), degrees: 3 });
    expect(standardError({ sd: 0.02, degrees: 3 }, 1, 4)).toBeCloseTo(0.02 * Math.sqrt(1.25), 12);
  });

  test("what a student begins as, learns from and is scored on is no noise", () => {
    const student = (seed: number, also: object) => {
      const { folder, record } = run(2, 1, seed, 0.8);
      return { folder, record: { ...record, method: "distill", teacher: { sha256: "t" }, ...also } } as StoredRun;
    };
    const kinds = [
      {},
      { initLayers: "top" },
      { initLayers: "spread" },
      { taughtBy: [{ sha256: "t" }, { sha256: "u" }] },
      { transfer: { sha256: "x", rows: 10, from: ["task:mrpc"] } },
      { transfer: { sha256: "x", rows: 20, from: ["task:mrpc"] } },
      { devData: { sha256: "e" } },
    ];
    const groups = seedGroups([1, 2].flatMap((seed) => kinds.map((kind) => student(seed, kind))));
    expect(groups.map((group) => group.map(({ record }) => record.seed))).toEqual(kinds.map(() => [1, 2]));
  });

  test("with one seed of each place there is none to be had, and every difference counts", () => {
    expect(noiseOf(seedGroups([run(2, 2, 1, 0.8), run(1, 3, 1, 0.9)]))).toBeNull();
    const task = { ...noisy(0.1, [1, 0.8], [2, 0.81]), noise: null };
    expect(counted(task)).toEqual([0.8, 0.81]);
    expect(describeNoise(task)).toMatch(/^a: one seed of each place, so there is no noise to be had/);
  });
});

describe("scores that count", () => {
  test("from the best down, what lies within one standard error counts as much", () => {
    // Of single runs the standard error is 1.414 points: 90 takes 88.7, and 88.5 begins anew although 88.7 is near.
    const task = noisy(0.01, [1, 0.885], [2, 0.887], [3, 0.9], [4, 0.872], [5, null]);
    expect(counted(task)).toEqual([0.885, 0.9, 0.9, 0.885, null]);
  });

  test("more seeds make the error smaller", () => {
    expect(counted(noisy(0.01, [1, 0.888, 4], [2, 0.9, 4]))).toEqual([0.888, 0.9]);
    expect(counted(noisy(0.01, [1, 0.888, 1], [2, 0.9, 1]))).toEqual([0.9, 0.9]);
  });

  test("threshold and joint choices take the smaller of what is as good; of equal layers the better as measured", () => {
    const task = noisy(0.01, [1, 0.87], [2, 0.893], [2, 0.897], [4, 0.905]);
    const layers = (rule: Parameters<typeof applyRule>[1]) => applyRule([task], rule).map(({ chosen }) => chosen);
    expect(layers({ kind: "threshold", c: 0.3 })[0]?.layers).toBe(4);
    expect(layers({ kind: "threshold", c: 0.3, withinNoise: true })[0]).toBe(task.candidates[2]);
    expect(layers({ kind: "budget", maxLayers: 9, withinNoise: true })[0]).toBe(task.candidates[2]);
    expect(layers({ kind: "budget", keep: 100, withinNoise: true })[0]).toBe(task.candidates[2]);
    const [decision] = applyRule([task], { kind: "budget", price: 0.1, withinNoise: true });
    expect(decision?.notes[3]).toBe("+0.8 points inside the noise, +2 layers in all at 0.1 a layer");
  });
});
