// What the report says of run folders made by hand, and how HTML, Markdown and CSV write it. Charts are not drawn here
// (see draw.ts): test/cli/report.test.ts does that with the built command.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import Papa from "papaparse";
import type { RunRecord } from "../../src/checkpoints/runs/run-folder";
import { recipes } from "../../src/recipes/recipes";
import type { ReportChart, ReportTable } from "../../src/report/document";
import { buildReport, type Report, type ReportRequest, writeReport } from "../../src/report/report";
import { temporaryFolder } from "../tiny";
import { base, cost, makeJoint, makeRun, makeSeeds } from "./stored-runs";

const root = temporaryFolder();
let checkpoints: string;
let count = 0;

beforeEach(() => {
  checkpoints = path.join(root, `checkpoints${count++}`);
});

const labels = [
  { name: "rte", title: "RTE", inAverage: true },
  { name: "cola", title: "CoLA <i>&", inAverage: true },
  { name: "wnli", title: "WNLI", inAverage: false },
];

const build = (request: Partial<ReportRequest> = {}) =>
  buildReport({ checkpoints, recipes, labels, chooseBy: "max", thresholds: [1], ...request });

const noDrawing = async () => ({ width: 10, height: 5, body: "<path/>" });

function block<T extends ReportTable | ReportChart>({ document }: Report, id: string): T {
  const found = document.sections.flatMap(({ blocks }) => blocks).find((candidate) => candidate.id === id);
  if (!found) throw new Error(`no ${id} in ${document.sections.map((section) => section.id).join(", ")}`);
  return found as T;
}

const row = (table: ReportTable, head: string) => table.rows.find(([first]) => first?.text === head) ?? [];

/** Three seeds of k = 1, 2, 4 for two tasks; students of 1 and 2 layers from both starts for the first. */
async function makeSweep(): Promise<void> {
  await makeSeeds(checkpoints, [0.6, 0.61, 0.59], { layers: 1 });
  await makeSeeds(checkpoints, [0.68, 0.7, 0.67], { layers: 2 });
  const [, best] = await makeSeeds(checkpoints, [0.69, 0.71, 0.66], { layers: 4, cost: cost(0) });
  const teacher = best as NonNullable<typeof best>;
  await makeSeeds(checkpoints, [0.62, 0.64, 0.6], { layers: 1, method: "distill", teacher });
  await makeSeeds(checkpoints, [0.69, 0.7, 0.68], { layers: 2, method: "distill", teacher });
  await makeSeeds(checkpoints, [0.61, 0.64, 0.61], { layers: 1, method: "distill", teacher, init: "pretrained" });
  await makeSeeds(checkpoints, [0.5, 0.52, 0.49], { layers: 2, method: "distill", teacher, init: "pretrained" });
  await makeSeeds(checkpoints, [0.4, 0.41, 0.42], { layers: 3, task: "cola", metric: "matthews" });
}

test("runs of frozen layers stand apart from trained layers of the same k, by method and k, and teach nobody", async () => {
  await makeSweep();
  const lora = { method: "lora", rank: 8, loraAlpha: 8, loraOn: "query,value" };
  const scored = [
    [4, [0.8, 0.81], lora],
    [4, [0.79], { ...lora, rank: 4 }],
    [2, [0.75], lora],
    [4, [0.82], { method: "pfeiffer", adapterSize: 48 }],
  ] as const;
  for (const [layers, scores, options] of scored) await makeSeeds(checkpoints, scores, { layers, options });
  await makeRun(checkpoints, { layers: 4, score: 0.9, options: lora, devSha: "e".repeat(64) });
  const report = await build({ only: ["rte"] });
  const [{ arms, chosen, adapted, runs, leftOut }] = report.tasks as [Report["tasks"][number]];
  expect([arms.map(({ layers }) => layers), chosen?.best.record.score]).toEqual([[1, 2, 4], 0.71]);
  expect(adapted.map(({ way, layers, best, settings }) => [way, layers, best.record.score, settings])).toEqual([
    ["lora", 2, 0.75, 1],
    ["lora", 4, 0.81, 2],
    ["pfeiffer", 4, 0.82, 1],
  ]);
  expect([runs.length, leftOut]).toEqual([3 * 3 + 4 * 3 + 5, 1]);
  const table = block<ReportTable>(report, "table-methods");
  const own = ["LoRA, k = 2", "LoRA, k = 4", "Adapters (Pfeiffer)"].map((name) =>
    row(table, name).map(({ text }) => text),
  );
  expect(own.map(([name, rte]) => [name, rte])).toEqual([
    ["LoRA, k = 2", "75.0"],
    ["LoRA, k = 4", "81.0"],
    ["Adapters (Pfeiffer)", "82.0"],
  ]);
  expect(table.rows.some(([first]) => first?.text.startsWith("Adapters (Houlsby)"))).toBe(false);
});

