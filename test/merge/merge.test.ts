// The merged folder: what it holds, how it changes, and what it refuses; and that merged logits equal the separate
// branches' on every dev row, on every engine.

import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { openEngine } from "../../src/engines/open";
import { sha256Hex } from "../../src/files/hash";
import { filesOf } from "../../src/merge/folder/manifest";
import { readManifest } from "../../src/merge/folder/version";
import { collectGarbage } from "../../src/merge/history/gc";
import { merge, removeTasks, type Selection } from "../../src/merge/merge";
import { overhead } from "../../src/model/overhead";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import type { PieceRun } from "../../src/predict/segments/pieces";
import type { Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { readJson, storedManifest } from "../merged";
import { temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTiny, trainTinyTasks } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-merge");
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
let selections: Selection[];
const train = (task: Task, of = base, layers?: number) => trainTiny(folder, of, task, layers);

beforeAll(async () => {
  selections = await trainTinyTasks(folder, base);
});

const mergeInto = async (out: string, chosen: readonly Selection[], of = base) =>
  (await merge({ out, base: of, selections: chosen, allowUnshared: false, onnx: null })).manifest;
const merged = (name: string) => path.join(folder, name);

describe("merge", () => {
  test("stores each shared layer once, as deep as the deepest fork, and counts the overhead", async () => {
    const manifest = await mergeInto(merged("all"), selections);
    expect(manifest.trunk).toHaveLength(3);
    expect(overhead(manifest)).toEqual({ layers: 3 + 3 + 1 + 2, shared: 3, share: 9 / 12 });
    expect(readdirSync(path.join(merged("all"), "blobs")).sort()).toEqual(
      filesOf(manifest)
        .map((file) => path.basename(file))
        .sort(),
    );
    expect(await readManifest(merged("all"))).toEqual(manifest);
  });

  test("adding, replacing and removing a task leaves the others' blobs alone", async () => {
    const out = merged("steps");
    const [sst2, rte, stsb] = selections as [Selection, Selection, Selection];
    const first = await mergeInto(out, [sst2]);
    expect(first.trunk).toHaveLength(1);
    const second = await mergeInto(out, [rte, stsb]);
    expect(second.trunk).toHaveLength(3);
    expect(second.tasks.find(({ name }) => name === "sst2")).toEqual(first.tasks[0]);
    const other = { task: taskOf("rte"), run: await train(taskOf("rte"), base, 2) };
    const third = await mergeInto(out, [other]);
    expect(third.tasks.map(({ name }) => name)).toEqual(["rte", "sst2", "stsb"]);
    expect(third.tasks[1]).toEqual(second.tasks[1]);
    const { manifest: fourth } = await removeTasks(out, ["rte", "stsb"], null);
    expect(fourth.trunk).toHaveLength(1);
    // Every version still finds its files, until gc.
    for (const file of filesOf(third)) expect(existsSync(path.join(out, file))).toBe(true);
    await collectGarbage(out, { keep: 0, olderThan: 0 });
    expect(readdirSync(path.join(out, "blobs"))).toHaveLength(filesOf(fourth).length);
    await expect(removeTasks(out, ["rte"], null)).rejects.toThrow(/has no task rte/);
  });

  test("branches of another base are refused by name, before anything is written", async () => {
    const other = tinyBase("other", { seed: 2 });
    const run = await train(taskOf("rte"), other);
    await expect(mergeInto(merged("mixed"), [{ task: taskOf("rte"), run }])).rejects.toThrow(/other .*tiny-merge/s);
    expect(existsSync(merged("mixed"))).toBe(false);
    await mergeInto(merged("one"), selections.slice(0, 1));
    await expect(mergeInto(merged("one"), [{ task: taskOf("rte"), run }], other)).rejects.toThrow(
      /tiny-merge .*other/s,
    );
  });
});

describe("a damaged merged folder is one clear error", () => {
  const broken = async (name: string, damage: (out: string, file: string) => void, message: RegExp) => {
    const out = merged(name);
    const manifest = await mergeInto(out, selections.slice(0, 1));
    damage(out, path.join(out, (manifest.tasks[0] as { file: string }).file));
    const { engine } = await openEngine("wasm", {});
    await expect(openModel(out, engine, { taskOf })).rejects.toThrow(message);
  };
  const edit = (out: string, changed: object) => {
    const file = path.join(out, "flexbert.json");
    writeFileSync(file, JSON.stringify({ ...readJson(file), ...changed }));
  };
  const manifestOf = (out: string) =>
    path.join(out, "manifests", `${readJson(path.join(out, "flexbert.json")).current}.json`);

  test("a blob that is missing", () =>
    broken("missing", (_, file) => rmSync(file), /is missing, which the folder's manifest names/));
  test("a blob with other bytes", () => broken("changed", (_, file) => writeFileSync(file, "x"), /has sha256 .* says/));
  test("a manifest that is no JSON", () =>
    broken("json", (out) => writeFileSync(path.join(out, "flexbert.json"), "{"), /is damaged/));
  test("a manifest of another format", () => broken("format", (out) => edit(out, { format: 3 }), /has format 3/));
  test("a manifest of a newer format says which flexbert made it", () =>
    broken("newer", (out) => edit(out, { format: 3, flexbert: "9.1.0" }), /made by flexbert 9\.1\.0; this is \d/));
  test("a manifest whose task lacks fields", () =>
    broken(
      "kind",
      (out) => {
        // Under its own hash: what is wrong is what it says.
        const text = JSON.stringify({ ...storedManifest(out), tasks: [{ kind: "poem" }] });
        const id = sha256Hex(text).slice(0, 8);
        writeFileSync(path.join(out, "manifests", `${id}.json`), text);
        edit(out, { current: id });
      },
      /tasks\.0\.\w+: /,
    ));
  test("a version's manifest with other bytes than those that name it", () =>
    broken("bytes", (out) => writeFileSync(manifestOf(out), "{}"), /manifests.* is damaged \(its sha256 begins with/));
  test("a version's manifest that is missing", () =>
    broken("gone", (out) => rmSync(manifestOf(out)), /has no manifests\/\w{8}\.json, which flexbert\.json names/));
  test("a pointer without a log", () =>
    broken("log", (out) => edit(out, { log: [] }), /flexbert.json is damaged: log: /));
});

describeEachEngine("served", (open, name) => {
  test("merged logits equal the separate branches' within 1e-5 on every dev row", async () => {
    const engine = await open();
    await mergeInto(merged("serve"), selections);
    const model = await openModel(merged("serve"), engine, { taskOf });
    const options = {
      split: "dev" as const,
      glueData: path.join(folder, "glue"),
      skipBroken: false,
      signal: new AbortController().signal,
    };
    for (const { task, run } of selections) {
      const alone = await openModel(run.folder, engine, { taskOf });
      const [a, b] = [await evaluateTask(model, task, options), await evaluateTask(alone, task, options)];
      alone.dispose();
      expect(a.logits.data).toHaveLength(b.logits.data.length);
      for (const [i, logit] of a.logits.data.entries()) {
        expect(Math.abs(logit - (b.logits.data[i] as number))).toBeLessThan(1e-5);
      }
      // To four digits: the branch may have been scored on another engine.
      expect(a.score).toBeCloseTo(run.record.score as number, 4);
    }
    model.dispose();
  });

  test("each trunk layer runs once for all tasks asked for, and none that they do not need", async () => {
    const engine = await open();
    const model = await openModel(merged("serve"), engine, { taskOf });
    const rows = [{ text: "a good film", pair: "the book was bad" }];
    const runs: PieceRun[] = [];
    const run = (names: string[]) => {
      const tasks = model.tasks.filter((task) => names.includes(task.name));
      const options = { signal: new AbortController().signal, onRun: (one: PieceRun) => void runs.push(one) };
      return computeLogits(model, rows, tasks, options);
    };
    const layersRun = async (names: string[]) => {
      runs.length = 0;
      // Compiled engines run what they traced when the pieces were opened; the eager one is counted as it runs.
      const counted = await countLayers(() => run(names), name === "wasm" ? undefined : "trace");
      const layers = runs.reduce((sum, one) => sum + one.layers, 0);
      expect(counted).toBe(name === "wasm" ? layers : 0);
      return layers;
    };
    await run(["sst2", "rte", "stsb"]);
    expect(await layersRun(["sst2", "rte", "stsb"])).toBe(3 + 3 + 1 + 2);
    expect(await layersRun(["rte"])).toBe(3 + 1);
    expect(await layersRun(["sst2"])).toBe(1 + 3);
    expect(await layersRun(["sst2", "stsb"])).toBe(2 + 3 + 2);
    model.dispose();
  });

  test("1,000 predictions leave no tensor", async () => {
    const engine = await open();
    const model = await openModel(merged("serve"), engine, { taskOf });
    const rte = model.tasks.filter(({ name }) => name === "rte");
    const signal = new AbortController().signal;
    await computeLogits(model, [{ text: "a", pair: "b" }], rte, { signal });
    const before = engine.tensorCount();
    for (let i = 0; i < 1000; i++)
      await computeLogits(model, [{ text: "a good film ".repeat(1 + (i % 3)), pair: "bad" }], rte, { signal });
    expect(engine.tensorCount()).toBe(before);
    model.dispose();
    expect(engine.tensorCount()).toBeLessThan(before);
  });

  test("a row's logits do not depend on its neighbours, and tasks of other maximum lengths share its pass", async () => {
    const engine = await open();
    const model = await openModel(merged("serve"), engine, { taskOf });
    const signal = new AbortController().signal;
    const [first, second] = [model.tasks[0], model.tasks[1]] as [(typeof model.tasks)[0], (typeof model.tasks)[0]];
    const tasks = [{ ...first, maxLength: 6 }, second] as NonNullable<typeof first>[];
    const rows = ["a good film", "the long long long dull book they read", "a"].map((text) => ({ text, pair: null }));
    const together = await computeLogits(model, rows, tasks, { signal });
    for (const [i, row] of rows.entries()) {
      const alone = await computeLogits(model, [row], tasks, { signal });
      for (const { name } of tasks) {
        const [own, others] = [alone[name]?.of(0), together[name]?.of(i)] as [Float32Array, Float32Array];
        expect(others).toHaveLength(own.length);
        for (const [j, value] of own.entries()) expect(others[j]).toBeCloseTo(value, 5);
      }
    }
    model.dispose();
  });
});

/** Encoder layers that ran: each has one softmax. */
async function countLayers(work: () => Promise<unknown>, on?: string): Promise<number> {
  const tf = require("@tensorflow/tfjs-core") as typeof import("@tensorflow/tfjs-core");
  const backend = on ?? tf.getBackend();
  const softmax = tf.getKernel("Softmax", backend);
  let count = 0;
  const counting: typeof softmax.kernelFunc = (params) => {
    count++;
    return softmax.kernelFunc(params);
  };
  tf.unregisterKernel("Softmax", backend);
  tf.registerKernel({ ...softmax, kernelFunc: counting });
  try {
    await work();
    return count;
  } finally {
    tf.unregisterKernel("Softmax", backend);
    tf.registerKernel(softmax);
  }
}
