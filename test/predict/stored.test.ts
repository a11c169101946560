// Pieces of a merged folder from its stored graphs: nothing is traced and no tfjs is loaded, what is damaged is named, and a
// change of one task writes one graph.

import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { RowLogits } from "../../src/batches/row-logits";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import type { Blob } from "../../src/merge/folder/manifest";
import { type Pieces, piecesOf } from "../../src/merge/folder/pieces";
import { readManifest } from "../../src/merge/folder/version";
import { merge, type Selection } from "../../src/merge/merge";
import { openModel } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import type { Task } from "../../src/tasks/task";
import { describeDevices } from "../engines/devices";
import { engineAbsence } from "../engines/engines";
import { storedManifest, storeManifest } from "../merged";
import { unless } from "../skips";
import { temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTinyTasks } from "../trained";

const folder = temporaryFolder();
const merged = path.join(folder, "merged");
const base = tinyBase();
const { signal } = new AbortController();
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const request = { base, allowUnshared: false, onnx: null };
let selections: Selection[];

beforeAll(async () => {
  selections = await trainTinyTasks(folder, base);
  await merge({ ...request, out: merged, selections });
});

const rows = ["a good film", "the long long dull book they read", "bad"].map((text) => ({ text, pair: "the film" }));

async function logitsOf(model: string, engine: Engine) {
  const opened = await openModel(model, engine, { taskOf });
  try {
    return await computeLogits(opened, rows, opened.tasks, { signal });
  } finally {
    opened.dispose();
  }
}

type Logits = Readonly<Record<string, RowLogits>>;

function expectNear(found: Logits, wanted: Logits): void {
  expect(Object.keys(found)).toEqual(Object.keys(wanted));
  for (const [task, logits] of Object.entries(wanted)) {
    for (const [i, value] of logits.data.entries()) expect(found[task]?.data[i]).toBeCloseTo(value, 5);
  }
}

const pieces = async (model: string) => piecesOf((await readManifest(model)).pieces) as Pieces;

/** A copy of the folder. */
function copied(name: string): string {
  const out = path.join(folder, name);
  cpSync(merged, out, { recursive: true });
  return out;
}

test("the folder has a graph for each stretch and each branch, small ones, over its blobs", async () => {
  const { stretches, branches } = await pieces(merged);
  expect(stretches.map(({ from, to, bottom }) => [from, to, bottom])).toEqual([
    [0, 1, true],
    [1, 2, false],
    [2, 3, false],
  ]);
  expect(Object.keys(branches).sort()).toEqual(["rte", "sst2", "stsb"]);
  for (const { file } of [...stretches, ...Object.values(branches)] as Blob[]) {
    expect(readFileSync(path.join(merged, file)).length).toBeLessThan(30_000);
  }
});

test("one task more writes its graph alone", async () => {
  const out = copied("changed");
  const before = new Set(readdirSync(path.join(out, "blobs")));
  const rte = selections.filter(({ task }) => task.name === "rte");
  await merge({ ...request, out, selections: rte.map(({ task, run }) => ({ task: { ...task, name: "mine" }, run })) });
  const added = readdirSync(path.join(out, "blobs")).filter((name) => !before.has(name));
  expect(added.map((name) => name.replace(/-[0-9a-f]{8}/, "")).sort()).toEqual(["mine.onnx", "mine.safetensors"]);
  const [old, now] = [await pieces(merged), await pieces(out)];
  expect(now.stretches).toEqual(old.stretches);
  expect(now.branches).toMatchObject(old.branches);
});

const absence = engineAbsence("onnx");
if (absence !== null) console.warn(`SKIPPED: stored pieces in onnxruntime, because ${absence}`);

