// What the report says of students above other forks than their teachers': methods, fronts on any fork and on the same, in
// layers and in milliseconds, and what each means of teaching gave. Charts are looked at, and drawn by test/cli/report.

import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import type { RunRecord } from "../../src/checkpoints/runs/run-folder";
import { recipes } from "../../src/recipes/recipes";
import type { ReportChart, ReportTable } from "../../src/report/document";
import { buildReport, type Report, type ReportRequest } from "../../src/report/report";
import { temporaryFolder } from "../tiny";
import { base, type MadeRun, makeRun } from "./stored-runs";

const root = temporaryFolder();
let checkpoints: string;
let count = 0;

const labels = [
  { name: "rte", title: "RTE", inAverage: true },
  { name: "cola", title: "CoLA", inAverage: true },
];
const build = (request: Partial<ReportRequest> = {}) =>
  buildReport({ checkpoints, recipes, labels, chooseBy: "max", thresholds: [1], ...request });

function block<T extends ReportTable | ReportChart>({ document }: Report, id: string): T {
  const found = document.sections.flatMap(({ blocks }) => blocks).find((one) => one.id === id);
  if (!found) throw new Error(`no ${id} in ${document.sections.map((section) => section.id).join(", ")}`);
  return found as T;
}
const rowsOf = (table: ReportTable) =>
  table.rows.map((cells) =>
    cells.map(({ text, detail }) => (detail ? `${text} (${detail})` : text).replace(/\s/g, " ")),
  );

const student = (teacher: RunRecord, fork: number, layers: number, score: number, more: Partial<MadeRun> = {}) =>
  makeRun(checkpoints, { method: "distill", task: teacher.task, teacher, fork, layers, score, ...more });

/** Teachers of k = 4 (fork 2) and k = 3 (fork 3) on a base of six layers, with students above several forks. */
async function makeTasks(): Promise<void> {
  const rte = await makeRun(checkpoints, { layers: 4, score: 0.8 });
  const cola = await makeRun(checkpoints, { layers: 3, score: 0.6, task: "cola" });
  await student(rte, 2, 1, 0.5);
  await student(rte, 3, 1, 0.7);
  await student(rte, 3, 2, 0.78);
  await student(rte, 5, 1, 0.6);
  await student(cola, 3, 1, 0.5);
  await student(cola, 3, 2, 0.55);
  await student(cola, 1, 2, 0.52);
}

beforeEach(() => {
  checkpoints = path.join(root, `checkpoints${count++}`);
});

describe("students above other forks", () => {
  test("are listed with their forks, in a chart by fork beside that of the paper's places", async () => {
    await makeTasks();
    const report = await build();
    expect(rowsOf(block<ReportTable>(report, "table-students")).map((cells) => cells.slice(0, 3))).toEqual([
      ["RTE", "1 (fork 2, its teacher's)", "50.0 (1 seed)"],
      ["RTE", "1 (fork 3)", "70.0 (1 seed)"],
      ["RTE", "1 (fork 5)", "60.0 (1 seed)"],
      ["RTE", "2 (fork 3)", "78.0 (1 seed)"],
      ["CoLA", "1 (fork 3, its teacher's)", "50.0 (1 seed)"],
      ["CoLA", "2 (fork 1)", "52.0 (1 seed)"],
      ["CoLA", "2 (fork 3, its teacher's)", "55.0 (1 seed)"],
    ]);
    expect(block<ReportChart>(report, "chart-students").csv.rows).toHaveLength(3);
    const chart = block<ReportChart>(report, "chart-students-forks");
    expect(chart.panels.map(({ name }) => name)).toEqual(["students-forks-rte", "students-forks-cola"]);
    expect(chart.panels[0]?.alt).toMatch(
      /1 layer on fork 2: 50\.0, 1 layer on fork 3: 70\.0.*Teacher, on fork 2: 80\.0/,
    );
    const runs = rowsOf(block<ReportTable>(report, "table-runs"));
    expect(runs.map((cells) => cells[5])).toEqual(["1, 2 (above forks 2, 3, 5)", "1, 2 (above forks 1, 3)"]);
  });

  test("of full fine-tuning alone are listed too, with it for a teacher", async () => {
    const full = await makeRun(checkpoints, { layers: 6, full: true, score: 0.9 });
    await student(full, 3, 1, 0.7);
    const report = await build();
    expect(rowsOf(block<ReportTable>(report, "table-students"))[0]?.slice(0, 3)).toEqual([
      "RTE",
      "1 (fork 3)",
      "70.0 (1 seed)",
    ]);
    expect(rowsOf(block<ReportTable>(report, "table-scores-by-k"))[0]?.at(-1)).toMatch(/^none/);
    expect(report.tasks[0]?.leftOut).toBe(0);
  });
});

