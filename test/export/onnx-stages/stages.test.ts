// export onnx-stages: a task's way from stop to stop, each stage a file, compared with the branch and its ramps; and the program that
// docs/deployment.md shows, which gives what predict gives.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { predict } from "../../../src/api/open-model";
import type { OpenModelFile } from "../../../src/engines/model-file";
import { onnxFileOpener } from "../../../src/engines/onnx/model-file";
import { openEngine } from "../../../src/engines/open";
import type { CheckTools } from "../../../src/export/check/model-check";
import { exportModel } from "../../../src/export/export";
import { merge } from "../../../src/merge/merge";
import type { float32 } from "../../../src/model/tensors";
import type { ClassPrediction } from "../../../src/tasks/kinds/kind";
import type { Task } from "../../../src/tasks/task";
import { tinyRule, withTinyRamps } from "../../ramps";
import { unless } from "../../skips";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTinyTasks } from "../../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-stages");
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const merged = place("merged");
let tools: Omit<CheckTools, "open">;

beforeAll(async () => {
  const [sst2, rte, stsb] = await trainTinyTasks(folder, base);
  if (!sst2 || !rte || !stsb) throw new Error("a task was not trained");
  const value = { ...tinyRule, criterion: "spread", stops: [1, 2, 3] };
  const selections = [await withTinyRamps(folder, base, sst2), rte, await withTinyRamps(folder, base, stsb, value)];
  await merge({ out: merged, base, selections, allowUnshared: false, onnx: null });
  const { engine } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  tools = { engine, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});

const request = (out: string, tasks: readonly string[]) =>
  ({ format: "onnx-stages", model: merged, out: place(out), force: false, tasks }) as const;
const open = onnxFileOpener({ threads: 1 });

test("a file a stage, its ramps and head compared with the branch over the base", async () => {
  const { check, contents } = await exportModel(request("both", ["sst2", "stsb"]), { ...tools, open });
  expect(check?.largestDifference).toBeLessThan(1e-5);
  expect([contents, check?.tasks.map(({ task }) => task)]).toEqual([{ folders: ["sst2", "stsb"] }, ["sst2", "stsb"]]);
  const stages = readdirSync(place("both/stsb")).filter((name) => name.startsWith("stage"));
  expect(stages.sort()).toEqual(["stage-1.onnx", "stage-2.onnx", "stage-3.onnx", "stage-4.onnx", "stages.json"]);
  const { criterion, threshold, task, stages: told } = JSON.parse(readFileSync(place("both/sst2/stages.json"), "utf8"));
  expect([criterion, threshold, task.name]).toEqual([tinyRule.criterion, tinyRule.threshold, "sst2"]);
  const ids = ["input_ids", "attention_mask", "token_type_ids"];
  const states = ["hidden", "attention_mask"];
  expect(told).toEqual([
    { file: "stage-1.onnx", layers: [0, 1], inputs: ids, outputs: ["logits", "next_hidden"] },
    { file: "stage-2.onnx", layers: [1, 2], inputs: states, outputs: ["logits", "next_hidden"] },
    { file: "stage-3.onnx", layers: [2, 4], inputs: states, outputs: ["logits"] },
  ]);
});

test("a ramp that says something else ends with exit code 5, and nothing is left", async () => {
  const wrong: OpenModelFile = async (file) => {
    const model = await open(file);
    if (!file.endsWith("stage-2.onnx")) return model;
    return {
      ...model,
      async run(inputs) {
        const { logits, ...rest } = (await model.run(inputs)) as Record<string, ReturnType<typeof float32>>;
        if (!logits) throw new Error("the stage gives no logits");
        return { ...rest, logits: { ...logits, data: logits.data.map((value) => value + 0.001) } };
      },
    };
  };
  await expect(exportModel(request("wrong", ["sst2"]), { ...tools, open: wrong })).rejects.toMatchObject({
    exitCode: 5,
    message: expect.stringMatching(/stages\.json: a logit of sst2 is .* more than 0.0001/),
  });
  expect(existsSync(place("wrong"))).toBe(false);
});

test("a task whose texts do not leave early has no stages", async () => {
  await expect(exportModel(request("none", ["rte"]), null)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/rte has no rule by which texts leave early.*flexbert exits --task rte/),
  });
});

const python = process.env["FLEXBERT_PYTHON"] ?? "python3";
const missing =
  spawnSync(python, ["-c", "import numpy, onnxruntime, transformers"]).status !== 0 &&
  `${python} has no onnxruntime and transformers. Name one that has in FLEXBERT_PYTHON`;

unless(missing || null).test("the program of docs/deployment.md lets texts leave where predict does", async () => {
  await exportModel(request("stages", ["sst2"]), null);
  const page = readFileSync(path.join(__dirname, "../../../docs/deployment.md"), "utf8");
  const [, program] = [...page.matchAll(/^```python\n(.*?)^```/gms)].map(([, code]) => code as string);
  const texts = ["a good film", "bad book", "the rather long dull film was not very good", "she read", "he saw it"];
  const more = `\nprint(json.dumps([[label, int(layers)] for label, layers in predict(json.loads(${JSON.stringify(JSON.stringify(texts))}))]))\n`;
  const { status, stdout, stderr } = spawnSync(python, ["-c", `${program}${more}`], {
    ...{ cwd: folder, encoding: "utf8", env: { ...process.env, HF_HUB_OFFLINE: "1" } },
  });
  expect({ status, said: status === 0 ? "" : stderr }).toEqual({ status: 0, said: "" });
  const rows = await predict(texts, { model: merged, task: "sst2" });
  const wanted = rows.map(({ predictions }) => {
    const { label, exit_layer } = predictions["sst2"] as ClassPrediction & { readonly exit_layer?: number };
    return [label, exit_layer];
  });
  expect(JSON.parse(stdout.trim().split("\n").at(-1) as string)).toEqual(wanted);
  expect(new Set(wanted.map(([, layer]) => layer)).size).toBeGreaterThan(1);
});
