// model.onnx of a merged folder: what is in it, that it says what the branches say, how it follows the folder, and that
// a file that is wrong is never left behind.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { type GraphProto, ModelProtoSchema, TensorProto_DataType } from "../../../src/compile/onnx/onnx.gen";
import { onnxFileOpener } from "../../../src/engines/onnx/model-file";
import { openEngine } from "../../../src/engines/open";
import type { CheckTools } from "../../../src/export/check/model-check";
import { sha256Hex } from "../../../src/files/hash";
import { readManifest } from "../../../src/merge/folder/version";
import { merge, removeTasks, type Selection } from "../../../src/merge/merge";
import { float32, type HostTensor, int32, sizeOf } from "../../../src/model/tensors";
import { openModel } from "../../../src/predict/model";
import type { Task } from "../../../src/tasks/task";
import { paddedLogits } from "../../padded-logits";
import { temporaryFolder, tinyBase, tinyTasks } from "../../tiny";
import { trainTiny, trainTinyTasks } from "../../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-onnx");
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name);
const open = onnxFileOpener({ threads: 1 });
const place = (name: string) => path.join(folder, name);
const onnxOf = (out: string) => path.join(out, "model.onnx");
let selections: Selection[];
let tools: CheckTools;

beforeAll(async () => {
  selections = await trainTinyTasks(folder, base);
  // Eager, and so of another kind than what it checks.
  const { engine } = await openEngine("wasm", {});
  const { signal } = new AbortController();
  tools = { engine, open, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});

const mergeInto = (out: string, chosen: readonly Selection[], changes: Partial<CheckTools> = {}) =>
  merge({
    out,
    base,
    selections: chosen,
    allowUnshared: true,
    onnx: { check: { ...tools, ...changes } },
  });

const modelIn = (out: string) => fromBinary(ModelProtoSchema, readFileSync(onnxOf(out)));
const graphIn = (out: string) => modelIn(out).graph as GraphProto;
const outputsIn = (out: string) => graphIn(out).output.map(({ name }) => name);

/** Every file below a folder with the hash of its bytes. */
function contentsOf(out: string): Record<string, string> {
  const names = readdirSync(out, { recursive: true }) as string[];
  const files = names.filter((name) => statSync(path.join(out, name)).isFile()).sort();
  return Object.fromEntries(files.map((name) => [name, sha256Hex(readFileSync(path.join(out, name)))]));
}

/** Pseudo-random rows with padding at their ends. */
function someRows(rows: number, length: number) {
  const cells = rows * length;
  const draw = (i: number, below: number) => (i * 7919 + rows * 31 + length) % below;
  const mask = Int32Array.from({ length: cells }, (_, i) => (i % length < length - Math.floor(i / length) ? 1 : 0));
  return {
    input_ids: int32(
      [rows, length],
      Int32Array.from({ length: cells }, (_, i) => draw(i, base.config.vocabSize)),
    ),
    attention_mask: int32([rows, length], mask),
    token_type_ids: int32(
      [rows, length],
      Int32Array.from({ length: cells }, (_, i) => draw(i, 2)),
    ),
  };
}

function expectClose(found: HostTensor | undefined, wanted: HostTensor): void {
  expect(found?.shape).toEqual(wanted.shape);
  for (const [i, value] of wanted.data.entries()) {
    expect(Math.abs(value - (found?.data[i] as number))).toBeLessThan(1e-5);
  }
}

/** The file's outputs against each run's own, at several sizes. */
async function expectEqualBranches(out: string, chosen: readonly Selection[]): Promise<void> {
  const file = await open(onnxOf(out));
  for (const { task, run } of chosen) {
    const alone = await openModel(run.folder, tools.engine, { taskOf: (name) => taskOf(name) as Task });
    for (const [rows, length] of [
      [1, 1],
      [1, 9],
      [3, 5],
      [7, 33],
      [2, 64],
    ] as const) {
      const inputs = someRows(rows, length);
      const wanted = (await paddedLogits(alone, inputs, [task.name]))[task.name] as HostTensor;
      expectClose((await file.run(inputs))[task.name], wanted);
    }
    alone.dispose();
  }
  await file.close();
}

describe("the graph", () => {
  test("has the shared layers once, standard operators only, and each weight once", async () => {
    const { manifest, onnx } = await mergeInto(place("all"), selections);
    const graph = graphIn(place("all"));
    const count = (op: string) => graph.node.filter(({ opType }) => opType === op).length;
    const layers = 3 + 3 + 1 + 2; // shared, sst2, rte, stsb
    expect(count("Softmax")).toBe(layers);
    expect(count("MatMul")).toBe(2 * layers);
    expect(count("Gemm")).toBe(6 * layers + 2 * selections.length);
    expect(count("LayerNormalization")).toBe(1 + 2 * layers);
    expect(new Set(graph.node.map(({ domain }) => domain))).toEqual(new Set([""]));
    expect(modelIn(place("all")).opsetImport.map(({ domain, version }) => [domain, version])).toEqual([["", 20n]]);
    const weights = graph.initializer.filter(
      ({ dataType, dims }) => dataType === TensorProto_DataType.FLOAT && dims.length > 0,
    );
    const names = weights.map(({ name }) => name);
    const perLayer = 16;
    expect(names).toHaveLength(5 + layers * perLayer + 4 * selections.length);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.includes("word_embeddings"))).toEqual([
      "bert.embeddings.word_embeddings.weight",
    ]);
    const bytes = weights.reduce((sum, { rawData }) => sum + (rawData?.length ?? 0), 0);
    expect(onnx?.bytes).toBe(statSync(onnxOf(place("all"))).size);
    expect((onnx?.bytes ?? 0) - bytes).toBeLessThan(100_000);
    expect(manifest.onnx).toEqual({ file: "model.onnx", sha256: contentsOf(place("all"))["model.onnx"] });
    expect(await readManifest(place("all"))).toEqual(manifest);
  });

  test("names its inputs and outputs as users of Hugging Face expect, with batch and length open", () => {
    const declared = (values: GraphProto["input"]) =>
      values.map(({ name, type }) => {
        if (type?.value.case !== "tensorType") throw new Error(`${name} is no tensor`);
        const { elemType, shape } = type.value.value;
        return [name, elemType, shape?.dim.map(({ value }) => value.value)];
      });
    const graph = graphIn(place("all"));
    expect(declared(graph.input)).toEqual([
      ["input_ids", TensorProto_DataType.INT64, ["batch", "length"]],
      ["attention_mask", TensorProto_DataType.INT64, ["batch", "length"]],
      ["token_type_ids", TensorProto_DataType.INT64, ["batch", "length"]],
    ]);
    expect(declared(graph.output)).toEqual([
      ["rte", TensorProto_DataType.FLOAT, ["batch", 2n]],
      ["sst2", TensorProto_DataType.FLOAT, ["batch", 2n]],
      ["stsb", TensorProto_DataType.FLOAT, ["batch", 1n]],
    ]);
  });

  test("says in its metadata of which base it is, what the tasks are and which format this is", () => {
    const model = modelIn(place("all"));
    const metadata = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value]));
    expect(metadata).toMatchObject({
      "flexbert.format": "1",
      "flexbert.base": "tiny-onnx",
      "flexbert.base_sha256": base.sha256,
      "flexbert.base_license": "unknown: see the base's own licence",
    });
    const tasks = JSON.parse(metadata["flexbert.tasks"] as string);
    expect(tasks.map(({ name }: { name: string }) => name)).toEqual(["rte", "sst2", "stsb"]);
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
    expect(tasks[2]).toMatchObject({ kind: "regression", labels: [], range: [0, 5] });
    expect(model.docString).toMatch(/attention_mask .* rte, sst2, stsb/);
  });

  test("gives every branch's own logits at several sizes", () => expectEqualBranches(place("all"), selections));

  test("takes a branch that shares nothing, with embeddings of its own", async () => {
    const rte = taskOf("rte") as Task;
    const chosen = [
      ...selections.filter(({ task }) => task !== rte),
      { task: rte, run: await trainTiny(folder, base, rte, "full") },
    ];
    const { onnx } = await mergeInto(place("full"), chosen);
    expect(onnx?.check?.largestDifference).toBeLessThan(1e-5);
    const names = graphIn(place("full")).initializer.map(({ name }) => name);
    expect(names.filter((name) => name.includes("word_embeddings"))).toHaveLength(2);
    await expectEqualBranches(place("full"), chosen);
  });

  test("its weights are the blobs', which are named in its folder, and it gives the same", async () => {
    const { onnx } = await mergeInto(place("large"), selections);
    expect(onnx?.weights).toBe("blobs");
    expect(onnx?.bytes).toBeLessThan(100_000);
    const locations = graphIn(place("large")).initializer.flatMap(({ externalData }) =>
      externalData.filter(({ key }) => key === "location").map(({ value }) => value),
    );
    for (const location of locations) expect(existsSync(path.join(place("large"), location))).toBe(true);
    expect(new Set(locations).size).toBe(1 + 3 + 3);
    await expectEqualBranches(place("large"), selections);
  });

  test("a task may have the name of a value inside, but not that of an input", async () => {
    const [sst2, rte] = selections as [Selection, Selection];
    const named = (name: string, { task, run }: Selection): Selection => ({ task: { ...task, name }, run });
    const chosen = [named("v1", sst2), named("v2", rte), named("v30", sst2)];
    await mergeInto(place("names"), chosen);
    expect(outputsIn(place("names"))).toEqual(["v1", "v2", "v30"]);
    const before = contentsOf(place("names"));
    await expect(mergeInto(place("names"), [named("input_ids", rte)])).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/a task named input_ids cannot be an output .* --no-onnx/),
    });
    expect(contentsOf(place("names"))).toEqual(before);
  });
});

