// tfjs models: files that tf.loadGraphModel loads, the shared layers in them once, and a page that classifies with one.

import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { predict } from "../../../src/api/open-model";
import { openEngine } from "../../../src/engines/open";
import { graphModelOpener } from "../../../src/engines/wasm/graph-model-file";
import type { CheckTools } from "../../../src/export/check/model-check";
import { exportModel } from "../../../src/export/export";
import { readTensors } from "../../../src/merge/folder/blobs";
import type { Manifest } from "../../../src/merge/folder/manifest";
import { merge } from "../../../src/merge/merge";
import type { ClassPrediction } from "../../../src/tasks/kinds/kind";
import type { Task } from "../../../src/tasks/task";
import { browserAbsence, withPage } from "../../browser";
import { storeManifest } from "../../merged";
import { unless } from "../../skips";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTinyTasks } from "../../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-tfjs");
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const merged = place("merged");
let manifest: Manifest;
let tools: CheckTools;

beforeAll(async () => {
  const selections = await trainTinyTasks(folder, base);
  ({ manifest } = await merge({ out: merged, base, selections, allowUnshared: false, onnx: null }));
  const { engine } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  const open = await graphModelOpener();
  tools = { engine, open, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});

const exported = (out: string, tasks?: readonly string[]) =>
  exportModel({ format: "tfjs", model: merged, out: place(out), force: false, ...(tasks ? { tasks } : {}) }, tools);

const modelJson = (out: string) => JSON.parse(readFileSync(path.join(place(out), "model.json"), "utf8"));

test("every task's logits are its branch's, and the shared layers are there once", async () => {
  const { check, contents } = await exported("all");
  expect(contents).toEqual({ outputs: ["rte", "sst2", "stsb"] });
  expect(check?.largestDifference).toBeLessThan(1e-5);
  expect(check?.tasks.map(({ task }) => task)).toEqual(["rte", "sst2", "stsb"]);
  const { modelTopology, weightsManifest, signature, userDefinedMetadata } = modelJson("all");
  const count = (op: string) => modelTopology.node.filter((node: { op: string }) => node.op === op).length;
  expect(count("Softmax")).toBe(3 + 3 + 1 + 2); // shared, sst2, rte, stsb
  expect(Object.keys(signature.outputs)).toEqual(["rte", "sst2", "stsb"]);
  expect(userDefinedMetadata.tasks[0]).toMatchObject({ name: "rte", labels: ["entailment", "not_entailment"] });
  const stored = new Map<string, object>(
    weightsManifest[0].weights.map((weight: { name: string }) => [weight.name, weight]),
  );
  for (const [name, { shape }] of Object.entries(await readTensors(merged, manifest, manifest.tasks))) {
    expect(stored.get(name)).toMatchObject({ shape: [...shape], dtype: "float32" });
  }
});

test("of some tasks, the layers of the others are left out", async () => {
  const { tasks, check } = await exported("some", ["sst2"]);
  expect(tasks).toEqual(["sst2"]);
  expect(check?.largestDifference).toBeLessThan(1e-5);
  const softmaxes = modelJson("some").modelTopology.node.filter((node: { op: string }) => node.op === "Softmax");
  expect(softmaxes).toHaveLength(1 + 3);
});

test("weights of more than a shard's 4 MB are cut, and put together again", async () => {
  const large = tinyBase("tiny-tfjs-large", { layers: 4, hidden: 256 });
  const root = place("large");
  mkdirSync(root);
  const selections = await trainTinyTasks(root, large);
  const model = path.join(root, "merged");
  await merge({ out: model, base: large, selections: selections.slice(0, 1), allowUnshared: false, onnx: null });
  const out = path.join(root, "tfjs");
  const { check } = await exportModel({ format: "tfjs", model, out, force: false }, tools);
  expect(check?.largestDifference).toBeLessThan(1e-4);
  const shards = readdirSync(out).filter((name) => name.endsWith(".bin"));
  expect(shards.length).toBeGreaterThan(1);
  const sizes = shards.map((name) => readFileSync(path.join(out, name)).length).sort((a, b) => b - a);
  expect(new Set(sizes.slice(0, -1))).toEqual(new Set([4 * 2 ** 20]));
});

unless(browserAbsence).describe("docs/tfjs.html in chromium", () => {
  const site = place("site");

  beforeAll(async () => {
    await exported("site/model");
    const root = path.join(__dirname, "../../..");
    cpSync(path.join(root, "docs/tfjs.html"), path.join(site, "tfjs.html"));
    const tfjs = path.join(root, "node_modules/@tensorflow");
    cpSync(path.join(tfjs, "tfjs/dist/tf.min.js"), path.join(site, "tf.min.js"));
    const wasm = path.join(tfjs, "tfjs-backend-wasm/dist");
    for (const name of readdirSync(wasm).filter((file) => /^tf.*wasm/.test(file))) {
      cpSync(path.join(wasm, name), path.join(site, name));
    }
  });

  /** What predict says of a row, as the page writes it. */
  async function wantedLines(text: string, pair: string | null): Promise<string[]> {
    const [row] = await predict([{ text, pair }], { model: merged, engine: "wasm" });
    return Object.entries(row?.predictions ?? {}).map(([name, prediction]) => {
      if ("value" in prediction) return `${name}: ${prediction.value.toFixed(3)}`;
      const { label, score } = prediction as ClassPrediction;
      return `${name}: ${label} (${(100 * score).toFixed(1)} %)`;
    });
  }

  test("tokenizes and classifies as predict does: words, accents, CJK, pairs, texts beyond the limit", async () => {
    const long = "a naïve café, isn't it? ".repeat(40);
    const rows: readonly (readonly [string, string | null])[] = [
      ["The food was cold and the staff rude.", null],
      [`${long} 東京 tower`, null],
      ["A man plays.", "Someone plays; it's loud!"],
      [long, "short"],
      ["short", long],
    ];
    await withPage(site, "tfjs.html", async (page) => {
      await page.waitForFunction("document.querySelector('#state').textContent === 'ready'");
      for (const [text, pair] of rows) {
        await page.fill("input[name=text]", text);
        await page.fill("input[name=pair]", pair ?? "");
        await page.evaluate("document.querySelector('#state').textContent = 'asked'");
        await page.press("input[name=text]", "Enter");
        await page.waitForFunction("/ ms$/.test(document.querySelector('#state').textContent)");
        const lines = (await page.textContent("#answers"))?.split("\n");
        expect(lines).toEqual(await wantedLines(text, pair));
      }
    });
  });
});

describe("a model that has no place in tfjs", () => {
  test("a task named as an input is refused", async () => {
    const clash = place("clash");
    cpSync(merged, clash, { recursive: true });
    const [first, ...rest] = manifest.tasks;
    const tasks = [{ ...first, name: "input_ids" }, ...rest];
    storeManifest(clash, { ...manifest, tasks });
    await expect(
      exportModel({ format: "tfjs", model: clash, out: place("none"), force: false }, null),
    ).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(/named input_ids cannot be an output/) });
  });
});
