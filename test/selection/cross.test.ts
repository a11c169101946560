// A choice made on one half and scored on the other: what luck on one half promises, the other does not keep.

import { describe, expect, test } from "@jest/globals";
import type { StoredRun } from "../../src/checkpoints/runs/run-folder";
import { type Candidates, storedCandidates } from "../../src/selection/candidates";
import { crossSelect, differs, type HalfScores } from "../../src/selection/cross";
import { jointCandidates } from "../../src/selection/joint-candidates";
import { applyRule, type Rule } from "../../src/selection/rule";

interface Facts {
  readonly layers: number;
  readonly fork: number | null;
  readonly halves: readonly [number, number];
  readonly seed?: number;
  readonly teacher?: string;
}

function run({ layers, fork, halves, seed = 1, teacher }: Facts): StoredRun {
  const method = teacher === undefined ? "finetune" : "distill";
  const folder = `${method}-${fork}-${layers}-${seed}`;
  const record = {
    ...{ state: "finished", method, task: "a", fork, layers, seed, options: {}, sha256: folder },
    score: (halves[0] + halves[1]) / 2,
    base: { sha256: "b" },
    trainData: { sha256: "t" },
    devData: { sha256: "d", rows: 100, skipped: 0 },
    ...(teacher ? { teacher: { id: "t", folder: teacher, sha256: teacher, score: 0 } } : {}),
  };
  return { folder, record } as unknown as StoredRun;
}

function input(...facts: readonly Facts[]) {
  const all = facts.map(run);
  const scores = new Map<string, HalfScores>(
    all.map(({ folder, record }, i) => [folder, { whole: record.score, halves: (facts[i] as Facts).halves }]),
  );
  const made = (students: boolean) => all.filter(({ record }) => (record.teacher !== undefined) === students);
  const runs: Candidates = { task: "a", teachers: made(false), students: made(true) };
  return { runs, scores };
}

const paper = (runs: Candidates) => ({ task: runs.task, ...storedCandidates(runs, "max", false) });
const joint = (runs: Candidates) => jointCandidates(runs, "max", false).pool;
const cross = (one: ReturnType<typeof input>, rule: Rule, candidatesOf: typeof joint) =>
  crossSelect([one], candidatesOf, rule, "max", applyRule([candidatesOf(one.runs)], rule));

describe("crossSelect", () => {
  // k = 5 is lucky on the first half, k = 3 on the second.
  const teachers: Facts[] = [
    { layers: 5, fork: 1, halves: [0.9, 0.7] },
    { layers: 3, fork: 3, halves: [0.78, 0.8] },
  ];

  test("the teacher of each half is scored on the other one; the maximum stands beside it", () => {
    const {
      tasks,
      score,
      maximum,
      teachers: reference,
      full,
      layers,
    } = cross(input(...teachers), { kind: "budget", maxLayers: 6 }, joint);
    const [{ choices }] = tasks as [(typeof tasks)[number]];
    expect(choices.map((one) => [one.layers, one.chosenOn, one.score])).toEqual([
      [5, 0.9, 0.7],
      [3, 0.8, 0.78],
    ]);
    expect([score, maximum]).toEqual([expect.closeTo(0.74, 12), expect.closeTo(0.8, 12)]);
    expect(reference).toEqual({ score: expect.closeTo(0.74, 12), maximum: expect.closeTo(0.8, 12) });
    expect(full).toBeNull();
    expect(layers).toEqual([6, 6]);
  });

  test("seeds are chosen on the half too, and full fine-tuning stands beside it", () => {
    const one = input(
      { layers: 3, fork: 3, seed: 1, halves: [0.8, 0.6] },
      { layers: 3, fork: 3, seed: 2, halves: [0.7, 0.75] },
      { layers: 6, fork: null, halves: [0.85, 0.81] },
    );
    const { teachers: reference, full } = cross(one, { kind: "budget", maxLayers: 6 }, joint);
    expect(reference?.score).toBeCloseTo((0.6 + 0.7) / 2, 12);
    expect(reference?.maximum).toBeCloseTo(0.725, 12);
    expect(full?.score).toBeCloseTo(0.83, 12);
    expect(full?.maximum).toBeCloseTo(0.83, 12);
  });

  test("the students of the teacher stay candidates where another k wins on the half", () => {
    // The students are those of k = 5, the best on all rows; on the second half k = 3 is the teacher.
    const [best] = teachers as [Facts, Facts];
    const one = input(
      ...teachers,
      { layers: 1, fork: 1, halves: [0.6, 0.795], teacher: run(best).folder },
      { layers: 2, fork: 1, halves: [0.88, 0.5], teacher: run(best).folder },
    );
    const { tasks } = cross(one, { kind: "threshold", c: 2 }, paper);
    const [{ choices }] = tasks as [(typeof tasks)[number]];
    // First half: 60, then 88 for one more layer, then 90 for three more. Second half: 79.5, then 50 and 80.
    expect(choices.map(({ layers, role, score }) => [layers, role, score])).toEqual([
      [2, "student", 0.5],
      [1, "student", 0.6],
    ]);
  });

  test("a run that has no score on these rows is no candidate of either half", () => {
    const one = input(...teachers);
    one.scores.delete("finetune-1-5-1");
    const { tasks } = cross(one, { kind: "budget", maxLayers: 6 }, joint);
    expect(tasks[0]?.choices.map(({ layers }) => layers)).toEqual([3, 3]);
  });

  test("a half that finds no choice says so", () => {
    const one = input({ layers: 5, fork: 1, halves: [0.1, -0.1] });
    const rule: Rule = { kind: "budget", keep: 50 };
    const made = applyRule([joint(one.runs)], { kind: "budget", maxLayers: 6 });
    expect(() => crossSelect([one], joint, rule, "max", made)).toThrow(
      "--cross: on one half of dev, --keep 50: the teachers' average is not above 0",
    );
  });
});

test("scores differ from their records where another engine computed them, not by rounding", () => {
  expect([differs(0.8, 0.8004), differs(null, null)]).toEqual([false, false]);
  expect([differs(0.8, 0.802), differs(null, 0.8)]).toEqual([true, true]);
});