describe("methods", () => {
  test("KD-1 is each task's best fork, KD-1@same the paper's; where there is none the teacher stays or nothing", async () => {
    await makeTasks();
    const { methods } = await build({ thresholds: [30] });
    const shown = methods.map(({ name, cells, cost }) => [
      name,
      ...cells.map((cell) => (cell ? `${cell.layers} on ${cell.fork}` : null)),
      cost?.layers ?? null,
    ]);
    expect(shown).toEqual([
      ["w/o KD", "4 on 2", "3 on 3", 10],
      ["KD-1", "1 on 3", "1 on 3", 5],
      ["KD-1@same", "1 on 2", "1 on 3", 5],
      ["KD-2", "2 on 3", "2 on 3", 7],
      ["KD-2@same", null, "2 on 3", null],
      ["mixed, c = 30", "1 on 3", "1 on 3", 5],
    ]);
  });
});

describe("fronts", () => {
  test("on any fork, and what the same fork reaches within each budget", async () => {
    await makeTasks();
    const report = await build();
    const table = block<ReportTable>(report, "table-front");
    expect(table.columns.map(({ title }) => title)).toEqual([
      ...["Budget", "RTE", "CoLA", "Layers in all", "Average", "On the same fork", "Gain"],
    ]);
    // The deepest fork and the tasks' own layers: 3 + 1 + 1, 3 + 2 + 1, 3 + 2 + 2, 3 + 2 + 3, 3 + 4 + 3.
    expect(rowsOf(table)).toEqual([
      ["5 layers", "1 (fork 3)", "1 (fork 3)", "5", "60.0", "50.0", "+10.0"],
      ["6 layers", "2 (fork 3)", "1 (fork 3)", "6", "64.0", "52.5", "+11.5"],
      ["7 layers", "2 (fork 3)", "2 (fork 3)", "7", "66.5", "55.0", "+11.5"],
      ["8 layers", "2 (fork 3)", "3 (fork 3)", "8", "69.0", "65.0", "+4.0"],
      ["10 layers", "4 (fork 2)", "3 (fork 3)", "10", "70.0", "70.0", "0.0"],
    ]);
    const { csv, panels } = block<ReportChart>(report, "chart-tradeoff");
    expect(csv.header).toEqual([
      ...["kind", "threshold_above", "threshold_up_to", "layers", "average"],
      ...["rte_layers", "cola_layers", "rte_fork", "cola_fork"],
    ]);
    expect(csv.rows.filter(([kind]) => kind === "pareto_same_fork").map((row) => row[3])).toEqual([5, 6, 7, 8, 9, 10]);
    expect(panels[0]?.alt).toMatch(/Pareto front: 5 layers 60\.0.*On the same fork alone: 5 layers 50\.0/);
  });

  test("against milliseconds, by what a layer costs", async () => {
    await makeTasks();
    const latency = { sharedLayerMs: 1, branchLayerMs: 3, topLayerMs: 2, fixedMs: 0.5 };
    const report = await build({ latency });
    const table = rowsOf(block<ReportTable>(report, "table-front-ms"));
    // 0.5 + 2 tasks x 2 + 3 shared + 3 for each layer that is no task's topmost.
    expect(table.map((cells) => [cells[0], cells[4], cells[5]])).toEqual([
      ["7.5 ms", "60.0", "50.0"],
      ["10.5 ms", "64.0", "52.5"],
      ["13.5 ms", "66.5", "55.0"],
      ["16.5 ms", "69.0", "65.0"],
      ["22.5 ms", "70.0", "70.0"],
    ]);
    expect(block<ReportChart>(report, "chart-tradeoff-ms").csv.header.at(-1)).toBe("ms");
    const measured = {
      base: "other",
      baseSha256: "c".repeat(64),
      engine: "onnx",
      threads: 1,
      batchSize: 1,
      length: 8,
      rounds: 3,
    };
    await expect(build({ latency: { ...latency, measured } })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/^--latency was measured on the base other, the runs are of owner\/tiny\./),
    });
    const own = { ...latency, measured: { ...measured, base: base.name, baseSha256: base.sha256 } };
    const section = (await build({ latency: own })).document.sections.find(({ id }) => id === "tradeoff");
    expect(section?.paragraphs.at(-1)).toMatch(/measured for 1 x 8 tokens on onnx\.$/);
  });

  test("where all students stand on their teachers' forks there is one front, as before", async () => {
    const rte = await makeRun(checkpoints, { layers: 4, score: 0.8 });
    await student(rte, 2, 1, 0.7);
    const report = await build();
    const table = block<ReportTable>(report, "table-front");
    expect(table.columns.at(-1)?.title).toBe("Average");
    expect(report.document.sections.flatMap(({ blocks }) => blocks).some(({ id }) => /forks|-ms/.test(id))).toBe(false);
  });
});