describe("scores by k", () => {
  test("maximum, mean and deviation; the choice; what is inside its noise and what is not", async () => {
    await makeSweep();
    const report = await build();
    const table = block<ReportTable>(report, "table-scores-by-k");
    expect(row(table, "RTE").map(({ text, detail, mark }) => [text, detail, mark])).toEqual([
      ["RTE", "accuracy", undefined],
      ["61.0", "60.0 ± 1.0", undefined],
      ["70.0", "68.3 ± 1.5", "noise"],
      ["", undefined, undefined],
      ["71.0", "68.7 ± 2.5", "chosen"],
      ["k = 4", "k = 2 inside the noise", undefined],
    ]);
    expect(table.caption).toContain(
      "Split: dev. Metric, in points: accuracy (RTE), Matthews correlation (CoLA <i>&). 3 seeds.",
    );
    expect(report.document.warnings).toEqual([]);
    expect(row(table, "CoLA <i>&").at(-1)).toEqual({ text: "k = 3", detail: "the only k" });
  });

  test("one seed: the report says that the noise is unknown, and marks every difference so", async () => {
    await makeRun(checkpoints, { layers: 1, score: 0.6 });
    await makeRun(checkpoints, { layers: 2, score: 0.7 });
    const report = await build();
    expect(report.document.warnings[0]).toMatch(/^One seed: the noise is unknown/);
    const cells = row(block<ReportTable>(report, "table-scores-by-k"), "RTE");
    expect(cells[1]).toEqual({ text: "60.0", detail: "1 seed", mark: "unknown" });
    expect(cells.at(-1)?.detail).toBe("noise unknown (1 seed)");
    expect(block<ReportTable>(report, "table-scores-by-k").caption).toMatch(/1 seed\.$/);
  });

  test("a grid of settings: the maximum over all, the deviation of the best one's seeds", async () => {
    await makeSeeds(checkpoints, [0.6, 0.62], { layers: 1, options: { epochs: 3 } });
    await makeSeeds(checkpoints, [0.7, 0.5, 0.6], { layers: 1, options: { epochs: 4 } });
    const report = await build();
    const table = block<ReportTable>(report, "table-scores-by-k");
    expect(row(table, "RTE")[1]).toMatchObject({ text: "70.0", detail: "60.0 ± 10.0" });
    expect(table.notes.join()).toMatch(/Several settings were trained/);
    const [section] = (await build({ chooseBy: "mean" })).document.sections;
    expect(section?.paragraphs.join()).toMatch(/the highest mean over settings and seeds is chosen/);
    expect(row(block<ReportTable>(report, "table-runs"), "RTE").map(({ text }) => text)).toEqual(
      expect.arrayContaining(["2", "5"]),
    );
  });

  test("undefined scores are worst, and no number", async () => {
    await makeSeeds(checkpoints, [null, 0.5], { layers: 1 });
    await makeSeeds(checkpoints, [null, null], { layers: 2 });
    const cells = row(block<ReportTable>(await build(), "table-scores-by-k"), "RTE");
    expect(cells.slice(1, 3)).toEqual([
      { text: "50.0", detail: "undefined", mark: "chosen" },
      { text: "–", detail: "undefined", mark: "unknown" },
    ]);
  });

  test("full fine-tuning comes last and is never chosen; a task that has nothing else has no teacher", async () => {
    await makeRun(checkpoints, { layers: 6, full: true, score: 0.9 });
    await makeRun(checkpoints, { layers: 2, score: 0.5, task: "cola" });
    const report = await build();
    const table = block<ReportTable>(report, "table-scores-by-k");
    expect(table.columns.map(({ title }) => title)).toEqual(["Task", "k = 2", "k = full", "Chosen"]);
    expect(row(table, "RTE").at(-1)?.text).toBe("none");
    const cells = report.methods.map(({ name, cells: own }) => [name, own.map((cell) => cell?.score ?? null)]);
    expect(cells).toEqual([
      ["Full fine-tuning", [0.9, null]],
      ["w/o KD", [null, 0.5]],
      ["mixed, c = 1", [null, 0.5]],
    ]);
    expect(row(block<ReportTable>(report, "table-methods"), "Full fine-tuning")[1]).toEqual({
      text: "90.0",
      detail: "1 seed\n6 layers",
    });
  });

  test("runs on other dev rows, of other teachers and unfinished ones are left out and counted", async () => {
    await makeRun(checkpoints, { layers: 1, score: 0.99, devSha: "older" });
    const teacher = await makeRun(checkpoints, { layers: 4, score: 0.7 });
    await makeRun(checkpoints, {
      layers: 1,
      score: 0.9,
      method: "distill",
      teacher: { ...teacher, sha256: "0".repeat(64) },
    });
    await makeRun(checkpoints, { layers: 3, score: null, state: "running" });
    const report = await build();
    const cells = row(block<ReportTable>(report, "table-runs"), "RTE").map(({ text }) => text);
    expect(cells.slice(-3)).toEqual(["1", "2", "1"]);
    expect(report.document.warnings).toContain("Some runs of RTE are not finished and do not count.");
    expect(report.document.sections.some(({ id }) => id === "students")).toBe(false);
  });
});

