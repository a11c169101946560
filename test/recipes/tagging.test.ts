// A task that labels words, from CoNLL's columns to a merged, exported and served model beside a task of whole texts: the
// branch that reads every token and the one that reads the first share a trunk, and each gives in it what it gives alone.

import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { SpansAnswer } from "../../src/client/api";
import { FlexbertClient } from "../../src/client/client";
import type { Engine } from "../../src/engines/engine";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel, type ServedTask } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { glueTasks } from "../../src/tasks/glue";
import type { SpansPrediction } from "../../src/tasks/kinds/kind";
import type { Task } from "../../src/tasks/task";
import { startServe } from "../serve/running-server";
import { distill, finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { writeTinyTagging } from "../tiny-tagging";
import { trainTiny } from "../trained";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const base = tinyBase("tiny-tagging", { hidden: 32, dropout: 0.1 });
const run = tinyRun(folder);
const training = { ...tinyTraining, epochs: 12, learningRate: 5e-3 };

let task: Task;
let engine: Engine;
let teacher: StoredRun;

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = place("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(place("glue"));
  ({ task } = await writeTinyTagging(folder));
  ({ engine } = await openEngine("onnx", {}));
  const { context } = quietContext(engine);
  [teacher] = (await finetune(
    { task, base, seeds: [1], training, run, places: [{ fork: 2, layers: 2 }] },
    context,
  )) as [StoredRun];
});

test("spans are learnt, and the head is transformers' of token classification", async () => {
  expect(teacher.record.metrics).toEqual({ span_f1: 1 });
  const { tensors } = await readSafetensors(modelFile(teacher.folder));
  expect(tensors["classifier.weight"]?.shape).toEqual([4, 32]);
  expect(Object.keys(tensors).filter((name) => !name.startsWith("bert.encoder."))).toEqual([
    "classifier.bias",
    "classifier.weight",
  ]);
});

test("a student learns from a teacher's logits of tokens", async () => {
  const { context } = quietContext(engine);
  const distillation = { temperature: 2, alpha: 1, init: "teacher" as const };
  const students = { task, base, seeds: [1], training, run, teacher, studentLayers: [1], distillation };
  const [student] = (await distill(students, context)) as [StoredRun];
  expect(student.record.score).toBeGreaterThan(0.95);
});

test("merged with a task of whole texts it gives what it gives alone, in pieces and in model.onnx", async () => {
  const sst2 = { task: glueTasks.sst2, run: await trainTiny(folder, base, glueTasks.sst2) };
  const { context } = quietContext(engine);
  const taskOf = (name: string) => (name === task.name ? task : glueTasks.sst2);
  const open = onnxFileOpener({ threads: 1 });
  const tools = { engine, open, signal: context.signal, glueData: place("glue"), taskOf, warn: () => undefined };
  const out = place("merged");
  const { onnx } = await merge({
    ...{ out, base, allowUnshared: false },
    selections: [{ task, run: teacher }, sst2],
    onnx: { check: tools },
  });
  expect(onnx?.check?.tasks.map((checked) => checked.task)).toEqual(["sst2", "things"]);

  const model = await openModel(out, engine, { taskOf });
  const [films, things] = model.tasks as [ServedTask, ServedTask];
  const rows = ["he saw  the long book, a film", "😀 film"].map((text) => ({ text, pair: null }));
  const both = await computeLogits(model, rows, [things, films], context);
  const alone = await computeLogits(model, rows, [things], context);
  expect(both["things"]?.data).toEqual(alone["things"]?.data);
  const said = rows.map(
    (row, i) => toPrediction(things, both["things"]?.of(i) as Float32Array, row) as SpansPrediction,
  );
  expect(said.map(({ spans }) => spans.map(({ label, start, end, text }) => [label, start, end, text]))).toEqual([
    [
      ["book", 12, 21, "long book"],
      ["film", 25, 29, "film"],
    ],
    [["film", 3, 7, "film"]],
  ]);
  const options = { split: "dev" as const, glueData: "", skipBroken: false, signal: context.signal };
  const evaluated = await evaluateTask(model, task, options);
  expect(evaluated.score).toBe(1);
  expect(evaluated.classes?.map(({ label, support }) => [label, support])).toEqual([
    ["book", expect.any(Number)],
    ["film", expect.any(Number)],
  ]);
  model.dispose();
});

