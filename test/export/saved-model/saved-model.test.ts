// Exported SavedModels: what the files say, that TensorFlow loads them and gives the branches' logits by every signature,
// and that a folder appears complete and checked or not at all.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { readTf1Checkpoint } from "../../../src/checkpoints/formats/tf1-checkpoint";
import { DataType, type MetaGraphDef, SavedModelSchema } from "../../../src/compile/tensorflow/tensorflow.gen";
import type { ModelFile } from "../../../src/engines/model-file";
import { openEngine } from "../../../src/engines/open";
import { savedModelOpener } from "../../../src/engines/tensorflow/saved-model-file";
import { batchTensors, checkRows } from "../../../src/export/check/check-rows";
import type { CheckTools } from "../../../src/export/check/model-check";
import { exportModel, planExport } from "../../../src/export/export";
import { readTensors } from "../../../src/merge/folder/blobs";
import type { Manifest } from "../../../src/merge/folder/manifest";
import { readManifest } from "../../../src/merge/folder/version";
import { merge, removeTasks } from "../../../src/merge/merge";
import { float32, type HostTensor, type HostTensors } from "../../../src/model/tensors";
import { openModel } from "../../../src/predict/model";
import type { Task } from "../../../src/tasks/task";
import { createTokenizer } from "../../../src/tokenizer/tokenizer";
import { engineAbsence, withInitialCache } from "../../engines/engines";
import { storeManifest } from "../../merged";
import { paddedLogits } from "../../padded-logits";
import { unless } from "../../skips";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTinyTasks } from "../../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-export");
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

const format = "saved-model";
const exported = (out: string, open: CheckTools["open"] | null = null, force = false) =>
  exportModel({ format, model: merged, out: place(out), force }, open && { ...tools, open });

const graphIn = (out: string) =>
  fromBinary(SavedModelSchema, readFileSync(path.join(place(out), "saved_model.pb"))).metaGraphs[0] as MetaGraphDef;

/** What the branches give, each over its own layers, on rows of the tasks. */
async function wantedLogits() {
  const rows = await checkRows(manifest.tasks, createTokenizer(base.tokenizer), 64, tools);
  const batch = batchTensors(rows.batches[1], 0, base.config);
  const model = await openModel(merged, tools.engine, { taskOf });
  const logits = await paddedLogits(
    model,
    batch,
    manifest.tasks.map(({ name }) => name),
  );
  model.dispose();
  return { batch, logits };
}