describe("methods", () => {
  test("teachers, students and the mix: scores, layers and overhead", async () => {
    await makeSweep();
    const { methods } = await build({ thresholds: [1, 50] });
    const summary = methods.map(({ name, average, cost: of }) => [
      name,
      average?.score?.toFixed(3),
      of?.layers,
      of?.shared,
    ]);
    // The teachers fork at 2 and 3, with 4 and 3 layers; rte's best student of 1 layer scores 64, of 2 layers 70.
    expect(summary).toEqual([
      ["w/o KD", "0.565", 10, 3],
      ["KD-1", undefined, undefined, undefined],
      ["KD-2", undefined, undefined, undefined],
      ["mixed, c = 1", "0.560", 8, 3],
      ["mixed, c = 50", "0.530", 7, 3],
    ]);
  });

  test("differences from the teacher are judged over seeds, in the average too", async () => {
    await makeSweep();
    const table = block<ReportTable>(await build(), "table-methods");
    const [, rte, cola, average] = row(table, "mixed, c = 1");
    expect(rte).toEqual({ text: "70.0", detail: "69.0 ± 1.0\n2 layers", mark: "noise" });
    expect(cola).toEqual({ text: "42.0", detail: "41.0 ± 1.0\n3 layers" });
    expect(average).toMatchObject({ text: "56.0", mark: "noise" });
    expect(row(table, "KD-1").map(({ text }) => text)).toEqual(["KD-1", "64.0", ...Array(6).fill("–")]);
    expect(table.notes.join(" ")).toMatch(/KD-1; KD-2: not every task has such a run/);
  });

  test("whole students are rows of their own by method and size, count as unshared, and are no branch of any choice", async () => {
    const rte = await makeRun(checkpoints, { layers: 4, score: 0.8 });
    const cola = await makeRun(checkpoints, { layers: 3, score: 0.6, task: "cola" });
    const student = (teacher: RunRecord, score: number, method?: string) =>
      makeRun(checkpoints, {
        ...{
          method: "distill",
          task: teacher.task,
          teacher,
          layers: method ? 3 : 2,
          score,
          full: method !== undefined,
        },
        ...(method ? { init: "pretrained", options: { method } } : {}),
      });
    await student(rte, 0.75);
    await student(cola, 0.55);
    for (const [score, method] of [
      [0.79, "pkd"],
      [0.7, "distilbert"],
    ] as const) {
      await student(rte, score, method);
      await student(cola, score - 0.2, method);
    }
    const report = await build({ thresholds: [1] });
    const costs = report.methods.map(({ name, average, cost: of }) => [
      name,
      average?.score?.toFixed(3),
      of?.layers,
      of?.shared,
    ]);
    expect(costs).toEqual([
      ["DistilBERT-3", "0.600", 6, 0],
      ["PKD-3", "0.690", 6, 0],
      ["w/o KD", "0.700", 10, 3],
      ["KD-2", "0.650", 7, 3],
      ["mixed, c = 1", "0.700", 10, 3],
    ]);
    expect(report.methods[1]?.meaning).toMatch(
      /^whole encoders of 3 layers, one a task, which share nothing: outputs, labels/,
    );
    const runs = block<ReportTable>(report, "table-runs").csv?.rows ?? [];
    expect(runs.filter((cells) => String(cells.at(-1)).includes("pkd")).map((cells) => [cells[3], cells[4]])).toEqual([
      [3, null],
      [3, null],
    ]);
  });

  test("a whole student that full fine-tuning taught beside another teacher is a row of its own", async () => {
    await makeRun(checkpoints, { layers: 4, score: 0.8 });
    const full = await makeRun(checkpoints, { layers: 6, full: true, score: 0.85 });
    const [teacher] = [await makeRun(checkpoints, { layers: 5, score: 0.81 })];
    const taught = {
      method: "distill",
      layers: 3,
      full: true,
      init: "pretrained",
      options: { method: "pkd" },
    } as const;
    await makeRun(checkpoints, { ...taught, teacher, score: 0.75 });
    await makeRun(checkpoints, { ...taught, teacher: full, score: 0.78 });
    const report = await build();
    const scores = report.methods.map(({ name, cells }) => [name, cells[0]?.score]);
    expect(scores).toEqual(
      expect.arrayContaining([
        ["PKD-3", 0.75],
        ["PKD-3@full", 0.78],
      ]),
    );
    expect(report.methods.find(({ name }) => name === "PKD-3@full")?.meaning).toMatch(/taught by full fine-tuning$/);
    // Its own 10 seconds and its teacher's.
    const table = block<ReportTable>(report, "table-methods");
    expect(row(table, "PKD-3@full").at(-1)).toEqual({ text: "20 s" });
    expect(row(table, "w/o KD").at(-1)).toEqual({ text: "10 s" });
    expect(table.notes.join(" ")).toMatch(/Serving times need what layers cost/);
  });

  test("serving times are what layers cost that run together, and apart where nothing is shared", async () => {
    for (const task of ["rte", "cola"]) {
      await makeRun(checkpoints, { layers: 2, score: 0.6, task });
      await makeRun(checkpoints, { layers: 6, full: true, score: 0.7, task });
    }
    const latency = { sharedLayerMs: 10, branchLayerMs: 8, topLayerMs: 3, fixedMs: 1 };
    const table = block<ReportTable>(await build({ latency }), "table-methods");
    expect(table.columns.at(-1)?.title).toBe("Serving");
    // Apart: two passes of 1 + 5 x 8 + 3. Together: 1 + 4 x 10, and of each task a layer and a topmost one.
    expect(row(table, "Full fine-tuning").at(-1)?.text).toBe("88 ms");
    expect(row(table, "w/o KD").at(-1)?.text).toBe("63 ms");
    const rows = table.csv?.rows ?? [];
    expect(rows.find(([name, task]) => name === "w/o KD" && task === "average")?.at(-1)).toBe(63);
  });

  test("tasks that trained together are a row that runs the encoder once, and those left out one without a cost", async () => {
    const teachers = new Map<string, RunRecord>();
    for (const task of ["rte", "cola", "wnli"]) {
      teachers.set(task, await makeRun(checkpoints, { layers: 4, score: 0.6, task }));
    }
    await makeJoint(checkpoints, ["rte", "cola", "wnli"], { rte: 0.7, cola: 0.5, wnli: 0.4 });
    await makeJoint(checkpoints, ["rte", "cola"], { rte: 0.9, cola: 0.9 }, { wnli: 0.3 });
    const report = await build();
    const found = report.methods.filter(({ name }) => name.startsWith("MT-DNN"));
    expect(found.map(({ name, cells, cost: of }) => [name, cells.map((cell) => cell?.score ?? null), of])).toEqual([
      ["MT-DNN (full)", [0.7, 0.5, 0.4], { layers: 6, shared: 6, share: 6 / 18 }],
      ["MT-DNN (leave-one-out)", [null, null, 0.3], null],
    ]);
    // Of the head left out: its own 10 seconds, and 20 of the model under it.
    expect(found[1]?.cells[2]?.seconds).toBe(30);
  });

  test("tasks outside the average cost layers all the same", async () => {
    await makeSweep();
    await makeSeeds(checkpoints, [0.1, 0.1], { layers: 1, task: "wnli" });
    const report = await build();
    const teachers = report.methods.find(({ name }) => name === "w/o KD");
    expect(teachers?.average?.score).toBeCloseTo(0.565, 12);
    expect(teachers?.cost).toMatchObject({ shared: 5, layers: 13 });
    expect(block<ReportTable>(report, "table-methods").notes.join()).toMatch(/Not in the average: WNLI/);
  });
});