describe("the file follows the folder", () => {
  test("tasks that come and go change it; what is left of it is never of other tasks", async () => {
    const out = place("steps");
    const [sst2, rte, stsb] = selections as [Selection, Selection, Selection];
    const first = await mergeInto(out, [sst2]);
    expect(outputsIn(out)).toEqual(["sst2"]);
    const second = await mergeInto(out, [rte, stsb]);
    expect(outputsIn(out)).toEqual(["rte", "sst2", "stsb"]);
    // What did not change is computed by the same nodes from the same weights: it is not computed to see that.
    expect(second.onnx?.check?.tasks.map(({ task }) => task)).toEqual(["rte", "stsb"]);
    expect(second.onnx?.unchanged).toEqual(["sst2"]);
    await expectEqualBranches(out, selections);
    const third = await removeTasks(out, ["rte", "stsb"], { check: tools });
    expect([third.onnx?.unchanged, third.onnx?.check]).toEqual([["sst2"], null]);
    expect(outputsIn(out)).toEqual(["sst2"]);
    expect((await readManifest(out)).onnx).toEqual(first.manifest.onnx);
    await expectEqualBranches(out, [sst2]);
    const { manifest, onnx } = await removeTasks(out, ["sst2"], { check: tools });
    expect([manifest.onnx, onnx, existsSync(onnxOf(out))]).toEqual([null, null, false]);
  });

  test("the same tasks give the same bytes, in whatever order they came, checked or not", async () => {
    for (const { task, run } of [...selections].reverse()) {
      await merge({
        out: place("reverse"),
        base,
        selections: [{ task, run }],
        allowUnshared: false,
        onnx: { check: null },
      });
    }
    expect(contentsOf(place("reverse"))["model.onnx"]).toBe(contentsOf(place("all"))["model.onnx"]);
  });

  test("a file that was overwritten, cut or removed is written again; one that is whole stays", async () => {
    const out = place("broken");
    await mergeInto(out, selections);
    const whole = contentsOf(out);
    const written = statSync(onnxOf(out)).mtimeMs;
    await mergeInto(out, selections);
    expect(statSync(onnxOf(out)).mtimeMs).toBe(written);
    for (const bytes of [Buffer.from("no model"), readFileSync(onnxOf(out)).subarray(0, 5000), Buffer.of()]) {
      writeFileSync(onnxOf(out), bytes);
      await mergeInto(out, selections);
      expect(contentsOf(out)).toEqual(whole);
    }
  });

  test("without it a merge removes the one that is there, and says so in the manifest", async () => {
    const out = place("without");
    await mergeInto(out, selections);
    const request = { out, base, selections, allowUnshared: false, onnx: null };
    expect((await merge(request)).manifest.onnx).toBeNull();
    expect(existsSync(onnxOf(out))).toBe(false);
  });

  test("a folder of that name is an error that says so, and stays", async () => {
    const out = place("taken");
    mkdirSync(onnxOf(out), { recursive: true });
    await expect(mergeInto(out, selections)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/model.onnx is a folder.* --no-onnx/),
    });
    expect(readdirSync(out, { recursive: true })).toEqual(["model.onnx"]);
    await merge({ out, base, selections, allowUnshared: false, onnx: null });
    expect(existsSync(onnxOf(out))).toBe(true);
  });

  test("what a killed merge had begun is removed by the next", async () => {
    const out = place("killed");
    await mergeInto(out, selections);
    const whole = contentsOf(out);
    writeFileSync(path.join(out, ".model.onnx.4711-0a1b2c3d.tmp"), "half");
    writeFileSync(path.join(out, "blobs", ".rte-00000000.safetensors.4711-0a1b2c3d.tmp"), "half");
    writeFileSync(path.join(out, "notes.txt"), "the user's own");
    await mergeInto(out, selections);
    expect(contentsOf(out)).toEqual({ ...whole, "notes.txt": sha256Hex("the user's own") });
  });
});

