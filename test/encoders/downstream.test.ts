// What is done with a base, for every family: train, distil, merge, serve in pieces and as int8, export to other runtimes,
// and import what was exported. On tiny random bases with a word-piece vocabulary: a family's tokenizer is tested elsewhere.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { benchmarkWeights } from "../../src/benchmark/benchmark-weights";
import { openInference, openTrainStep } from "../../src/benchmark/step-benchmark";
import { openBase } from "../../src/checkpoints/bases/base";
import { randomBase, writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { loadBranch, modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { startTransformers } from "../../src/engines/transformers/transformers-file";
import { sampleTexts } from "../../src/export/check/check-rows";
import type { CheckTools } from "../../src/export/check/model-check";
import { exportModel } from "../../src/export/export";
import { readTensors } from "../../src/merge/folder/blobs";
import { merge } from "../../src/merge/merge";
import { families, familyOf, type ModelType, modelTypeOf } from "../../src/model/families/families";
import { familyHead } from "../../src/model/families/head";
import { sharedTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import type { HostTensors } from "../../src/model/tensors";
import { evaluateTask } from "../../src/predict/evaluate";
import { measureLatency } from "../../src/predict/layer-latency";
import { openModel } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import { importBranch } from "../../src/recipes/import";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { storedManifest } from "../merged";
import { distill } from "../sweeps";
import { quietContext, temporaryFolder, tinyFamilyBase, tinyRun, tinyTasks, tinyTraining } from "../tiny";
import { trainTiny, trainTinyTasks } from "../trained";
import { python, withTransformers } from "../transformers";

const { rte, sst2 } = glueTasks;
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
describe.each(Object.keys(families) as ModelType[])("%s", (type) => {
  const folder = temporaryFolder();
  const place = (name: string) => path.join(folder, name);
  const merged = place("merged");
  const base = tinyFamilyBase(type, `tiny-${type}`);
  const family = familyOf(base.config);
  let runs: Record<string, StoredRun>;
  let onnx: Engine;
  let tools: CheckTools;

  beforeAll(async () => {
    const selections = await trainTinyTasks(folder, base);
    runs = Object.fromEntries(selections.map(({ task, run }) => [task.name, run]));
    onnx = (await openEngine("onnx", { threads: 1 })).engine;
    const { engine } = await openEngine("wasm", {});
    const { signal } = new AbortController();
    const open = onnxFileOpener({ threads: 1 });
    tools = { engine, open, signal, glueData: place("glue"), taskOf, warn: () => undefined };
    const check = { ...tools, open };
    const { onnx: report } = await merge({ out: merged, base, selections, allowUnshared: false, onnx: { check } });
    expect(report?.check?.largestDifference).toBeLessThan(1e-4);
  });
  afterAll(() => onnx.dispose());

  test("a base is read as it was written, and records name its family", async () => {
    const opened = await openBase(base.name);
    expect(opened.sha256).toBe(base.sha256);
    expect(opened.config).toEqual(base.config);
    const named = type === "bert" ? { name: base.name } : { name: base.name, family: type };
    expect(runs["rte"]?.record.base).toMatchObject(named);
    const { family: stored } = storedManifest(merged).base;
    expect(stored ?? "bert").toBe(modelTypeOf(base.config));
  });

  test("a branch holds its layers and head alone, and what layers share stays the trunk's", async () => {
    const { tensors } = await readSafetensors(modelFile((runs["rte"] as StoredRun).folder));
    const own = family.layerParameters(base.config, 3).map(({ name }) => name);
    const head = rte.kind.parameters(base.config.hiddenSize, 2, base.config).map(({ name }) => name);
    expect(Object.keys(tensors).sort()).toEqual([...own, ...head].sort());
    const stored = await readTensors(merged, storedManifest(merged), storedManifest(merged).tasks);
    expect(sharedTensors(stored)).toEqual(sharedTensors(base.tensors));
  });

  test("served in stored pieces, in traced ones and from the run's folder: the score of the run", async () => {
    const options = { split: "dev" as const, glueData: place("glue"), skipBroken: false, signal: tools.signal };
    const { score } = (runs["sst2"] as StoredRun).record;
    for (const engine of [onnx, tools.engine]) {
      const model = await openModel(merged, engine, { taskOf });
      expect((await evaluateTask(model, sst2, options)).score).toBeCloseTo(score as number, 5);
      model.dispose();
    }
    const alone = await openModel((runs["sst2"] as StoredRun).folder, tools.engine, { taskOf });
    expect((await evaluateTask(alone, sst2, options)).score).toBeCloseTo(score as number, 5);
    alone.dispose();
  });

  test("a student on its teacher's fork, and a full branch with what layers share of its own", async () => {
    const { context } = quietContext(tools.engine);
    const teacher = runs["sst2"] as StoredRun;
    const request = { task: sst2, base, teacher, seeds: [1], training: { ...tinyTraining, epochs: 1 } };
    const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
    const [student] = await distill({ ...request, studentLayers: [1], distillation, run: tinyRun(folder) }, context);
    expect(student?.record).toMatchObject({ state: "finished", fork: 1, layers: 1 });
    const full = await trainTiny(folder, base, rte, "full");
    const branch = await loadBranch(full, rte, base.config);
    for (const name of family.names.shared) expect(branch[name]?.data).not.toEqual(base.tensors[name]?.data);
    const selections = [
      { task: sst2, run: student as StoredRun },
      { task: rte, run: full },
    ];
    const out = place("mixed");
    const { onnx: report } = await merge({ out, base, selections, allowUnshared: true, onnx: { check: tools } });
    expect(report?.check?.largestDifference).toBeLessThan(1e-4);
  });

  test("what its layers take is measured, and its step and inference are benched", async () => {
    const { signal } = new AbortController();
    const costs = await measureLatency(tools.engine, base, { batchSize: 2, length: 8, signal });
    expect(costs.measured?.base).toBe(base.name);
    const whole = { ...base.tensors, ...branchOfBase(base, placeOf(4, 2), familyHead(base.config, 2), 1) };
    const config = { ...base.config, hiddenDropoutProb: 0.1, attentionProbsDropoutProb: 0.1 };
    const benched = { config, tensors: whole, layers: 2, batchSize: 2, seed: 1 };
    for (const engine of [onnx, tools.engine]) {
      const step = await openTrainStep(engine, benched);
      const { loss } = await step.run(8);
      expect(loss).toBeGreaterThan(0);
      step.dispose();
      const inference = await openInference(engine, benched);
      await inference.run(8);
      inference.dispose();
    }
    const random = benchmarkWeights(base.config, 1);
    const shapes = (tensors: HostTensors) => Object.entries(tensors).map(([name, { shape }]) => [name, [...shape]]);
    expect(shapes(random).sort()).toEqual(shapes(base.tensors).sort());
    const two = [1, 1].map((seed) => randomBase("random", base.config, base.tokenizer, seed).sha256);
    expect(new Set(two).size).toBe(1);
  });

  test("int8: words and products, what layers share once and in float32, near the exact logits", async () => {
    const { signal, reporter } = quietContext(onnx).context;
    await quantiseFolder({
      ...{ engine: onnx, signal, reporter, maxDrop: 100, glueData: place("glue"), maxRows: undefined },
      ...{ skipBroken: false, maxBroken: 0, folder: merged, note: null },
      rowsOf: async ({ name, inputs }) => ({ source: "dev", definition: taskOf(name), some: sampleTexts(inputs) }),
    });
    const { int8 } = storedManifest(merged);
    const names = async (file: string) => Object.keys((await readSafetensors(path.join(merged, file))).tensors);
    expect(await names(int8.embeddings.file)).toEqual(
      expect.arrayContaining([`${family.names.words}_int8_rows`, ...family.names.shared]),
    );
    const branch = await names(int8.tasks.rte.file);
    expect(branch.filter((name) => family.names.shared.includes(name))).toEqual([]);
    expect(branch.filter((name) => name.endsWith("_int8")).length).toBeGreaterThan(2);
    const rows = sampleTexts("single");
    const logits: Float32Array[] = [];
    for (const weights of ["float32", "int8"] as const) {
      const model = await openModel(merged, onnx, { taskOf, weights });
      const task = model.tasks.find(({ name }) => name === "sst2") as (typeof model.tasks)[number];
      const found = await computeLogits(model, rows, [task], quietContext(onnx).context);
      logits.push(found["sst2"]?.data as Float32Array);
      model.dispose();
    }
    const [exact, rounded] = logits as [Float32Array, Float32Array];
    const largest = exact.reduce((most, value, i) => Math.max(most, Math.abs(value - (rounded[i] as number))), 0);
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThan((await onnx.saturates?.()) ? 0.1 : 0.05); // of 7 bits and of 8
  });

  test("an ONNX model asks for token types where the family has them alone, and agrees", async () => {
    const { check } = await exportModel({ format: "onnx", model: merged, out: place("onnx"), force: false }, tools);
    expect(check?.largestDifference).toBeLessThan(1e-4);
    const text = readFileSync(path.join(place("onnx"), "model.onnx")).toString("latin1");
    expect(text.includes("token_type_ids")).toBe(family.inputs.types);
    expect(text).toContain("trunk/layer_00/");
    const saved = { format: "saved-model" as const, model: merged, out: place("saved/1"), force: false };
    expect((await exportModel(saved, null)).contents["signatures"]).toContain("rte");
    const graph = readFileSync(path.join(place("saved/1"), "saved_model.pb")).toString("latin1");
    expect(graph.includes("token_type_ids")).toBe(family.inputs.types);
  });

  test("tasks' weights alone say what the merged model says", async () => {
    const request = { format: "safetensors" as const, model: merged, out: place("weights"), force: false };
    const { check } = await exportModel(request, tools);
    expect(check?.largestDifference).toBeLessThan(1e-5);
    const readme = readFileSync(path.join(place("weights"), "rte/README.md"), "utf8");
    expect(readme).toContain(`import ${family.className}Config, ${family.className}ForSequenceClassification`);
  });

  withTransformers.test("transformers loads its own class, which says what the branch says", async () => {
    const runtime = await startTransformers(python);
    const request = { format: "transformers" as const, model: merged, out: place("checked"), force: false };
    const { check } = await exportModel(request, { ...tools, open: runtime.open });
    runtime.close();
    expect(check?.tasks.map(({ task }) => task)).toEqual(["rte", "sst2", "stsb"]);
    expect(check?.largestDifference).toBeLessThan(1e-5);
  });

  test("what was exported is imported at its fork, with its score; another family's is refused", async () => {
    await exportModel({ format: "transformers", model: merged, out: place("theirs"), force: false }, null);
    const from = path.join(place("theirs"), "sst2");
    const config = JSON.parse(readFileSync(path.join(from, "config.json"), "utf8"));
    expect(config).toMatchObject({ model_type: type, architectures: [`${family.className}ForSequenceClassification`] });
    const { context } = quietContext(tools.engine);
    const run = { ...tinyRun(folder), checkpoints: place("imported") };
    const request = { task: sst2, base, folder: from, labels: null, maxLength: 32, run };
    const { record } = await importBranch(request, context);
    const { fork, layers, score } = (runs["sst2"] as StoredRun).record;
    expect(record).toMatchObject({ fork, layers });
    expect(record.score).toBeCloseTo(score as number, 5);
    const other = tinyFamilyBase(type === "mpnet" ? "bert" : "mpnet", "other");
    await expect(importBranch({ ...request, base: other }, context)).rejects.toMatchObject({ exitCode: 4 });
  });

  test("a checkpoint without the family's prefix, and with what a wrapper put before it, is the same base", async () => {
    const { prefix } = family.names;
    for (const [name, spell] of [
      ["bare", (own: string) => (own.startsWith(prefix) ? own.slice(prefix.length) : own)],
      ["wrapped", (own: string) => `module.${own}`],
    ] as const) {
      const tensors = Object.fromEntries(Object.entries(base.tensors).map(([own, tensor]) => [spell(own), tensor]));
      await writeBase({ ...base, tensors }, place(name));
      expect((await openBase(place(name))).sha256).toBe(base.sha256);
    }
  });
});

const refused = temporaryFolder();

test.each([
  ["albert", /"albert" \(its layers share one set of weights/],
  ["deberta-v2", /"deberta-v2" \(its attention reads contents and positions apart/],
  ["t5", /"t5"; supported are bert, roberta/],
])("a folder of %s is refused by name, with the reason", async (model_type, message) => {
  const folder = path.join(refused, model_type);
  await writeBase(tinyFamilyBase("bert"), folder);
  const file = path.join(folder, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), model_type }));
  await expect(openBase(folder)).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(message) });
});