describe("the files", () => {
  test("have the shared layers once, a signature for all and one a task, and the weights beside the graph", async () => {
    const { bytes, contents, check } = await exported("files/1");
    expect([contents["signatures"], check]).toEqual([["serving_default", "rte", "sst2", "stsb"], null]);
    const { graphDef, signatureDef, metaInfoDef, saverDef } = graphIn("files/1");
    const count = (op: string) => graphDef?.node.filter((node) => node.op === op).length;
    const layers = 3 + 3 + 1 + 2; // shared, sst2, rte, stsb
    expect(count("Softmax")).toBe(layers);
    expect(count("VarHandleOp")).toBe(Object.keys(await readTensors(merged, manifest, manifest.tasks)).length);
    expect(count("RestoreV2")).toBe(1);
    expect(metaInfoDef?.tags).toEqual(["serve"]);
    const names = new Set(graphDef?.node.map(({ name }) => name));
    expect(names.has(saverDef?.restoreOpName ?? "")).toBe(true);
    const shapes = (tensors: (typeof signatureDef)[string]["inputs"] | undefined) =>
      Object.entries(tensors ?? {})
        .map(([name, { dtype, tensorShape }]) => [name, dtype, tensorShape?.dim.map(({ size }) => Number(size))])
        .sort();
    expect(shapes(signatureDef["serving_default"]?.inputs)).toEqual([
      ["attention_mask", DataType.DT_INT32, [-1, -1]],
      ["input_ids", DataType.DT_INT32, [-1, -1]],
      ["token_type_ids", DataType.DT_INT32, [-1, -1]],
    ]);
    expect(shapes(signatureDef["serving_default"]?.outputs)).toEqual([
      ["rte", DataType.DT_FLOAT, [-1, 2]],
      ["sst2", DataType.DT_FLOAT, [-1, 2]],
      ["stsb", DataType.DT_FLOAT, [-1, 1]],
    ]);
    expect(Object.keys(signatureDef["stsb"]?.outputs ?? {})).toEqual(["stsb"]);
    const files = (readdirSync(place("files/1"), { recursive: true }) as string[]).sort();
    expect(files).toEqual([
      "assets.extra",
      "assets.extra/base.json",
      "assets.extra/tasks.json",
      "assets.extra/tokenizer_config.json",
      "assets.extra/vocab.txt",
      "saved_model.pb",
      "variables",
      "variables/variables.data-00000-of-00001",
      "variables/variables.index",
    ]);
    const sizes = files
      .filter((file) => path.extname(file) !== "" && file !== "assets.extra")
      .map((file) => readFileSync(path.join(place("files/1"), file)).length);
    expect(bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  test("the checkpoint holds every blob's tensors; labels and lengths lie beside it", async () => {
    const stored = await readTf1Checkpoint(path.join(place("files/1"), "variables/variables"));
    expect(stored).toEqual(await readTensors(merged, manifest, manifest.tasks));
    const extra = (name: string) => JSON.parse(readFileSync(path.join(place("files/1"), "assets.extra", name), "utf8"));
    const { name, sha256 } = manifest.base;
    expect(extra("base.json")).toEqual({ name, sha256, license: "unknown: see the base's own licence" });
    const tasks = extra("tasks.json");
    expect(tasks[0]).toEqual({
      name: "rte",
      kind: "classification",
      inputs: "pair",
      labels: ["entailment", "not_entailment"],
      range: null,
      maxLength: 32,
      fork: 3,
      layers: 1,
    });
  });

  test("equal folders give equal bytes", async () => {
    await exported("again/1");
    for (const file of ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]) {
      expect(
        readFileSync(path.join(place("again/1"), file)).equals(readFileSync(path.join(place("files/1"), file))),
      ).toBe(true);
    }
  });
});

const absence = engineAbsence("tensorflow");
if (absence !== null) console.warn(`SKIPPED: SavedModels in TensorFlow, because ${absence}`);

unless(absence).describe("in TensorFlow", () => {
  const opener = () => withInitialCache(() => savedModelOpener({ threads: 1 }));

  test("every signature gives the branches' logits", async () => {
    const open = await opener();
    const { check } = await exported("checked/1", open);
    expect(check?.largestDifference).toBeLessThan(1e-5);
    const { batch, logits } = await wantedLogits();
    for (const signature of ["serving_default", "rte", "sst2", "stsb"]) {
      const file = await open(place("checked/1"), signature);
      const found = await file.run(batch);
      await file.close();
      expect(Object.keys(found).sort()).toEqual(
        signature === "serving_default" ? ["rte", "sst2", "stsb"] : [signature],
      );
      for (const [name, { shape, data }] of Object.entries(found)) {
        expect(shape).toEqual(logits[name]?.shape);
        for (const [i, value] of data.entries()) expect(value).toBeCloseTo(logits[name]?.data[i] as number, 5);
      }
    }
  });

  test("weights that are not what was trained are found before the folder appears", async () => {
    const open = await opener();
    const spoiling: CheckTools["open"] = async (file) => {
      const data = path.join(file, "variables/variables.data-00000-of-00001");
      writeFileSync(data, readFileSync(data).fill(1, 1000, 1400));
      return open(file);
    };
    await expect(exported("spoiled/1", spoiling)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/TensorFlow does not open .*spoiled\/1 .*Nothing was left there/),
    });
    expect(readdirSync(place("spoiled"))).toEqual([]);
  });
});

