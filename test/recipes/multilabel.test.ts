// Several labels a row from a tasks file to a served model: learnt, distilled, merged, predicted, scored and exported.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import type { StoredRun } from "../../src/checkpoints/runs/run-folder";
import { checkTask } from "../../src/data/check";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { exportModel } from "../../src/export/export";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { readUserTasks } from "../../src/tasks/user-tasks";
import { describeEachEngine } from "../engines/engines";
import { storedManifest } from "../merged";
import { distill, finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { trainTiny } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-labels", { hidden: 32 });
const run = tinyRun(folder);
const place = (name: string) => path.join(folder, name);
let task: Task;

const words = "the a was is very rather long short he she they saw read".split(" ");

/** Each label by a word of its own; every eighth row has none. */
function writeRows(rows: number, from: number): { text: string; labels: string[] }[] {
  return Array.from({ length: rows }, (_, i) => {
    const labels = ["praise", "blame", "film"].filter((_, id) => ((i + from) >> id) & 1);
    const named = labels.map((label) => ({ praise: "good", blame: "bad", film: "film" })[label] as string);
    const filler = Array.from({ length: 2 + (i % 4) }, (_, at) => words[(i * 5 + at * 3 + from) % words.length]);
    return { text: [...named, ...filler].join(" "), labels };
  });
}

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = place("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(place("glue"));
  mkdirSync(place("data"));
  const tsv = writeRows(64, 0).map(({ text, labels }) => `${text}\t${labels.join("|")}`);
  writeFileSync(place("data/train.tsv"), `${["text\ttopics", ...tsv].join("\n")}\n`);
  const lines = writeRows(24, 3).map(({ text, labels }) => JSON.stringify({ text, topics: labels }));
  writeFileSync(place("data/dev.jsonl"), `${lines.join("\n")}\n`);
  writeFileSync(
    place("tasks.yaml"),
    `tasks:
  - name: topics
    kind: multilabel
    files: { train: data/train.tsv, dev: data/dev.jsonl }
    columns: { text: text, label: topics }
    labels: [praise, blame, film]
    also-report: [macro_f1]
`,
  );
  task = (await readUserTasks(place("tasks.yaml")))[0] as Task;
});

const training = { ...tinyTraining, epochs: 24, learningRate: 5e-3 };
const request = (of: Task) => ({ task: of, base, places: [{ fork: 2, layers: 2 }], seeds: [1], training, run });

test("data check counts the rows of each label", async () => {
  const [train] = (await checkTask(task, { glueData: "" })).splits;
  expect(train?.labels?.map(({ label, rows, share }) => [label, rows, share])).toEqual([
    ["praise", 32, 0.5],
    ["blame", 32, 0.5],
    ["film", 32, 0.5],
  ]);
  expect(train?.values).toBeNull();
});

describeEachEngine("several labels a row", (open) => {
  test("are trained on, and a student of its teacher, to the same losses on every engine", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const own = { ...run, checkpoints: path.join(folder, engine.name) };
    const short = { ...request(task), training: { ...training, epochs: 3 }, run: own };
    const [teacher] = (await finetune(short, quietContext(engine).context)) as [StoredRun];
    expect(Object.keys(teacher.record.metrics)).toEqual(["micro_f1", "macro_f1"]);
    const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
    const students = {
      task,
      base,
      teacher,
      studentLayers: [1],
      seeds: [1],
      training: short.training,
      distillation,
      run: own,
    };
    const [student] = (await distill(students, quietContext(engine).context)) as [StoredRun];
    for (const [of, wanted] of [
      [teacher, [0.67456, 0.68803, 0.68997]],
      [student, [0.33495, 0.29346, 0.29017]],
    ] as const) {
      const lines = readFileSync(path.join(of.folder, "metrics.jsonl"), "utf8").trim().split("\n");
      const losses = lines.flatMap((line) => JSON.parse(line).loss ?? []);
      expect(losses).toEqual(wanted.map((loss) => expect.closeTo(loss, 3)));
    }
    expect(engine.tensorCount()).toBe(before);
  });
});

test("are learnt, and a merged model keeps the threshold, predicts lists, scores as its run, and is exported", async () => {
  const { engine } = await openEngine("onnx", {});
  const { context } = quietContext(engine);
  const [trained] = (await finetune(request(task), context)) as [StoredRun];
  expect(trained.record.score).toBeGreaterThan(0.95);
  const other = { task: glueTasks.sst2, run: await trainTiny(folder, base, glueTasks.sst2) };
  const taskOf = (name: string) => (name === task.name ? task : glueTasks.sst2);
  const open = onnxFileOpener({ threads: 1 });
  const check = { engine, open, signal: context.signal, glueData: run.glueData, taskOf, warn: () => undefined };
  const selections = [{ task, run: trained }, other];
  const merged = await merge({ out: place("merged"), base, selections, allowUnshared: false, onnx: { check } });
  expect(merged.onnx?.check?.largestDifference).toBeLessThan(1e-4);
  const written = storedManifest(place("merged")).tasks[1];
  expect(written).toMatchObject({
    name: "topics",
    kind: "multilabel",
    threshold: 0.5,
    labels: task.labels,
    range: null,
  });

  const model = await openModel(place("merged"), engine, { taskOf });
  const [served] = model.tasks.filter(({ name }) => name === "topics") as [(typeof model.tasks)[number]];
  const rows = [
    { text: "good film he saw", pair: null },
    { text: "he saw the", pair: null },
  ];
  const { topics } = await computeLogits(model, rows, [served], context);
  const [both, none] = rows.map((row, i) => toPrediction(served, topics?.of(i) as Float32Array, row));
  expect(both).toEqual({ labels: ["praise", "film"], scores: expect.objectContaining({ blame: expect.any(Number) }) });
  expect(none).toMatchObject({ labels: [] });
  const strict = { ...served, threshold: 0.9999 };
  expect(toPrediction(strict, topics?.of(0) as Float32Array, rows[0] as (typeof rows)[number])).toMatchObject({
    labels: [],
  });

  const options = { split: "dev" as const, glueData: run.glueData, skipBroken: false, signal: context.signal };
  const { score, classes, confusion } = await evaluateTask(model, task, options);
  expect(score).toBe(trained.record.score);
  expect(classes?.map(({ label, support }) => [label, support])).toEqual([
    ["praise", 12],
    ["blame", 12],
    ["film", 12],
  ]);
  expect(confusion).toBeNull();
  const renamed = { ...task, kind: glueTasks.sst2.kind };
  await expect(evaluateTask(model, renamed, options)).rejects.toThrow(/topics is a multilabel there/);
  model.dispose();

  const saved = { format: "saved-model" as const, model: place("merged"), out: place("served/1"), force: false };
  expect((await exportModel(saved, null)).contents["signatures"]).toContain("topics");
  const tasks = JSON.parse(readFileSync(path.join(place("served/1"), "assets.extra/tasks.json"), "utf8"));
  expect(tasks[1]).toMatchObject({ kind: "multilabel", threshold: 0.5 });
  const card = readFileSync(path.join(place("merged"), "README.md"), "utf8");
  expect(card).toContain("| topics | multilabel, one text | micro\\_f1 |");
  expect(card).toContain(
    "| output | topics | float32 | batch, 3 | logits of its labels, in the order above; each label",
  );
});