describe("a wrong file is an error, and the folder is as it was", () => {
  /** An opener whose models give outputs that `change` spoils. */
  const spoiled =
    (change: (tensor: HostTensor) => HostTensor): CheckTools["open"] =>
    async (file) => {
      const opened = await open(file);
      return {
        ...opened,
        run: async (inputs) => {
          const outputs = await opened.run(inputs);
          return { ...outputs, rte: change(outputs["rte"] as HostTensor) };
        },
      };
    };
  const moved = (by: number) => (tensor: HostTensor) =>
    float32(
      tensor.shape,
      Float32Array.from(tensor.data, (value, i) => value + (i === 1 ? by : 0)),
    );

  const expectUntouched = async (changes: Partial<CheckTools>, error: object) => {
    const [sst2, rte] = selections as [Selection, Selection];
    await expect(mergeInto(place("fresh"), [sst2, rte], changes)).rejects.toMatchObject(error);
    expect(existsSync(place("fresh"))).toBe(false);
    const out = place("kept");
    await mergeInto(out, [sst2]);
    const before = contentsOf(out);
    await expect(mergeInto(out, [rte], changes)).rejects.toMatchObject(error);
    expect(contentsOf(out)).toEqual(before);
  };

  test("a logit that differs by more than 1e-4", () =>
    expectUntouched(
      { open: spoiled(moved(2e-4)) },
      { exitCode: 5, message: expect.stringMatching(/model.onnx: a logit of rte is .* differ by 2.0e-4, more than/) },
    ));

  test("a logit that is no number", () =>
    expectUntouched(
      { open: spoiled(moved(Number.NaN)) },
      { exitCode: 5, message: expect.stringMatching(/rte is NaN/) },
    ));

  test("an output of another shape", () =>
    expectUntouched(
      { open: spoiled(({ shape, data }) => float32([sizeOf(shape)], data as Float32Array)) },
      { exitCode: 5, message: expect.stringMatching(/output rte has shape \[\d\], .* gives \[\d,2\]/) },
    ));

  test("a file that onnxruntime refuses", () =>
    expectUntouched(
      {
        open: async () => {
          throw new Error("Unsupported model IR version\nsecond line");
        },
      },
      { exitCode: 4, message: expect.stringMatching(/does not open .*model.onnx \(Unsupported model IR version\)/) },
    ));

  test("Ctrl-C during the check", async () => {
    const controller = new AbortController();
    const aborting: CheckTools["open"] = async (file) => {
      controller.abort();
      return open(file);
    };
    await expectUntouched({ open: aborting, signal: controller.signal }, { name: "Interrupted" });
  });

  test("something in the way of the card: nothing is committed", async () => {
    const out = place("card");
    mkdirSync(path.join(out, "README.md"), { recursive: true });
    await expect(mergeInto(out, selections)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/README.md is a folder/),
    });
    expect(readdirSync(out, { recursive: true })).toEqual(["README.md"]);
  });

  test("rounding passes: a difference below 1e-4 is reported, not refused", async () => {
    const { onnx } = await mergeInto(place("rounded"), selections, { open: spoiled(moved(5e-5)) });
    expect(onnx?.check?.largestDifference).toBeGreaterThan(4e-5);
    expect(onnx?.check?.tasks.find(({ task }) => task === "sst2")?.difference).toBeLessThan(1e-5);
  });
});