describe("a folder appears whole or not at all", () => {
  const giving =
    (change: (outputs: HostTensors) => HostTensors): CheckTools["open"] =>
    async () => {
      const model = await openModel(merged, tools.engine, { taskOf });
      const names = manifest.tasks.map(({ name }) => name);
      const run: ModelFile["run"] = async (inputs) => change(await paddedLogits(model, inputs, names));
      return { run, close: async () => model.dispose() };
    };

  test("a logit that differs: nothing is left, what was there stays", async () => {
    const moved = (outputs: HostTensors) => {
      const { shape, data } = outputs["rte"] as HostTensor;
      return {
        ...outputs,
        rte: float32(
          shape,
          Float32Array.from(data, (value) => value + 1e-3),
        ),
      };
    };
    const error = { exitCode: 5, message: expect.stringMatching(/kept\/1: a logit of rte is .* differ by/) };
    await expect(exported("kept/1", giving(moved))).rejects.toMatchObject(error);
    expect(readdirSync(place("kept"))).toEqual([]);
    await exported(
      "kept/1",
      giving((outputs) => outputs),
    );
    const before = readFileSync(path.join(place("kept/1"), "saved_model.pb"));
    await expect(exported("kept/1", giving(moved), true)).rejects.toMatchObject(error);
    expect(readFileSync(path.join(place("kept/1"), "saved_model.pb"))).toEqual(before);
    expect(readdirSync(place("kept"))).toEqual(["1"]);
  });

  test("what lies there is replaced with force alone, and only a SavedModel", async () => {
    await exported("taken/1");
    await expect(exported("taken/1")).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(/--force/) });
    writeFileSync(path.join(place("taken/1"), "old"), "");
    await exported("taken/1", null, true);
    expect(existsSync(path.join(place("taken/1"), "old"))).toBe(false);
    mkdirSync(place("mine"));
    await exported("mine");
    expect(existsSync(path.join(place("mine"), "saved_model.pb"))).toBe(true);
    mkdirSync(place("notes"));
    writeFileSync(path.join(place("notes"), "notes.txt"), "the user's own");
    await expect(exported("notes", null, true)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/is no SavedModel/),
    });
    expect(readdirSync(place("notes"))).toEqual(["notes.txt"]);
  });

  test("what a killed export had begun is removed by the next, and nothing else", async () => {
    mkdirSync(place("killed"));
    const nobody = 2 ** 22 + 1; // above the largest process id
    for (const name of [`.1.${nobody}-0a1b2c3d.tmp`, `.2.${nobody}-0a1b2c3d.tmp`, `.1.${process.pid}-0a1b2c3d.tmp`]) {
      mkdirSync(path.join(place("killed"), name));
    }
    await exported("killed/1");
    const left = [`.1.${process.pid}-0a1b2c3d.tmp`, `.2.${nobody}-0a1b2c3d.tmp`, "1"];
    expect(readdirSync(place("killed")).sort()).toEqual(left.sort());
  });

  test("a plan writes nothing and has the bytes of the weights", async () => {
    const plan = await planExport({ format, model: merged, out: place("plan/1"), force: false });
    expect(plan.contents["signatures"]).toEqual(["serving_default", "rte", "sst2", "stsb"]);
    const { bytes } = await exported("planned/1");
    expect(Math.abs(plan.bytes / bytes - 1)).toBeLessThan(0.5);
    expect(existsSync(place("plan"))).toBe(false);
  });

  test("a model without tasks, a folder that is no model, a task named as the default signature", async () => {
    const request = { format, out: place("none/1"), force: false } as const;
    await expect(exportModel({ ...request, model: place("glue") }, null)).rejects.toMatchObject({ exitCode: 4 });
    const empty = place("empty");
    const all = (await readManifest(merged)).tasks.map(({ name }) => name);
    cpSync(merged, empty, { recursive: true });
    await removeTasks(empty, all, null);
    await expect(exportModel({ ...request, model: empty }, null)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/has no task/),
    });
    const clash = place("clash");
    cpSync(merged, clash, { recursive: true });
    const [first, ...rest] = manifest.tasks;
    const tasks = [{ ...first, name: "serving_default" }, ...rest];
    storeManifest(clash, { ...manifest, tasks });
    await expect(exportModel({ ...request, model: clash }, null)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/named serving_default cannot have a signature/),
    });
    expect(existsSync(place("none"))).toBe(false);
  });
});