describe("a selection", () => {
  const sha256 = "c".repeat(64);
  const task = {
    task: "rte",
    fork: 2,
    layers: 2,
    score: 0.7,
    run: null,
    teacher: { id: "0000000a", sha256, score: 0.71 },
  };
  const summary = { shared: 2, total: 4, overhead: 4 / 6, average: 0.7, teachers: 0.71 };
  const write = (selected: object) => {
    const file = path.join(root, `selection${count}.json`);
    writeFileSync(file, JSON.stringify({ format: 1, rule: "keep 98 %", base, tasks: [task], ...summary, ...selected }));
    return file;
  };

  test("crossed scores stand beside the maximum, which is marked as what it is", async () => {
    await makeSweep();
    const cross = {
      average: 0.66,
      layers: [4, 5],
      teachers: { average: 0.67, maximum: 0.71 },
      full: null,
      tasks: [{ task: "rte", score: 0.66 }],
    };
    const report = await build({ selection: write({ cross }) });
    const table = block<ReportTable>(report, "table-selection");
    const texts = table.rows.map((cells) => cells.map(({ text }) => text));
    expect(texts).toEqual([
      ["RTE", "0000000a", "2", "2", "70.0", "66.0"],
      ["Average", "", "", "4", "70.0", "66.0"],
      ["Teachers", "", "", "", "71.0", "67.0"],
    ]);
    expect(table.caption).toContain("choosing inflates it");
    expect(table.notes).toEqual(["The halves chose 4 and 5 layers in all."]);
    expect(table.csv?.rows).toEqual([["rte", "0000000a", 2, 2, 0.7, 0.66]]);
  });

  test("without crossed scores there is no column of them; of another base, or no selection, it is refused", async () => {
    await makeSweep();
    const plain = block<ReportTable>(await build({ selection: write({}) }), "table-selection");
    expect(plain.columns).toHaveLength(5);
    expect(plain.rows.at(-1)?.map(({ text }) => text)).toEqual(["Teachers", "", "", "", "71.0"]);
    const foreign = write({ base: { name: "other", sha256 } });
    await expect(build({ selection: foreign })).rejects.toMatchObject({ exitCode: 4 });
    await expect(build({ selection: "absent.json" })).rejects.toThrow("--selection absent.json cannot be read");
  });
});

