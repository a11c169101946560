// Thresholds that training tunes on dev rows, from a tasks file to a served model: stored, merged, predicted with, scored, exported.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { parseMetricsLine } from "../../src/checkpoints/runs/metrics-line";
import { readRecord, type StoredRun, writeRecord } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { ExitCode } from "../../src/errors/errors";
import { exportModel } from "../../src/export/export";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { devLogits, devRowsOf } from "../../src/predict/dev-logits";
import { evaluateTask } from "../../src/predict/evaluate";
import { scoreHalves } from "../../src/predict/half-scores";
import { openModel } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { importBranch } from "../../src/recipes/import";
import { comparableRuns } from "../../src/selection/teacher";
import type { Task } from "../../src/tasks/task";
import { readUserTasks } from "../../src/tasks/user-tasks";
import { storedManifest } from "../merged";
import { distill, finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("tiny-thresholds", { hidden: 32 });
const run = tinyRun(folder);
const place = (name: string) => path.join(folder, name);
const words = "the a was is very rather long short he she they saw read".split(" ");
const marks = { praise: "good", blame: "bad", film: "film" };
let [task, plain]: (Task | undefined)[] = [];
let [trained, untuned, student]: (StoredRun | undefined)[] = [];

/** Labels of a word each, rare ones among them; no row has `never`. */
function writeRows(file: string, rows: number, from: number): void {
  const lines = Array.from({ length: rows }, (_, i) => {
    const at = i + from;
    const topics = [at % 2 === 0 ? ["praise"] : [], at % 5 === 0 ? ["blame"] : [], at % 7 === 0 ? ["film"] : []].flat();
    const own = topics.map((topic) => marks[topic as keyof typeof marks]);
    const filler = Array.from({ length: 2 + (i % 4) }, (_, w) => words[(i * 5 + w * 3 + from) % words.length]);
    return JSON.stringify({ text: [...filler, ...own].join(" "), topics });
  });
  writeFileSync(place(file), `${lines.join("\n")}\n`);
}

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = place("cache");
  await writeBase(base, cachedFolder(base.name));
  mkdirSync(place("data"));
  writeRows("data/train.jsonl", 96, 0);
  writeRows("data/dev.jsonl", 80, 3);
  const described = (threshold: string) => `
  - name: topics
    kind: multilabel
    files: { train: data/train.jsonl, dev: data/dev.jsonl }
    columns: { text: text, label: topics }
    labels: [praise, blame, film, never]
    metric: macro_f1
    also-report: [micro_f1]
    threshold: ${threshold}
`;
  for (const threshold of ["tuned", "0.5"]) {
    writeFileSync(place(`tasks-${threshold}.yaml`), `tasks:${described(threshold)}`);
  }
  [task] = await readUserTasks(place("tasks-tuned.yaml"));
  [plain] = await readUserTasks(place("tasks-0.5.yaml"));
  const { engine } = await openEngine("onnx", {});
  const { context } = quietContext(engine);
  const training = { ...tinyTraining, epochs: 4, learningRate: 3e-3 };
  const request = (of: Task) => ({ task: of, base, places: [{ fork: 2, layers: 2 }], seeds: [1], training, run });
  [trained] = await finetune(request(task as Task), context);
  [untuned] = await finetune(request(plain as Task), context);
  const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
  const students = { studentLayers: [1], seeds: [1], training, distillation, run };
  [student] = await distill({ task: task as Task, base, teacher: trained as StoredRun, ...students }, context);
});

const open = async () => quietContext((await openEngine("onnx", {})).engine);

