// flexbert quantize as a function: what it measures and changes, the version that it makes, and what later changes do to it.

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { int8Maker } from "../../src/api/merge/int8";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { sampleTexts } from "../../src/export/check/check-rows";
import { readTensors } from "../../src/merge/folder/blobs";
import type { Int8Parts } from "../../src/merge/folder/int8";
import { filesOf } from "../../src/merge/folder/manifest";
import { readVersion } from "../../src/merge/folder/version";
import { differenceOf } from "../../src/merge/history/diff";
import { collectGarbage } from "../../src/merge/history/gc";
import { rollBack } from "../../src/merge/history/rollback";
import { merge, removeTasks, type Selection } from "../../src/merge/merge";
import { Interrupted } from "../../src/messages/reporter";
import type { HostTensors } from "../../src/model/tensors";
import { int32 } from "../../src/model/tensors";
import { openModel } from "../../src/predict/model";
import { int8Pieces } from "../../src/predict/segments/int8-pieces";
import { openSegments } from "../../src/predict/segments/segments";
import { fitPlan } from "../../src/quantise/fit";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import { type QuantiseTools, readFitModel } from "../../src/quantise/write";
import type { Task } from "../../src/tasks/task";
import { storedManifest } from "../merged";
import { paddedLogits } from "../padded-logits";
import { quietContext, temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTinyTwice } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-quantise", { hidden: 32 });
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
let engine: Engine;
let sst2: Selection;
let rte: Selection;
let stsb: Selection;
/** rte with a branch of its own. */
let other: Selection;

beforeAll(async () => {
  ({ sst2, rte, stsb, other } = await trainTinyTwice(folder, base));
  engine = (await openEngine("onnx", { threads: 1 })).engine;
});
afterAll(() => engine.dispose());

function toolsOf(changes: Partial<QuantiseTools> = {}): QuantiseTools & { readonly lines: string[] } {
  const { context, lines } = quietContext(engine);
  const { signal, reporter } = context;
  return {
    ...{ engine, signal, reporter, lines, maxDrop: 100, glueData: place("glue"), maxRows: undefined },
    ...{ skipBroken: false, maxBroken: 0 },
    rowsOf: async ({ name }) => ({
      source: "dev.tsv",
      definition: taskOf(name),
      some: sampleTexts(taskOf(name).inputs),
    }),
    ...changes,
  };
}
const texts: Partial<QuantiseTools> = {
  rowsOf: async ({ inputs }) => ({ source: "sample texts", definition: null, some: sampleTexts(inputs) }),
};

const into = (out: string, selections: readonly Selection[], int8 = false) =>
  merge({
    ...{ out, base, selections, mode: "merge" as const, allowUnshared: false, onnx: { check: null } },
    ...(int8 ? { int8: int8Maker({ tasks: undefined, glueData: place("glue"), threads: 1 }, callOf()) } : {}),
  });
const callOf = () => {
  const { signal, reporter } = quietContext(engine).context;
  return { signal, reporter, engine } as Parameters<typeof int8Maker>[1];
};
const quantise = (out: string, changes: Partial<QuantiseTools> = {}) =>
  quantiseFolder({ ...toolsOf(changes), folder: out, note: null });

const int8Of = async (out: string) => (await readVersion(out)).manifest.int8 as Int8Parts;

/** Logits of every task on some rows. */
async function outputsOf(out: string, weights?: "float32" | "int8"): Promise<HostTensors> {
  const model = await openModel(out, engine, { taskOf, weights });
  const outputs: HostTensors = {};
  for (const { name } of model.tasks) Object.assign(outputs, await paddedLogits(model, someRows(), [name]));
  model.dispose();
  return outputs;
}

function someRows() {
  const shape = [3, 9] as const;
  const cells = (value: (i: number) => number) =>
    int32(
      shape,
      Int32Array.from({ length: 27 }, (_, i) => value(i)),
    );
  return {
    input_ids: cells((i) => 1 + ((i * 7) % (base.config.vocabSize - 1))),
    attention_mask: cells(() => 1),
    token_type_ids: cells((i) => Number(i % 9 > 4)),
  };
}