describe("students", () => {
  test("both starts, with the gain of the teacher's layers and its noise", async () => {
    await makeSweep();
    const report = await build();
    const table = block<ReportTable>(report, "table-students");
    expect(table.rows.map((cells) => cells.map(({ text, mark }) => (mark ? `${text} ${mark}` : text)))).toEqual([
      ["RTE", "1", "64.0", "64.0", "0.0 noise"],
      ["RTE", "2", "70.0", "52.0", "+18.7"],
    ]);
    expect(table.rows[1]?.[4]?.detail).toMatch(/^beyond the noise \(± 1\.4, 3 seeds\)$/);
    const chart = block<ReportChart>(report, "chart-students");
    expect(chart.panels.map(({ name }) => name)).toEqual(["students-rte"]);
    expect(chart.csv.rows).toHaveLength(12);
    expect(chart.notes).toEqual(["A box of fewer than five seeds shows little more than its points."]);
  });
});

describe("time and savings", () => {
  test("energy and savings from what runs recorded; what did not record is said", async () => {
    const options = { layers: 2, cost: cost(0) };
    await makeRun(checkpoints, { ...options, score: 0.5, cost: cost(400) });
    await makeRun(checkpoints, { ...options, score: 0.5, seed: 2 });
    await makeRun(checkpoints, { layers: 2, score: 0.5, seed: 3 });
    const report = await build();
    expect(row(block<ReportTable>(report, "table-time"), "RTE").map(({ text }) => text)).toEqual([
      ...["RTE", "3", "30 s", "0 s", "0.4 s", "2.00 Wh in 2 of 3 runs"],
    ]);
    // Fork 4, two epochs, two runs: 2 * 2 * 4 * (1000 + 500) layer positions without a cache, 400 with it.
    const saved = row(block<ReportTable>(report, "table-savings"), "RTE");
    expect(saved.map(({ text }) => text)).toEqual(["RTE", "2", "4000", "75.0 %", "50.0 %", "400", "98.3 %", "24 s"]);
    expect(saved[5]?.detail).toBe("of 24.0 k");
    const savings = report.document.sections.find(({ id }) => id === "savings");
    expect(savings?.paragraphs.at(-1)).toMatch(/^1 run did not record this/);
  });

  test("unknown energy and unrecorded savings are said", async () => {
    await makeRun(checkpoints, { layers: 2, score: 0.5 });
    const { document } = await build();
    const text = JSON.stringify(document);
    expect(text).toMatch(/Energy is unknown/);
    expect(text).toMatch(/Not recorded: these runs were trained before/);
  });
});