test("a text longer than the model reads is read in windows, and its words are all decided", async () => {
  const { context } = quietContext(engine);
  const model = await openModel(place("merged"), engine, { taskOf: () => task, names: ["things"] });
  const [things] = model.tasks as [ServedTask];
  const long = { text: Array.from({ length: 60 }, (_, i) => (i % 7 === 3 ? "film" : "was")).join(" "), pair: null };
  const { things: logits } = await computeLogits(model, [long], [things], context);
  const { spans } = toPrediction(things, logits?.of(0) as Float32Array, long) as SpansPrediction;
  expect(spans.map(({ text }) => text)).toEqual(Array.from({ length: 9 }, () => "film"));
  model.dispose();
});

test("served, it answers with spans in code points under v1, with tensors of words under v2", async () => {
  const server = await startServe(["--merged", place("merged"), "--workers", "1", "--threads", "1"]);
  try {
    const post = async (route: string, body: object) => {
      const answer = await fetch(`${server.url}${route}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(200);
      return answer.json() as Promise<Record<string, never>>;
    };
    const texts = ["😀 the long book", "was"];
    const { rows } = (await post("/v1/predict", { rows: texts.map((text) => ({ text })) })) as unknown as {
      rows: { predictions: { things: SpansPrediction } }[];
    };
    expect(rows.map(({ predictions: { things } }) => things)).toEqual([
      {
        spans: [{ label: "book", start: 6, end: 15, text: "long book", score: expect.any(Number) }],
        version: expect.any(String),
      },
      { spans: [], version: expect.any(String) },
    ]);
    const long = Array.from({ length: 70 }, (_, i) => (i % 9 === 4 ? "film" : "was")).join(" ");
    const one = (await post("/v1/predict", { text: long, tasks: ["things"] })) as unknown as {
      predictions: { things: SpansPrediction };
    };
    expect(one.predictions.things.spans.map(({ start }) => long.slice(start, start + 4))).toEqual(
      Array(8).fill("film"),
    );

    const client = new FlexbertClient({ url: server.url });
    const found = await client.predict(texts[0] as string, { tasks: ["things"] });
    expect(found.predictions).toEqual({ things: rows[0]?.predictions.things });
    const units = await client.predict(texts[0] as string, { tasks: ["things"], offsetUnit: "utf16" });
    const { spans } = units.predictions["things"] as SpansAnswer;
    expect(spans.map(({ start, end }) => texts[0]?.slice(start, end))).toEqual(["long book"]);
    const streamed: unknown[] = [];
    for await (const { event, data } of client.stream(long, { tasks: ["things"] })) {
      if (event === "prediction") streamed.push(data.prediction);
    }
    expect(streamed).toEqual([one.predictions.things]);

    const inputs = [{ name: "text", datatype: "BYTES", shape: [2], data: texts }];
    const { outputs } = (await post("/v2/models/things/infer", { inputs })) as unknown as {
      outputs: { name: string; shape: number[]; data: unknown[] }[];
    };
    expect(outputs.map(({ name, shape }) => [name, shape])).toEqual([
      ["logits", [2, 4, 4]],
      ["words", [2, 4, 2]],
      ["label", [2]],
    ]);
    expect(outputs[1]?.data).toEqual([0, 1, 2, 5, 6, 10, 11, 15, 0, 3, -1, -1, -1, -1, -1, -1]);
    expect(JSON.parse(outputs[2]?.data[0] as string)).toEqual([
      { label: "book", start: 6, end: 15, text: "long book", score: expect.any(Number) },
    ]);
  } finally {
    await server.stop();
  }
});
