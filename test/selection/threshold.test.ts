// The threshold's rule, on the paper's own scores and where it is easy to get wrong.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { summarize } from "../../src/selection/candidate";
import { readScores } from "../../src/selection/scores-file";
import { chooseByThreshold } from "../../src/selection/threshold";
import { paperCandidates, paperTable, randomTasks, task } from "./tables";

const layersOf = (...args: Parameters<typeof chooseByThreshold>) => chooseByThreshold(...args).chosen.layers;

describe("the paper's tables", () => {
  test("the candidates are Table 1's best k from 4 to 10 and Table 2's students", async () => {
    const { tasks, baseLayers } = await readScores(paperCandidates, "auto");
    expect(baseLayers).toBe(12);
    const table1 = paperTable("table1").filter(({ k }) => Number(k) >= 4 && Number(k) <= 10);
    for (const { task: name, candidates } of tasks) {
      const best = table1.reduce((a, b) => (Number(b[name]) > Number(a[name]) ? b : a));
      const students = paperTable("table2").filter(({ method }) => method?.startsWith("KD-"));
      const points = candidates.map(({ score }) => (100 * (score as number)).toFixed(1));
      expect(points).toEqual([...students.map((row) => row[name]), best[name]]);
      expect(candidates.map(({ layers }) => layers)).toEqual([1, 2, 3, Number(best["k"])]);
      expect(candidates.map(({ fork }) => fork)).toEqual(Array(4).fill(12 - Number(best["k"])));
    }
  });

  test.each([
    [1, { QNLI: 3, RTE: 5, QQP: 1, MNLI: 3, "SST-2": 2, MRPC: 3, CoLA: 8, "STS-B": 1 }],
    [2, { QNLI: 2, RTE: 1, QQP: 1, MNLI: 2, "SST-2": 2, MRPC: 1, CoLA: 3, "STS-B": 1 }],
    [3, { QNLI: 1, RTE: 1, QQP: 1, MNLI: 2, "SST-2": 1, MRPC: 1, CoLA: 3, "STS-B": 1 }],
  ])("c = %d", async (c, layers) => {
    const { tasks } = await readScores(paperCandidates, "auto");
    const decisions = tasks.map((candidates) => chooseByThreshold(candidates, c));
    expect(Object.fromEntries(decisions.map((decision) => [decision.task, decision.chosen.layers]))).toEqual(layers);
    const published = paperTable("table2").find(({ method }) => method === `c=${c}`) as Record<string, string>;
    for (const { task: name, chosen } of decisions)
      expect((100 * (chosen.score as number)).toFixed(1)).toBe(published[name]);
    const { shared, total, overhead, average } = summarize(
      decisions.map(({ chosen }) => chosen),
      12,
    );
    expect([shared, total]).toEqual([7, Number(published["layers"])]);
    expect(overhead).toBeCloseTo(total / 96, 12);
    expect((100 * (average as number)).toFixed(1)).toBe(published["average"]);
  });
});

describe("the rule", () => {
  test("a candidate that fails is skipped, and later ones are held against the one that was kept", () => {
    // 2 layers lose; 3 gain 1 a layer over 1; from 2 they would gain 3.
    expect(layersOf(task("a", [1, 80], [2, 79], [3, 82]), 1)).toBe(3);
    expect(layersOf(task("a", [1, 80], [2, 79], [3, 82]), 1.1)).toBe(1);
  });

  test("a gain of exactly c is enough, also where floating point falls short of it", () => {
    expect(0.829 - 0.819).not.toBe(0.01);
    expect(layersOf(task("a", [1, 81.9], [2, 82.9]), 1)).toBe(2);
    expect(layersOf(task("a", [1, 81.9], [2, 82.89]), 1)).toBe(1);
    expect(layersOf(task("a", [1, 50], [2, 50 + 1 - 1e-7]), 1)).toBe(1);
  });

  test("candidates are taken by size, not in the order of the file; of equals the best, then the first", () => {
    expect(layersOf(task("a", [4, 90], [1, 80], [2, 84]), 2)).toBe(4);
    const decision = chooseByThreshold(task("a", [1, 70, 3], [2, 80, 1], [2, 81, 2], [2, 81, 3]), 1);
    expect(decision.chosen.fork).toBe(2);
    expect(decision.notes[3]).toMatch(/scores no less/);
  });

  test("c = 0 takes what loses nothing", () => {
    expect(layersOf(task("a", [1, 80], [2, 80], [3, 79.9]), 0)).toBe(2);
  });

  test("undefined scores count as worst", () => {
    expect(layersOf(task("a", [1, null], [2, 10], [3, null]), 5)).toBe(2);
    expect(layersOf(task("a", [1, null], [2, null]), 0)).toBe(1);
    expect(layersOf(task("a", [1, 1], [2, null]), 0)).toBe(1);
  });

  test("it says why of each candidate", () => {
    expect(chooseByThreshold(task("a", [1, 80], [2, 79], [4, 83]), 1).notes).toEqual([
      "the smallest",
      "-1.00 a layer over 1 layer: below 1",
      "+1.00 a layer over 1 layer: at least 1",
    ]);
    // Rounded to two digits it would read "+1.00 ...: below 1".
    expect(chooseByThreshold(task("a", [1, 80], [2, 80.9996]), 1).notes[1]).toBe(
      "+0.9996 a layer over 1 layer: below 1",
    );
  });

  test("a larger c never chooses more layers than none, and what is chosen gains c a layer over the smallest", () => {
    fc.assert(
      fc.property(randomTasks, fc.double({ min: 0, max: 20, noNaN: true }), ([first], c) => {
        const { candidates, chosen } = chooseByThreshold(first as NonNullable<typeof first>, c);
        const least = Math.min(...candidates.map(({ layers }) => layers));
        const smallest = candidates.filter(({ layers, score }) => layers === least && score !== null);
        const start = Math.max(...smallest.map(({ score }) => score as number));
        if (chosen.layers === least || smallest.length === 0) return;
        expect((100 * ((chosen.score as number) - start)) / (chosen.layers - least)).toBeGreaterThanOrEqual(c - 1e-6);
      }),
    );
  });
});
