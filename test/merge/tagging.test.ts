// What is done with a merged model, with a task that labels words in it: changes and steps back, int8, other runtimes, a
// function's handler, the choice among runs. A task of whole texts stands beside it.

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import type { StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { SpansAnswer } from "../../src/client/api";
import { readSplit } from "../../src/data/read-split";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { graphModelOpener } from "../../src/engines/wasm/graph-model-file";
import { sampleTexts } from "../../src/export/check/check-rows";
import { exportModel } from "../../src/export/export";
import { cachedFolder } from "../../src/files/cache";
import { rollBack } from "../../src/merge/history/rollback";
import { merge, removeTasks } from "../../src/merge/merge";
import { devLogits } from "../../src/predict/dev-logits";
import { evaluateTask } from "../../src/predict/evaluate";
import { scoreHalves } from "../../src/predict/half-scores";
import { openModel, type ServedTask } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import { openFunction } from "../../src/serve/lambda/function";
import { glueTasks } from "../../src/tasks/glue";
import type { SpansPrediction } from "../../src/tasks/kinds/kind";
import type { Task } from "../../src/tasks/task";
import { storedManifest } from "../merged";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { writeTinyTagging } from "../tiny-tagging";
import { trainTiny } from "../trained";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const merged = place("merged");
const base = tinyBase("tiny-merged-tags", { hidden: 32 });
const { sst2 } = glueTasks;
const taskOf = (name: string) => (name === sst2.name ? sst2 : task);
let task: Task;
let engine: Engine;
let deep: StoredRun;
let shallow: StoredRun;

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = place("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(place("glue"));
  ({ task } = await writeTinyTagging(folder));
  ({ engine } = await openEngine("onnx", { threads: 1 }));
  const training = { ...tinyTraining, epochs: 12, learningRate: 5e-3 };
  const places = [1, 2].map((layers) => ({ fork: 4 - layers, layers }));
  const request = { task, base, places, seeds: [1], training, run: tinyRun(folder) };
  const runs = await finetune(request, quietContext(engine).context);
  [deep, shallow] = [2, 1].map((layers) => runs.find(({ record }) => record.layers === layers)) as [
    StoredRun,
    StoredRun,
  ];
  const selections = [
    { task, run: deep },
    { task: sst2, run: await trainTiny(folder, base, sst2) },
  ];
  await merge({ out: merged, base, selections, allowUnshared: false, onnx: { check: null } });
});
afterAll(() => engine.dispose());

const score = async (weights: "float32" | "int8" = "float32") => {
  const model = await openModel(merged, engine, { taskOf, weights });
  const options = { split: "dev" as const, glueData: "", skipBroken: false, signal: new AbortController().signal };
  const found = await evaluateTask(model, task, options);
  model.dispose();
  return found.score;
};

test("another run takes its place, it is removed, and steps back bring it again", async () => {
  expect(deep.record.score).toBe(1);
  const first = storedManifest(merged).tasks;
  const selections = [{ task, run: shallow }];
  const onnx = { check: null };
  await merge({ out: merged, base, selections, mode: "update", allowUnshared: false, onnx });
  expect(storedManifest(merged).tasks.map(({ name, layers }: Task & { layers: number }) => [name, layers])).toEqual([
    ["sst2", 3],
    ["things", 1],
  ]);
  await removeTasks(merged, ["things"], onnx);
  expect(storedManifest(merged).tasks).toHaveLength(1);
  await rollBack(merged, undefined);
  await rollBack(merged, undefined);
  expect(storedManifest(merged).tasks).toEqual(first);
  expect(first[1]).toMatchObject({ kind: "tagging", tags: { words: "punctuation", pieces: "first" } });
  expect(await score()).toBe(1);
});

test("int8 gives the same spans", async () => {
  const { signal, reporter } = quietContext(engine).context;
  const tasks = await quantiseFolder({
    ...{ engine, signal, reporter, maxDrop: 1, glueData: place("glue"), maxRows: undefined },
    ...{ skipBroken: false, maxBroken: 0, folder: merged, note: null },
    rowsOf: async ({ name, inputs }) => ({ source: "dev", definition: taskOf(name), some: sampleTexts(inputs) }),
  });
  expect(JSON.stringify(tasks)).toContain("things");
  expect(Object.keys(storedManifest(merged).int8.tasks)).toEqual(["sst2", "things"]);
  expect(await score("int8")).toBe(1);
});