test("training tunes them for the task's metric, and keeps what 0.5 scores", () => {
  const { record } = trained as StoredRun;
  const { thresholds, untuned: beside } = record.tuned as NonNullable<typeof record.tuned>;
  expect(thresholds).toHaveLength(4);
  expect(thresholds[3]).toBe(0.5);
  expect(new Set(thresholds).size).toBeGreaterThan(2);
  expect(beside.threshold).toBe(0.5);
  expect(Object.keys(beside.metrics)).toEqual(["macro_f1", "micro_f1"]);
  expect(record.score as number).toBeGreaterThan((beside.metrics["macro_f1"] as number) + 0.05);
  const lines = readFileSync(path.join((trained as StoredRun).folder, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");
  const epochs = lines.filter((line) => parseMetricsLine(line)?.dev).map((line) => JSON.parse(line));
  expect(epochs).toHaveLength(4);
  expect(epochs[record.bestEpoch as number]).toMatchObject({ dev: record.metrics, untuned: beside.metrics });
});

test("the student of a tuned teacher has its own", () => {
  const { record } = student as StoredRun;
  expect(record.tuned?.thresholds).toHaveLength(4);
  expect(record.tuned?.thresholds).not.toEqual(trained?.record.tuned?.thresholds);
});

test("a number is another run, without thresholds of its own, which is not compared with tuned ones", () => {
  expect(untuned?.record.tuned).toBeUndefined();
  expect(untuned?.record.id).not.toBe(trained?.record.id);
  expect(comparableRuns([trained as StoredRun, untuned as StoredRun])).toHaveLength(2);
});

test("a label that too few dev rows have is told", async () => {
  const { context, lines } = await open();
  const training = { ...tinyTraining, epochs: 1 };
  const places = [{ fork: 3, layers: 1 }];
  await finetune({ task: task as Task, base, places, seeds: [1], training, run }, context);
  expect(lines.join("\n")).toMatch(
    /dev\.jsonl: fewer than 5 rows have never \(0\), too few to tune on: its threshold stays 0\.5/,
  );
  expect(lines.join("\n")).toMatch(/epoch 1, macro_f1 [\d.]+, micro_f1 [\d.]+, at 0\.5 macro_f1 /);
});

test("a merged model has them, predicts with them and scores as its run", async () => {
  const { context } = await open();
  const { engine } = context;
  const out = place("merged");
  const selections = [{ task: task as Task, run: trained as StoredRun }];
  await merge({ out, base, selections, allowUnshared: false, onnx: null });
  const { tuned } = (trained as StoredRun).record;
  expect(storedManifest(out).tasks[0]).toMatchObject({ threshold: tuned?.thresholds, untuned: tuned?.untuned });
  const card = readFileSync(path.join(out, "README.md"), "utf8");
  expect(card).toContain(`praise ${tuned?.thresholds[0]}, blame ${tuned?.thresholds[1]}`);
  expect(card).toContain("Dev rows at 0.5 macro_f1");

  const taskOf = () => task as Task;
  const options = { split: "dev" as const, glueData: "", skipBroken: false, signal: context.signal };
  const notes: string[] = [];
  for (const folder of [out, (trained as StoredRun).folder]) {
    const model = await openModel(folder, engine, { taskOf, base: base.name });
    const [served] = model.tasks as [(typeof model.tasks)[number]];
    expect(served.threshold).toEqual(tuned?.thresholds);
    const scored = await evaluateTask(model, task as Task, { ...options, warn: (note) => notes.push(note) });
    expect(scored.score).toBeCloseTo(trained?.record.score as number, 9);
    expect(scored.untuned).toEqual(tuned?.untuned);
    // A tasks file with the labels in another order is scored the same: each label keeps its threshold.
    const turned = { ...(task as Task), labels: ["never", "film", "praise", "blame"] };
    expect((await evaluateTask(model, turned, options)).score).toBeCloseTo(trained?.record.score as number, 9);

    const rows = [{ text: "he saw the film", pair: null }];
    const { topics } = await computeLogits(model, rows, [served], context);
    const said = toPrediction(served, topics?.of(0) as Float32Array, rows[0] as (typeof rows)[number]);
    const { labels, scores } = said as { labels: string[]; scores: Record<string, number> };
    const wanted = served.labels.filter((label, id) => (scores[label] as number) >= (tuned?.thresholds[id] as number));
    expect(labels).toEqual(wanted);
    model.dispose();
  }
  expect(notes).toEqual(
    Array.from({ length: 2 }, () => expect.stringMatching(/topics: its thresholds are those that do/)),
  );
});

test("exports carry them", async () => {
  const out = place("exported");
  await exportModel({ format: "transformers", model: place("merged"), out, force: false }, null);
  const config = JSON.parse(readFileSync(path.join(out, "topics/config.json"), "utf8"));
  expect(config.thresholds).toEqual(trained?.record.tuned?.thresholds);
  expect(readFileSync(path.join(out, "topics/README.md"), "utf8")).toContain("model.config.thresholds");
  const saved = { format: "safetensors" as const, model: place("merged"), out: place("weights"), force: false };
  await exportModel(saved, null);
  const described = JSON.parse(readFileSync(path.join(place("weights"), "topics/task.json"), "utf8"));
  expect(described.threshold).toEqual(trained?.record.tuned?.thresholds);
});

test("an import tunes its own on the task's dev rows, and says that those of the folder are left", async () => {
  const { context, lines } = await open();
  const imported = await importBranch(
    {
      ...{ task: task as Task, base, folder: path.join(place("exported"), "topics"), labels: null },
      ...{ maxLength: tinyTraining.maxLength, run: { ...run, checkpoints: place("imported") } },
    },
    context,
  );
  expect(imported.record.tuned?.thresholds).toEqual(
    trained?.record.tuned?.thresholds.map((value) => expect.closeTo(value, 4)),
  );
  expect(imported.record.score).toBeCloseTo(trained?.record.score as number, 9);
  expect(lines.join("\n")).toMatch(
    /the thresholds in its config\.json are left out; those of topics are tuned on its dev rows/,
  );
});

test("scores of halves have thresholds of the other half", async () => {
  const { context } = await open();
  const runs = [trained as StoredRun];
  const rows = await devRowsOf(task as Task, trained as StoredRun, "");
  const logits = await devLogits(
    runs,
    rows,
    base,
    { checkpoints: run.checkpoints, cacheBudget: 1e9 },
    async () => context,
  );
  const scores = scoreHalves(rows, logits, runs).get((trained as StoredRun).folder);
  expect(scores?.whole).toBeCloseTo(trained?.record.score as number, 9);
  const best = trained?.record.score as number;
  const mean = ((scores?.halves[0] as number) + (scores?.halves[1] as number)) / 2;
  expect(mean).toBeLessThan(best);
});

test("a run that decides otherwise than the tasks file says is neither merged nor opened", async () => {
  const { context } = await open();
  const pairs = [
    [
      task,
      untuned,
      /has no tuned thresholds, and topics in .*tasks-tuned\.yaml says threshold: tuned\. Train it again/,
    ],
    [plain, trained, /has tuned thresholds, and topics in .*tasks-0\.5\.yaml does not say threshold: tuned/],
  ] as const;
  for (const [of, run, message] of pairs) {
    const selections = [{ task: of as Task, run: run as StoredRun }];
    const out = place("refused");
    const refused = { exitCode: ExitCode.model, message: expect.stringMatching(message) };
    await expect(merge({ out, base, selections, allowUnshared: false, onnx: null })).rejects.toMatchObject(refused);
    const opened = openModel((run as StoredRun).folder, context.engine, { taskOf: () => of as Task, base: base.name });
    await expect(opened).rejects.toMatchObject(refused);
  }
});

test("a record with thresholds that are none is damaged", async () => {
  const { folder, record } = student as StoredRun;
  const tuned = record.tuned as NonNullable<typeof record.tuned>;
  for (const [wrong, message] of [
    [{ ...tuned, thresholds: [0.5, 0.5] }, /it has 4 labels and 2 tuned\.thresholds/],
    [{ ...tuned, thresholds: [0.5, 0.5, 0.5, 1] }, /its tuned is/],
    [{ thresholds: tuned.thresholds }, /its tuned is/],
  ] as const) {
    await writeRecord(folder, { ...record, tuned: wrong as typeof tuned });
    await expect(readRecord(folder)).rejects.toThrow(message);
  }
});
