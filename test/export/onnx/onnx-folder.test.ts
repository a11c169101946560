// export onnx: a folder that needs nothing else, with the asked tasks alone, in onnxruntime of Node, Python and the browser.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { predict } from "../../../src/api/open-model";
import { onnxFileOpener } from "../../../src/engines/onnx/model-file";
import { openEngine } from "../../../src/engines/open";
import type { CheckTools } from "../../../src/export/check/model-check";
import { exportModel } from "../../../src/export/export";
import { merge } from "../../../src/merge/merge";
import type { ValuePrediction } from "../../../src/tasks/kinds/kind";
import type { Task } from "../../../src/tasks/task";
import { browserAbsence, withPage } from "../../browser";
import { unless } from "../../skips";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTinyTasks } from "../../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-onnx-folder");
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const merged = place("merged");
let tools: Omit<CheckTools, "open">;

beforeAll(async () => {
  const selections = await trainTinyTasks(folder, base);
  await merge({ out: merged, base, selections, allowUnshared: false, onnx: null });
  const { engine } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  tools = { engine, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});

const request = (out: string, tasks?: readonly string[]) =>
  ({ format: "onnx", model: merged, out: place(out), force: false, ...(tasks ? { tasks } : {}) }) as const;

test("a folder that is complete, and smaller without the other tasks' layers", async () => {
  const open = onnxFileOpener({ threads: 1 });
  const all = await exportModel(request("all"), { ...tools, open });
  expect(all.check?.largestDifference).toBeLessThan(1e-5);
  expect(all.contents).toEqual({ outputs: ["rte", "sst2", "stsb"] });
  expect(readdirSync(place("all")).sort()).toEqual(["model.onnx", "tasks.json", "tokenizer_config.json", "vocab.txt"]);
  const one = await exportModel(request("one", ["sst2"]), { ...tools, open });
  expect(one.check?.tasks.map(({ task }) => task)).toEqual(["sst2"]);
  expect(one.bytes).toBeLessThan(all.bytes);
  expect(JSON.parse(readFileSync(path.join(place("one"), "tasks.json"), "utf8"))).toHaveLength(1);
});

const python = process.env["FLEXBERT_PYTHON"] ?? "python3";
const has = (modules: string) => spawnSync(python, ["-c", `import ${modules}`]).status === 0;

unless(has("onnx") ? null : `${python} has no onnx. Name one that has in FLEXBERT_PYTHON`).test(
  "onnx.checker passes the file, with its shapes",
  async () => {
    await exportModel(request("checked"), null);
    const script = "import onnx, sys; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)";
    const { status, stderr } = spawnSync(python, ["-c", script, path.join(place("checked"), "model.onnx")], {
      encoding: "utf8",
    });
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  },
);

/** [CLS] a [SEP] a [SEP]: ids of the tiny base. */
const pair = { text: "a", pair: "a" };

async function wantedValue(): Promise<number> {
  const rows = await predict([pair], { model: merged, engine: "wasm", task: "stsb" });
  return (rows[0]?.predictions["stsb"] as ValuePrediction | undefined)?.value ?? Number.NaN;
}

const tokenized = () => {
  const ids = readFileSync(path.join(merged, "vocab.txt"), "utf8").split("\n");
  return ["[CLS]", "a", "[SEP]", "a", "[SEP]"].map((token) => ids.indexOf(token));
};

unless(has("onnxruntime") ? null : `${python} has no onnxruntime. Name one that has in FLEXBERT_PYTHON`).test(
  "Python's onnxruntime gives predict's value",
  async () => {
    await exportModel(request("python", ["stsb"]), null);
    const script = `
import json, sys, numpy, onnxruntime
ids = json.loads(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1])
types = [0 if i < 3 else 1 for i in range(len(ids))]
feeds = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [types]}
print(session.run(["stsb"], {name: numpy.array(value, numpy.int64) for name, value in feeds.items()})[0][0][0])
`;
    const args = ["-c", script, path.join(place("python"), "model.onnx"), JSON.stringify(tokenized())];
    const { status, stdout, stderr } = spawnSync(python, args, { encoding: "utf8" });
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(Number(stdout)).toBeCloseTo(await wantedValue(), 4);
  },
);

const ortWeb = process.env["FLEXBERT_ORT_WEB"];
const webAbsence = ortWeb ? browserAbsence : "FLEXBERT_ORT_WEB names no folder of the package onnxruntime-web";

unless(webAbsence).test("onnxruntime-web gives predict's value in chromium", async () => {
  await exportModel(request("site/model", ["stsb"]), null);
  const dist = path.join(ortWeb as string, "dist");
  mkdirSync(place("site/ort"));
  for (const name of readdirSync(dist).filter((file) =>
    /^ort(\.wasm\.min|-wasm-simd-threaded)\.(mjs|wasm)$/.test(file),
  )) {
    cpSync(path.join(dist, name), path.join(place("site/ort"), name));
  }
  const page = `<!doctype html><output></output><script type="module">
    import * as ort from "./ort/ort.wasm.min.mjs";
    ort.env.wasm.numThreads = 1;
    const ids = ${JSON.stringify(tokenized())};
    const row = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
    const session = await ort.InferenceSession.create("model/model.onnx");
    const { stsb } = await session.run({ input_ids: row(ids), attention_mask: row(ids.map(() => 1)), token_type_ids: row(ids.map((_, i) => Number(i > 2))) });
    document.querySelector("output").textContent = stsb.data[0];
  </script>`;
  writeFileSync(path.join(place("site"), "index.html"), page);
  await withPage(place("site"), "index.html", async (opened) => {
    await opened.waitForFunction("document.querySelector('output').textContent !== ''");
    expect(Number(await opened.textContent("output"))).toBeCloseTo(await wantedValue(), 4);
  });
});

test("the layers of tasks that were not asked for are not in the file", async () => {
  await exportModel(request("shallow", ["sst2"]), null); // fork 1: layers 0 of the trunk and 1 to 3 of its own
  const text = readFileSync(path.join(place("shallow"), "model.onnx"), "latin1");
  expect(text).toContain("sst2/layer_01/attention/query");
  expect(text).toContain("trunk/layer_00/attention/query");
  expect(text).not.toContain("trunk/layer_01");
  expect(text).not.toMatch(/(rte|stsb)\/layer/);
});