describe("what is written", () => {
  test("HTML: language, headings, captions, scopes, texts for charts; nothing to fetch, no script, names escaped", async () => {
    await makeSweep();
    const out = path.join(root, "html");
    await writeReport(await build(), out, "1.2.3", noDrawing);
    const html = readFileSync(path.join(out, "index.html"), "utf8");
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).toContain(`<title>flexbert report: ${base.name}</title>`);
    expect(html.match(/<h1>/g)).toHaveLength(1);
    expect(html.match(/<table /g)?.length).toBe(html.match(/<caption /g)?.length);
    expect(html.match(/<svg /g)?.length).toBe(html.match(/role="img" aria-label="[^"]{20,}"/g)?.length);
    expect(html).toContain("CoLA &lt;i&gt;&amp;");
    expect(html).not.toMatch(/<i>|<script|\son\w+=|https?:|url\(|@import|<link/);
    expect(html).toContain("prefers-color-scheme:dark");
    expectBalanced(html);
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of html.matchAll(/(?:href="#|aria-labelledby=")([^"]*)"/g)) expect(ids).toContain(target);
  });

  test("CSV beside the page is what the page carries, and parses", async () => {
    await makeSweep();
    const out = path.join(root, "csv");
    const files = await writeReport(await build(), out, "1.2.3", noDrawing);
    const html = readFileSync(path.join(out, "index.html"), "utf8");
    const inline = new Map(
      [...html.matchAll(/download="([^"]*)" href="data:text\/csv;charset=utf-8;base64,([^"]*)"/g)].map(
        ([, name = "", data = ""]) => [name, Buffer.from(data, "base64").toString()],
      ),
    );
    const data = files.filter((file) => file.startsWith("data/"));
    expect(data.length).toBeGreaterThan(8);
    for (const file of data) {
      const text = readFileSync(path.join(out, file), "utf8");
      expect(inline.get(path.basename(file))).toBe(text);
      const { errors, data: rows } = Papa.parse<string[]>(text, { skipEmptyLines: true });
      expect({ file, errors }).toEqual({ file, errors: [] });
      expect(new Set(rows.map((cells) => cells.length)).size).toBe(1);
    }
    const scores = Papa.parse<Record<string, string>>(inline.get("scores-by-k.csv") as string, { header: true }).data;
    expect(scores.find(({ task, k }) => task === "rte" && k === "4")).toMatchObject({
      ...{ metric: "accuracy", split: "dev", max: "0.71", seeds: "3", chosen: "true", verdict: "" },
    });
  });

  test("Markdown: tables of one width, charts with their texts, links that exist", async () => {
    await makeSweep();
    const out = path.join(root, "markdown");
    await writeReport(await build(), out, "1.2.3", noDrawing);
    const text = readFileSync(path.join(out, "report.md"), "utf8");
    const tables = text.split("\n\n").filter((part) => part.startsWith("|"));
    expect(tables.length).toBeGreaterThan(5);
    for (const table of tables) {
      const widths = table.split("\n").map((line) => line.replaceAll("\\|", "").split("|").length);
      expect(new Set(widths).size).toBe(1);
    }
    expect(text).toContain("CoLA \\<i\\>&amp;");
    const links = [...text.matchAll(/\]\(([^)]*)\)/g)].map(([, link]) => decodeURIComponent(link as string));
    expect(links.length).toBeGreaterThan(15);
    for (const link of links) expect(existsSync(path.join(out, link))).toBe(true);
  });

  test("a second report replaces the first: charts and data that it lacks are gone, other files are not", async () => {
    await makeSweep();
    const out = path.join(root, "again");
    await writeReport(await build(), out, "1.2.3", noDrawing);
    writeFileSync(path.join(out, "data/mine.csv"), "kept");
    expect(readdirSync(path.join(out, "charts"))).toContain("students-rte.svg");
    await writeReport(await build({ only: ["cola"] }), out, "1.2.3", noDrawing);
    expect(readdirSync(path.join(out, "charts")).filter((name) => name.includes("rte"))).toEqual([]);
    expect(readdirSync(path.join(out, "data"))).toContain("mine.csv");
    expect(readdirSync(path.join(out, "data"))).not.toContain("students.csv");
  });

  test("a page that is somebody else's is left alone", async () => {
    await makeRun(checkpoints, { layers: 2, score: 0.5 });
    const out = path.join(root, "foreign");
    mkdirSync(out);
    writeFileSync(path.join(out, "index.html"), "<p>mine</p>");
    await expect(writeReport(await build(), out, "1.2.3", noDrawing)).rejects.toThrow(/was not written by flexbert/);
    expect(readdirSync(out)).toEqual(["index.html"]);
  });

  test("a task whose folder has an odd name gets files of a safe name, and links that lead there", async () => {
    await makeRun(checkpoints, { layers: 2, score: 0.5, task: 'a b"<&%' });
    const out = path.join(root, "odd");
    await writeReport(await build(), out, "1.2.3", noDrawing);
    expectBalanced(readFileSync(path.join(out, "index.html"), "utf8"));
    const text = readFileSync(path.join(out, "report.md"), "utf8");
    for (const [, link = ""] of text.matchAll(/\]\(([^)]*)\)/g)) {
      expect(existsSync(path.join(out, decodeURIComponent(link)))).toBe(true);
    }
  });
});