test("a function's handler answers with spans, of a text in windows too", async () => {
  const handler = openFunction({ folder: merged, tasks: ["things"], weights: "float32", threads: 1 });
  const long = Array.from({ length: 70 }, (_, i) => (i % 9 === 4 ? "film" : "was")).join(" ");
  const { rows } = (await handler({ rows: [{ text: "😀 the long book" }, { text: long }] })) as {
    rows: { predictions: { things: SpansAnswer } }[];
  };
  const model = await openModel(merged, engine, { taskOf, weights: "float32" });
  const [, served] = model.tasks as [ServedTask, ServedTask];
  const texts = ["😀 the long book", long].map((text) => ({ text, pair: null }));
  const { things } = await computeLogits(model, texts, [served], quietContext(engine).context);
  model.dispose();
  for (const [i, row] of texts.entries()) {
    const { spans } = toPrediction(served, things?.of(i) as Float32Array, row) as SpansPrediction;
    // The library counts UTF-16 units, of which the first text's first character has two.
    const counted = spans.map(({ start, end, score, ...span }) => {
      return { ...span, start: start - 1 + i, end: end - 1 + i, score: expect.closeTo(score, 5) };
    });
    expect(rows[i]?.predictions.things.spans).toEqual(counted);
  }
  const found = rows.map(({ predictions }) => predictions.things.spans);
  expect(found[0]?.map(({ label }) => label)).toEqual(["book"]);
  expect(found[1]?.map(({ text }) => text)).toContain("film");
  expect(found[1]?.at(-1)?.start).toBeGreaterThan(200); // in the last window
});

test("tfjs' model and a SavedModel give tags of every token, ONNX in half precision too", async () => {
  const { engine: eager } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  const tools = {
    engine: eager,
    open: await graphModelOpener(),
    signal,
    glueData: place("glue"),
    taskOf,
    warn: () => undefined,
  };
  const of = (format: "tfjs" | "saved-model" | "onnx", out: string) => ({
    format,
    model: merged,
    out: place(out),
    force: false,
  });
  const { check } = await exportModel(of("tfjs", "tfjs"), tools);
  expect(check?.tasks.map(({ task: name }) => name)).toEqual(["sst2", "things"]);
  expect(check?.largestDifference).toBeLessThan(1e-5);
  const { signature } = JSON.parse(readFileSync(place("tfjs/model.json"), "utf8"));
  const sizes = (name: string) =>
    signature.outputs[name].tensorShape.dim.map(({ size }: { size: string }) => Number(size));
  expect([sizes("sst2"), sizes("things")]).toEqual([
    [-1, 2],
    [-1, -1, 4],
  ]);
  const saved = await exportModel(of("saved-model", "saved/1"), null);
  expect(saved.contents["signatures"]).toContain("things");
  const { onnxFileOpener } = await import("../../src/engines/onnx/model-file.js");
  const half = { ...of("onnx", "half"), precision: "float16" as const };
  const halved = await exportModel(half, { ...tools, open: onnxFileOpener({ threads: 1 }) });
  expect(halved.check?.largestDifference).toBeLessThan(1e-2);
});

test("runs are scored on each half of the dev rows, from logits that are kept beside them", async () => {
  const dev = await readSplit(task, "dev", { glueData: "" });
  const rows = { task, examples: dev.examples };
  const work = { cacheBudget: 1e9, checkpoints: place("checkpoints") };
  const { context } = quietContext(engine);
  const logits = await devLogits([deep, shallow], rows, base, work, async () => context);
  const scores = scoreHalves(rows, logits, [deep, shallow]);
  expect(scores.get(deep.folder)).toEqual({ whole: 1, halves: [1, 1] });
  const again = await devLogits([deep, shallow], rows, base, work, () => Promise.reject(new Error("they are kept")));
  expect(scoreHalves(rows, again, [deep, shallow])).toEqual(scores);
});
