// Folders for transformers: one ordinary classifier a task, with labels, tokenizer and the layers of trunk and branch, which
// transformers itself loads and runs where a Python has it.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { predict } from "../../../src/api/open-model";
import { readSafetensors } from "../../../src/checkpoints/formats/safetensors";
import { openEngine } from "../../../src/engines/open";
import { startTransformers, type TransformersRuntime } from "../../../src/engines/transformers/transformers-file";
import type { CheckTools } from "../../../src/export/check/model-check";
import { exportModel } from "../../../src/export/export";
import { readTensors } from "../../../src/merge/folder/blobs";
import type { Manifest } from "../../../src/merge/folder/manifest";
import { merge } from "../../../src/merge/merge";
import type { ClassPrediction } from "../../../src/tasks/kinds/kind";
import type { Task } from "../../../src/tasks/task";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTinyTasks } from "../../trained";
import { python, withTransformers } from "../../transformers";

const folder = temporaryFolder();
const base = tinyBase("tiny-transformers");
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const merged = place("merged");
let manifest: Manifest;
let tools: Omit<CheckTools, "open">;

beforeAll(async () => {
  const selections = await trainTinyTasks(folder, base);
  ({ manifest } = await merge({ out: merged, base, selections, allowUnshared: false, onnx: null }));
  const { engine } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  tools = { engine, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});

const request = (format: "transformers" | "safetensors", out: string, tasks?: readonly string[]) => ({
  format,
  model: merged,
  out: place(out),
  force: false,
  ...(tasks ? { tasks } : {}),
});

const json = (...parts: string[]) => JSON.parse(readFileSync(path.join(folder, ...parts), "utf8"));

describe("the folders", () => {
  test("one a task, with as many layers as it runs, its labels and its limit", async () => {
    const { contents } = await exportModel(request("transformers", "all"), null);
    expect(contents).toEqual({ folders: ["rte", "sst2", "stsb"] });
    expect(readdirSync(place("all")).sort()).toEqual(["rte", "sst2", "stsb", "tasks.json"]);
    expect(json("all", "rte", "config.json")).toMatchObject({
      architectures: ["BertForSequenceClassification"],
      num_hidden_layers: 4,
      problem_type: "single_label_classification",
      id2label: { 0: "entailment", 1: "not_entailment" },
      label2id: { entailment: 0, not_entailment: 1 },
    });
    expect(json("all", "stsb", "config.json")).toMatchObject({
      problem_type: "regression",
      id2label: { 0: "LABEL_0" },
    });
    expect(json("all", "rte", "tokenizer_config.json").model_max_length).toBe(32);
  });

  test("the weights are the trunk's below the fork and the branch's above, under their own names", async () => {
    const { tensors } = await readSafetensors(path.join(place("all"), "rte", "model.safetensors"));
    const stored = await readTensors(
      merged,
      manifest,
      manifest.tasks.filter(({ name }) => name === "rte"),
    );
    const wanted = Object.entries(stored).map(([name, tensor]) => [name.replace("task/rte/", ""), tensor]);
    expect(tensors).toEqual(Object.fromEntries(wanted));
    const layers = new Set(Object.keys(tensors).flatMap((name) => /layer\.(\d+)\./.exec(name)?.[1] ?? []));
    expect([...layers].sort()).toEqual(["0", "1", "2", "3"]);
  });

  test("one task by name is the folder itself; --force replaces such a folder and no other", async () => {
    expect((await exportModel(request("transformers", "one", ["rte"]), null)).contents).toEqual({ folders: ["."] });
    expect(existsSync(path.join(place("one"), "config.json"))).toBe(true);
    const again = { ...request("transformers", "one", ["rte"]), force: true };
    await exportModel(again, null);
    writeFileSync(path.join(place("glue"), "mine.txt"), "");
    await expect(exportModel({ ...again, out: place("glue") }, null)).rejects.toMatchObject({ exitCode: 2 });
  });
});

test.each(["onnx", "tfjs", "safetensors"] as const)("--force leaves an export to %s as it is", async (format) => {
  const out = `other-${format}`;
  await exportModel({ ...request("safetensors", out), format }, null);
  const before = readdirSync(place(out)).sort();
  const error = { exitCode: 2, message: expect.stringMatching(/is there already, and is no/) };
  await expect(exportModel({ ...request("transformers", out), force: true }, null)).rejects.toMatchObject(error);
  expect(readdirSync(place(out)).sort()).toEqual(before);
  if (format === "safetensors") await exportModel({ ...request(format, out), force: true }, null);
});

test("safetensors: each file alone gives what the merged model gives", async () => {
  const open = () => Promise.reject(new Error("not asked"));
  const { check } = await exportModel(request("safetensors", "weights"), { ...tools, open });
  expect(check?.tasks.map(({ task }) => task)).toEqual(["rte", "sst2", "stsb"]);
  expect(check?.largestDifference).toBeLessThan(1e-5);
  expect(json("weights", "sst2", "task.json")).toMatchObject({ name: "sst2", fork: 1, layers: 3 });
  const readme = readFileSync(path.join(place("weights"), "sst2", "README.md"), "utf8");
  expect(readme).toMatch(/a BERT of 4 layers/);
});

test("safetensors: a weight that is not the model's is found, and nothing is left", async () => {
  const spoiled = place("spoiled");
  const spoiling: CheckTools = {
    ...tools,
    open: () => Promise.reject(new Error("not asked")),
    engine: {
      ...tools.engine,
      load(state, entries, axes) {
        const [name] = Object.keys(state).filter((key) => key === "classifier.bias");
        if (!name) return tools.engine.load(state, entries, axes);
        const tensor = state[name] as (typeof state)[string];
        const moved = { ...tensor, data: tensor.data.map((value) => value + 1) } as typeof tensor;
        return tools.engine.load({ ...state, [name]: moved }, entries, axes);
      },
    },
  };
  await expect(exportModel(request("safetensors", "spoiled"), spoiling)).rejects.toMatchObject({ exitCode: 5 });
  expect(existsSync(spoiled)).toBe(false);
});

withTransformers.describe("in transformers", () => {
  let runtime: TransformersRuntime;

  test("every task's logits are its branch's", async () => {
    runtime = await startTransformers(python);
    const { check } = await exportModel(request("transformers", "checked"), { ...tools, open: runtime.open });
    runtime.close();
    expect(check?.tasks.map(({ task }) => task)).toEqual(["rte", "sst2", "stsb"]);
    expect(check?.largestDifference).toBeLessThan(1e-5);
  });

  test("weights that do not fit are refused, and nothing is left", async () => {
    runtime = await startTransformers(python);
    const open: CheckTools["open"] = (target) => {
      const file = path.join(target, "config.json");
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), num_hidden_layers: 5 }));
      return runtime.open(target);
    };
    await expect(exportModel(request("transformers", "unfit"), { ...tools, open })).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/transformers does not open .*weights do not fit/),
    });
    runtime.close();
    expect(existsSync(place("unfit"))).toBe(false);
  });

  test("pipeline() says what predict says, on a text beyond the limit too", async () => {
    await exportModel(request("transformers", "piped"), null);
    const texts = ["The food was cold.", "word ".repeat(100)];
    const script = `
import json, sys
from transformers import pipeline
classify = pipeline("text-classification", model=sys.argv[1])
print(json.dumps(classify(json.loads(sys.argv[2]), truncation=True)))
`;
    const args = ["-c", script, path.join(place("piped"), "sst2"), JSON.stringify(texts)];
    const { status, stdout, stderr } = spawnSync(python, args, { encoding: "utf8" });
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const predicted = await predict(texts, { model: merged, engine: "wasm", task: "sst2" });
    for (const [i, { label, score }] of (JSON.parse(stdout) as ClassPrediction[]).entries()) {
      const wanted = predicted[i]?.predictions["sst2"] as ClassPrediction;
      expect(label).toBe(wanted.label);
      expect(score).toBeCloseTo(wanted.score, 5);
    }
  });
});

test("a Python without transformers is said, with what to do", async () => {
  await expect(startTransformers("no-such-python")).rejects.toMatchObject({
    exitCode: 6,
    message: expect.stringMatching(/no-such-python does not load transformers .*--python/),
  });
});