describe("what there is nothing to say about", () => {
  test("no folder, no finished run, an unknown base or task: an error that names it", async () => {
    await expect(build()).rejects.toThrow(/no run in .*checkpoints\d+\. Run: flexbert finetune/);
    await makeRun(checkpoints, { layers: 2, score: null, state: "running" });
    await expect(build()).rejects.toThrow(/no finished run in/);
    await expect(build({ base: "other" })).rejects.toThrow(/no run of the base other in .*: it has owner--tiny/);
    await makeRun(checkpoints, { layers: 2, score: 0.5, task: "cola" });
    await expect(build({ only: ["rte"] })).rejects.toThrow(/no finished run of rte in/);
    const { document } = await build();
    expect(document.warnings).toContain("Without any finished run, and left out: rte.");
    expect((await build({ base: "owner/tiny" })).tasks).toHaveLength(1);
    expect((await build({ base: "./models/owner--tiny" })).tasks).toHaveLength(1);
  });
});

/** Every element that is opened is closed, in order. */
function expectBalanced(html: string): void {
  const open: string[] = [];
  const empty = new Set(["meta", "path", "br"]);
  for (const [, closing, name = ""] of html.replace("<!doctype html>", "").matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (empty.has(name)) continue;
    if (closing) expect(open.pop()).toBe(name);
    else open.push(name);
  }
  expect(open).toEqual([]);
}