unless(absence).describe("in onnxruntime", () => {
  const open = async () => (await openEngine("onnx", { threads: 1 })).engine;

  test("they give what pieces traced from the same blobs give", async () => {
    const engine = await open();
    const { openGraph: _, ...tracing } = engine;
    const [stored, traced] = [await logitsOf(merged, engine), await logitsOf(merged, tracing as Engine)];
    expectNear(stored, traced);
    expect(engine.tensorCount()).toBe(0);
  });

  test("graphs for another interface are left alone, and the pieces traced", async () => {
    const out = copied("foreign");
    const engine = await open();
    const wanted = await logitsOf(out, engine);
    const manifest = storedManifest(out);
    const foreign = { float32: { ...manifest.pieces.float32, interface: 99, stretches: "another way" } };
    storeManifest(out, { ...manifest, pieces: foreign });
    const found = await logitsOf(out, engine);
    for (const [task, logits] of Object.entries(wanted)) {
      for (const [i, value] of logits.data.entries()) expect(found[task]?.data[i]).toBeCloseTo(value, 5);
    }
  });

  describe("what is wrong is said, with exit code 4, when the model is opened", () => {
    const broken = async (name: string, spoil: (out: string, graphs: Pieces) => void, message: RegExp) => {
      const out = copied(name);
      spoil(out, await pieces(out));
      const engine = await open();
      await expect(openModel(out, engine, { taskOf })).rejects.toMatchObject({
        exitCode: 4,
        message: expect.stringMatching(message),
      });
      expect(engine.tensorCount()).toBe(0);
    };
    const fileOf = (out: string, graph: Blob | undefined) => path.join(out, graph?.file as string);

    test("a graph that is missing", () =>
      broken("missing", (out, { branches }) => rmSync(fileOf(out, branches["rte"])), /rte-\w+\.onnx is missing/));
    test("a graph with other bytes", () =>
      broken("bytes", (out, { stretches }) => writeFileSync(fileOf(out, stretches[1]), "x"), /has sha256/));
    test("a blob with other bytes, which no graph would notice", () =>
      broken(
        "blob",
        (out) => {
          const [name] = readdirSync(path.join(out, "blobs")).filter((file) => /^rte-.*safetensors$/.test(file));
          const file = path.join(out, "blobs", name as string);
          const bytes = readFileSync(file);
          writeFileSync(file, bytes.fill(7, bytes.length - 8));
        },
        /rte-\w+\.safetensors has sha256/,
      ));
  });

  test("the command line answers from them without loading TensorFlow.js", () => {
    const script = `
      process.on("exit", () => {
        const loaded = Object.keys(require.cache).filter((file) => /node_modules\\/@tensorflow/.test(file));
        process.stderr.write("tfjs files: " + loaded.length + "\\n");
      });
      const args = ["predict", "--model", ${JSON.stringify(merged)}, "--engine", "onnx", "--quiet", "--json"];
      require("./dist/cli/main.js").main([process.execPath, "flexbert", ...args, "--text", "a good film"]);
    `;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", script], {
      cwd: path.join(__dirname, "../.."),
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, "tfjs files: 0\n"]);
    expect(Object.keys(JSON.parse(stdout).predictions)).toEqual(["sst2"]);
  });
});

describe("a manifest that says other than its files", () => {
  const damage = (name: string, change: (task: Record<string, unknown>, manifest: Record<string, object>) => void) => {
    const out = copied(name);
    const manifest = storedManifest(out);
    change(manifest.tasks[0], manifest);
    storeManifest(out, manifest);
    return out;
  };
  const opened = async (out: string) => logitsOf(out, (await openEngine("onnx", { threads: 1 })).engine);

  unless(absence).test("fewer labels than outputs", async () => {
    const out = damage("fewer-labels", (task) => {
      task["labels"] = ["one"];
      task["range"] = null;
    });
    await expect(opened(out)).rejects.toThrow(
      /gives \d values a row, its task has 1. The folder is damaged: merge again/,
    );
  });

  test.each<[string, Parameters<typeof damage>[1], RegExp]>([
    [
      "a kind that every object has",
      (task) => Object.assign(task, { kind: "constructor" }),
      /of the kind "constructor"/,
    ],
    ["more layers than its base", (task) => Object.assign(task, { layers: 2 ** 30 }), /has layers above its base's/],
    [
      "a base of more layers than any has",
      (_, { base }) => Object.assign(base as object, { layers: 2 ** 30 }),
      /base.layers/,
    ],
  ])("%s", async (name, change, message) => {
    await expect(readManifest(damage(name, change))).rejects.toThrow(message);
  });
});

describeDevices(["cpu"], "stored pieces", (open) => {
  test("leave what is between them on the device, and give what the engine gives", async () => {
    const [device, host] = [await open(), (await openEngine("onnx", {})).engine];
    expectNear(await logitsOf(merged, device), await logitsOf(merged, host));
    expect(device.tensorCount()).toBe(0);
  });

  test("two calls on one model at the same time", async () => {
    const opened = await openModel(merged, await open(), { taskOf });
    const alone = await computeLogits(opened, rows, opened.tasks, { signal });
    const both = await Promise.all([1, 2].map(() => computeLogits(opened, rows, opened.tasks, { signal })));
    opened.dispose();
    for (const together of both) expectNear(together, alone);
  });
});