describe("a version with int8 weights", () => {
  const out = place("merged");
  let before: object;
  let first: string;

  beforeAll(async () => {
    await into(out, [sst2, rte, stsb]);
    before = storedManifest(out);
    first = (await readVersion(out)).id;
    await quantise(out);
  });

  test("has them beside float32's, whose files and graph stay", async () => {
    const versions = [await readVersion(out, { version: first }), await readVersion(out)] as const;
    const { int8: came, tasks: changed, blobs } = differenceOf(...versions);
    expect({ came, changed, removed: blobs.removed }).toEqual({ came: [false, true], changed: [], removed: [] });
    const manifest = storedManifest(out);
    const { int8, pieces, ...others } = manifest;
    const { pieces: old, ...kept } = before as { pieces: { float32: object } };
    expect(others).toEqual(kept);
    expect(pieces.float32).toEqual(old.float32);
    expect(Object.keys(pieces)).toEqual(["float32", "int8"]);
    expect(int8.trunk).toHaveLength(manifest.trunk.length);
    expect(Object.keys(int8.tasks)).toEqual(["rte", "sst2", "stsb"]);
    expect(int8.tasks.rte.cost).toMatchObject({ source: "dev.tsv", rows: 12 });
    const parts = [int8.embeddings, ...int8.trunk, ...Object.values<{ file: string }>(int8.tasks)];
    for (const { file } of parts) expect(file).toMatch(/^blobs\/[\w-]+-int8-[0-9a-f]{8}\.safetensors$/);
    expect(filesOf((await readVersion(out)).manifest)).toEqual(expect.arrayContaining(parts.map(({ file }) => file)));
  });

  test("is what the onnx engine runs, unless float32 is asked for; others run float32", async () => {
    const [int8, float32] = [await outputsOf(out), await outputsOf(out, "float32")];
    for (const [name, { data }] of Object.entries(int8)) {
      const differences = [...data].map((value, i) => Math.abs(value - (float32[name]?.data[i] as number)));
      expect(Math.max(...differences)).toBeGreaterThan(0);
      expect(Math.max(...differences)).toBeLessThan(0.2);
    }
    expect(await outputsOf(out, "int8")).toEqual(int8);
    const { engine: wasm } = await openEngine("wasm", {});
    const model = await openModel(out, wasm, { taskOf });
    expect(model.weights).toBe("float32");
    model.dispose();
    await expect(openModel(out, wasm, { taskOf, weights: "int8" })).rejects.toThrow(/onnx engine's alone; wasm/);
  });

  test("gives what was measured", async () => {
    const { tasks } = await fitPlan(await readFitModel(out, (await readVersion(out)).manifest, engine), toolsOf());
    const { int8 } = storedManifest(out);
    for (const { task, before: then, after } of tasks)
      expect(int8.tasks[task].cost).toMatchObject({ before: then, after });
  });

  test("is lowered from its blobs with 7 bits where the processor saturates", async () => {
    const { manifest } = await readVersion(out);
    const model = await openModel(out, engine, { taskOf });
    const of = { config: model.config, tasks: manifest.tasks };
    const full = await outputsOf(out);
    const own = await engine.saturates?.();
    for (const saturates of [false, true]) {
      const source = await int8Pieces(engine, out, manifest, of, "int8", async () => saturates);
      const cuts = manifest.tasks.flatMap(({ fork }) => fork ?? []);
      const segments = openSegments(model.config, manifest.tasks, source as NonNullable<typeof source>, cuts);
      const { rte: found } = await paddedLogits({ ...model, ...segments }, someRows(), ["rte"]);
      const same = `${found?.data}` === `${full["rte"]?.data}`;
      expect({ saturates, same }).toEqual({ saturates, same: saturates === own });
      segments.dispose();
    }
    model.dispose();
  });

  test("is not made again where nothing is new", async () => {
    const id = (await readVersion(out)).id;
    expect(await quantise(out)).toMatchObject({ isNew: false, version: id });
  });

  test("goes and comes with rollback, and gc keeps its files", async () => {
    const copy = place("rolled");
    cpSync(out, copy, { recursive: true });
    const [quantised, int8] = [(await readVersion(copy)).id, await outputsOf(copy)];
    await rollBack(copy, undefined);
    expect(await outputsOf(copy)).toEqual(await outputsOf(out, "float32"));
    await rollBack(copy, quantised);
    await collectGarbage(copy, { keep: 1, olderThan: 0 });
    expect(await outputsOf(copy)).toEqual(int8);
  });
});

describe("later changes", () => {
  test("make a new branch int8 in the same version, over the same trunk; the others' bits stay", async () => {
    const out = place("updated");
    await into(out, [sst2, stsb]);
    await quantise(out);
    const [old, outputs] = [await int8Of(out), await outputsOf(out)];
    await into(out, [other], true);
    const added = await int8Of(out);
    expect(added).toMatchObject({ embeddings: old.embeddings, trunk: old.trunk, tasks: old.tasks });
    expect(added.tasks["rte"]?.cost).toMatchObject({ rows: 12, before: expect.any(Number), after: expect.any(Number) });
    await into(out, [rte], true); // forks a layer higher
    const now = await int8Of(out);
    expect(now.trunk.slice(0, -1)).toEqual(old.trunk);
    expect(now.tasks["rte"]?.sha256).not.toBe(added.tasks["rte"]?.sha256);
    const after = await outputsOf(out);
    expect({ sst2: after["sst2"], stsb: after["stsb"] }).toEqual(outputs);
    expect(storedManifest(out).tasks.map(({ name }: { name: string }) => name)).toEqual(["rte", "sst2", "stsb"]);
  });

  test("take int8 away where nobody makes it, and with the tasks that are removed", async () => {
    const out = place("without");
    await into(out, [sst2, rte]);
    await quantise(out);
    await removeTasks(out, ["sst2"], null);
    const left = await int8Of(out);
    expect(Object.keys(left.tasks)).toEqual(["rte"]);
    expect(Object.keys(await outputsOf(out, "int8"))).toEqual(["rte"]);
    await into(out, [sst2]);
    expect((await readVersion(out)).manifest.int8).toBeUndefined();
    await expect(outputsOf(out, "int8")).rejects.toThrow(/has no int8 weights. Run: flexbert quantize --merged/);
  });

  test("that come while it is measured are not lost", async () => {
    const out = place("meanwhile");
    await into(out, [sst2, rte]);
    const rowsOf: QuantiseTools["rowsOf"] = async (task) => {
      if (task.name === "sst2") await removeTasks(out, ["rte"], null);
      return toolsOf(texts).rowsOf(task);
    };
    await expect(quantise(out, { rowsOf })).rejects.toThrow(
      /became version [0-9a-f]{8} while [0-9a-f]{8} was measured/,
    );
    expect((await readVersion(out)).manifest.int8).toBeUndefined();
  });

  test("a stop leaves the folder as it was", async () => {
    const out = place("stopped");
    await into(out, [sst2]);
    const files = filesOf((await readVersion(out)).manifest);
    const stopped = new AbortController();
    const rowsOf: QuantiseTools["rowsOf"] = async (task) => {
      stopped.abort();
      return toolsOf().rowsOf(task);
    };
    await expect(quantise(out, { rowsOf, signal: stopped.signal })).rejects.toThrow(Interrupted);
    expect(filesOf((await readVersion(out)).manifest)).toEqual(files);
  });
});

describe("what costs too much", () => {
  const out = place("costly");
  beforeAll(() => into(out, [sst2, stsb]));
  /** The folder's model with an outlier in a layer norm of stsb's branch. */
  async function spoiled(channel: number) {
    const model = await readFitModel(out, (await readVersion(out)).manifest, engine);
    const tensors = { ...model.tensors };
    for (const part of ["weight", "bias"]) {
      const name = `task/stsb/bert.encoder.layer.2.attention.output.LayerNorm.${part}`;
      const { data, shape } = tensors[name] as HostTensors[string];
      const values = Float32Array.from(data, (value, i) => (i === channel ? 400 : value));
      tensors[name] = { dtype: "float32", shape, data: values };
    }
    return { ...model, tensors };
  }
  const lossOf = ({ before, after }: { before: number | null; after: number | null }) =>
    100 * ((before as number) - (after as number));

  test("gets its outliers moved, then weights in float32 until it holds, and says so", async () => {
    const find = async (channel: number, maxDrop: number) => {
      const tools = toolsOf({ maxDrop });
      const { plan, tasks } = await fitPlan(await spoiled(channel), tools);
      const found = tasks.find(({ task }) => task === "stsb");
      return { plan, stsb: found as NonNullable<typeof found>, lines: tools.lines };
    };
    // An untrained model's score may gain by noise as well as lose.
    let channel = 0;
    let plain = await find(channel, 100);
    while (lossOf(plain.stsb) < 1 && channel < 31) plain = await find(++channel, 100);
    expect(lossOf(plain.stsb)).toBeGreaterThanOrEqual(1);
    expect(plain.plan.float32.size + plain.plan.moved.size).toBe(0);
    const exact = await find(channel, 0);
    expect(lossOf(exact.stsb)).toBeLessThanOrEqual(1e-9);
    expect(exact.plan.float32.size).toBeGreaterThan(0);
    for (const weight of exact.plan.float32) {
      expect(exact.lines.join("\n")).toContain(`stsb: ${weight} stays float32: `);
    }
    expect(exact.lines[0]).toMatch(/^stsb: outliers moved into the matrices of its branch: /);
  });

  test("without labels is compared, and nothing more", async () => {
    const { tasks, plan } = await fitPlan(await spoiled(3), toolsOf({ ...texts, maxDrop: 0 }));
    for (const task of tasks) {
      expect(task).toMatchObject({ before: null, after: null, source: "sample texts", rows: 64 });
      expect(task.largest).toBeGreaterThan(0);
    }
    expect(plan.float32.size + plan.moved.size).toBe(0);
  });
});

test("a blob with other bytes is refused by name", async () => {
  const out = place("damaged");
  await into(out, [sst2]);
  await quantise(out);
  const { tasks } = await int8Of(out);
  const file = path.join(out, tasks["sst2"]?.file as string);
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  writeFileSync(file, bytes);
  await expect(outputsOf(out)).rejects.toThrow(/sst2-int8-[0-9a-f]{8}\.safetensors has sha256/);
  const { manifest } = await readVersion(out);
  expect(Object.keys(await readTensors(out, manifest, manifest.tasks)).length).toBeGreaterThan(0);
});