describe("what each means of teaching gave", () => {
  test("is the difference of pairs that differ in it alone, by task and over all", async () => {
    const rte = await makeRun(checkpoints, { layers: 4, score: 0.8 });
    const cola = await makeRun(checkpoints, { layers: 3, score: 0.6, task: "cola" });
    await student(rte, 2, 1, 0.5);
    await student(rte, 3, 1, 0.7);
    await student(rte, 3, 1, 0.66, { initLayers: "top" });
    await student(rte, 3, 1, 0.72, { options: { match: "tokens", matchWeight: 1 } });
    await student(rte, 3, 1, 0.75, { options: { match: "tokens", matchWeight: 10 } });
    await student(rte, 3, 1, 0.71, { options: { epochs: 8 } });
    await student(rte, 3, 2, 0.9, { initLayers: "spread", options: { epochs: 16 } }); // with nothing to stand beside
    await student(cola, 3, 1, 0.5);
    await student(cola, 3, 1, 0.4, { options: { match: "tokens", matchWeight: 1 } });
    await student(cola, 3, 1, 0.48, { init: "pretrained" });
    const report = await build();
    const table = block<ReportTable>(report, "table-means");
    expect(table.columns.map(({ title }) => title)).toEqual(["Means", "Against", "RTE", "CoLA", "All tasks", "Better"]);
    expect(rowsOf(table)).toEqual([
      ["--student-forks 3", "same", "+20.0 (1 pair)", "–", "+20.0 (1 pair)", "1 of 1"],
      ["--init pretrained", "teacher", "–", "−2.0 (1 pair)", "−2.0 (1 pair)", "0 of 1"],
      ["--init-layers top", "depth", "−4.0 (1 pair)", "–", "−4.0 (1 pair)", "0 of 1"],
      ["--epochs 8", "2", "+1.0 (1 pair)", "–", "+1.0 (1 pair)", "1 of 1"],
      ["--match tokens", "(not given)", "+3.5 (2 pairs ± 2.1)", "−10.0 (1 pair)", "−1.0 (3 pairs ± 7.9)", "2 of 3"],
      ["--match-weight 10", "1", "+3.0 (1 pair)", "–", "+3.0 (1 pair)", "1 of 1"],
    ]);
    expect(block<ReportChart>(report, "chart-means").csv.rows).toHaveLength(8);
  });

  test("names what was never tried alone, and is not there where nothing was", async () => {
    const rte = await makeRun(checkpoints, { layers: 4, score: 0.8 });
    await student(rte, 2, 1, 0.5);
    await student(rte, 2, 1, 0.6, { options: { epochs: 8, learningRate: 2e-4 } });
    expect((await build()).document.sections.some(({ id }) => id === "means")).toBe(false);
    await student(rte, 3, 1, 0.6);
    const section = (await build()).document.sections.find(({ id }) => id === "means");
    expect(section?.paragraphs.at(-1)).toBe("Never tried alone, and so not here: --epochs and --learning-rate.");
  });
});
