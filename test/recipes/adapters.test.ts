// Small tensors over frozen layers, by each method of `finetune --method`, on a tiny base: what a run holds and counts, that it goes on
// where it was stopped to the bytes of one left alone, that it is merged and answers as it did alone, and that nothing takes one for a
// teacher.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { loadBranch, modelFile, readRecord, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { modelCard } from "../../src/merge/card";
import { merge } from "../../src/merge/merge";
import { outlineModel } from "../../src/merge/picture/outline";
import { savings } from "../../src/merge/savings";
import { adapters } from "../../src/model/adapters/adapters";
import { familyNames } from "../../src/model/families/families";
import { layerTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import type { HostTensors } from "../../src/model/tensors";
import { layerRange } from "../../src/options/layers";
import { settingsFrom } from "../../src/options/settings";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel, type ServedTask } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import { finetune } from "../../src/recipes/finetune";
import type { Variant } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { taskRuns } from "../../src/recipes/stored-runs";
import { runSweep, type Sweep } from "../../src/recipes/sweep";
import { planSweep } from "../../src/recipes/sweep-plan";
import { leftOut, selectRun } from "../../src/selection/candidates";
import { glueTasks } from "../../src/tasks/glue";
import { headOf, type Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { finetune as finetunePlaces, layersOf } from "../sweeps";
import {
  quietContext,
  temporaryFolder,
  tinyBase,
  tinyFamilyBase,
  tinyRun,
  tinyTasks,
  tinyTraining,
  writeTinyGlue,
} from "../tiny";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const base = tinyBase("tiny-adapted", { dropout: 0.1, hidden: 32 });
const training = { ...tinyTraining, epochs: 2, learningRate: 5e-3 };
beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  writeTinyGlue(path.join(folder, "glue"), 30, 8);
  await writeBase(base, cachedFolder(base.name));
});

const names = [...adapters.keys()];
const { rte, sst2 } = glueTasks;
const wasm = async () => (await openEngine("wasm", {})).engine;
const at = (checkpoints: string) => ({ ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) });
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;

const ks = layerRange({ full: true });
const small = { lora: { rank: 2, lora_alpha: 4 }, houlsby: { adapter_size: 3 }, pfeiffer: { adapter_size: 3 } };
const given = (method: string) => ({ method, ...small[method as keyof typeof small] });

type Values = Parameters<typeof finetune.settings>[0];
const variants = (asked: Readonly<Record<string, unknown>>): Variant[] =>
  finetune.settings(settingsFrom(finetune.options, asked) as Values, layersOf(4));

const sweepIn = (checkpoints: string, asked: Readonly<Record<string, unknown>>, task: Task = rte): Sweep => ({
  ...{ recipe: finetune, task, base, seeds: [1], training, run: at(checkpoints) },
  variants: variants(asked),
});

async function trained(checkpoints: string, asked: Readonly<Record<string, unknown>>, task: Task = rte) {
  const [run] = await runSweep(sweepIn(checkpoints, asked, task), quietContext(await wasm()).context);
  return run as StoredRun;
}

const bytesOf = (run: StoredRun | undefined) => readFileSync(modelFile((run as StoredRun).folder));
const scoredOf = async (folder: string, engine: Awaited<ReturnType<typeof wasm>>, task: Task = rte) => {
  const model = await openModel(folder, engine, { taskOf });
  const options = { split: "dev", glueData: at("").glueData, skipBroken: false } as const;
  const { score } = await evaluateTask(model, task, { ...options, signal: new AbortController().signal });
  model.dispose();
  return score;
};

describeEachEngine("small tensors over frozen layers", (open, name) => {
  test.each(names)("of %s are trained and answer as they were scored", async (method) => {
    const engine = await open();
    const before = engine.tensorCount();
    const { context } = quietContext(engine);
    const [run] = (await runSweep(sweepIn(`trained-${name}`, given(method)), context)) as [StoredRun];
    expect(engine.tensorCount()).toBe(before);
    expect(run.record).toMatchObject({ state: "finished", fork: 0, full: false, layers: 4, options: { method } });
    expect(await readRecord(run.folder)).toMatchObject({ id: run.record.id });
    expect(await scoredOf(run.folder, engine)).toBeCloseTo(run.record.score as number, 4);
  });

  test.each(names)("of %s: stopped and resumed, the bytes of a run left alone", async (method) => {
    const engine = await open();
    const [alone] = await runSweep(sweepIn(`trained-${name}`, given(method)), quietContext(engine).context);
    const abort = new AbortController();
    const stopping = {
      ...quietContext(engine).context,
      signal: abort.signal,
      reporter: stopAt(5, new RegExp(`k=4 ${method}`), abort),
    };
    const sweep = sweepIn(`resumed-${name}`, given(method));
    await expect(runSweep(sweep, stopping)).rejects.toMatchObject({
      message: expect.stringContaining("the state is saved in"),
    });
    const [resumed] = await runSweep(sweep, quietContext(engine).context);
    expect(bytesOf(resumed)).toEqual(bytesOf(alone));
  });
});

describe("what a run of frozen layers holds", () => {
  const changed = (branch: HostTensors) =>
    Object.keys(layerTensors(base.tensors, 0, 4)).filter(
      (name) =>
        !Buffer.from(branch[name]?.data.buffer as ArrayBuffer).equals(
          Buffer.from(base.tensors[name]?.data.buffer as ArrayBuffer),
        ),
    );
  const count = (tensors: HostTensors) => Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
  const head = headOf(rte, base.config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

  test("of lora: its products in the weights of query and value, and no tensor more than a branch has", async () => {
    const run = await trained("held", given("lora"));
    const branch = await loadBranch(run, rte, base.config);
    const wanted = [0, 1, 2, 3].flatMap((layer) =>
      ["query", "value"].map((name) => `bert.encoder.layer.${layer}.attention.self.${name}.weight`),
    );
    expect(changed(branch)).toEqual(wanted);
    expect(count(branch)).toBe(count(layerTensors(base.tensors, 0, 4)) + head);
    expect(run.record.trained).toBe(4 * 2 * 2 * 2 * 32 + head); // layers, products, A and B, rank, hidden size
  });

  test("of lora on other products", async () => {
    const run = await trained("held", {
      ...given("lora"),
      k: ks("2"),
      lora_on: finetune.options.loraOn.read("output, intermediate"),
    });
    expect(run.record).toMatchObject({ fork: 2, layers: 2, options: { loraOn: "intermediate,output", rank: 2 } });
    expect(changed({ ...base.tensors, ...(await loadBranch(run, rte, base.config)) })).toEqual(
      [2, 3].flatMap((layer) =>
        ["intermediate", "output"].map((name) => `bert.encoder.layer.${layer}.${name}.dense.weight`),
      ),
    );
    expect(run.record.trained).toBe(2 * 2 * 2 * (32 + 64) + head);
  });

  test("of houlsby: two bottlenecks a layer, and trained norms", async () => {
    const run = await trained("held", given("houlsby"));
    const branch = await loadBranch(run, rte, base.config);
    expect(changed(branch).every((name) => name.includes("LayerNorm"))).toBe(true);
    expect(changed(branch)).toHaveLength(4 * 4);
    expect(Object.keys(branch).filter((name) => name.includes("_adapter."))).toHaveLength(4 * 2 * 4);
    const bottleneck = 2 * 3 * 32 + 3 + 32;
    expect(run.record.trained).toBe(4 * (2 * bottleneck + 4 * 32) + head);
    expect(count(branch)).toBe(count(layerTensors(base.tensors, 0, 4)) + 4 * 2 * bottleneck + head);
  });

  test("of pfeiffer: one bottleneck a layer, and nothing of the layers changed", async () => {
    const run = await trained("held", given("pfeiffer"));
    const branch = await loadBranch(run, rte, base.config);
    expect(changed(branch)).toEqual([]);
    expect(Object.keys(branch).filter((name) => name.includes("normed_adapter."))).toHaveLength(4 * 4);
    expect(run.record.trained).toBe(4 * (2 * 3 * 32 + 3 + 32) + head);
  });

  test("is counted in a plan: what is trained, and as frozen the layers beside it", async () => {
    for (const method of names) {
      const run = await trained("held", given(method));
      const [planned] = (await planSweep(sweepIn("plan", given(method)))).trials;
      const [tuned] = (await planSweep(sweepIn("plan", { k: ks("4") }))).trials;
      expect(planned?.trainable).toBe(run.record.trained);
      const branch = await loadBranch(run, rte, base.config);
      expect(planned?.stored).toBe(count(branch));
      expect(planned?.frozen).toBe((tuned?.frozen as number) + count(layerTensors(base.tensors, 0, 4)));
      expect(planned?.flops).toBeLessThan(tuned?.flops as number);
    }
  });

  test("with other small tensors than its run.json says is no branch of it", async () => {
    const run = await trained("held", given("houlsby"));
    const options = { ...run.record.options, adapterSize: 4 };
    await expect(loadBranch({ ...run, record: { ...run.record, options } }, rte, base.config)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(
        /does not fit its run\.json: \S+_adapter\.down\.weight is float32 \[3,32\], not float32 \[4,32\]/,
      ),
    });
  });
});

describe("merged", () => {
  const rows = Array.from({ length: 9 }, (_, i) => ({
    text: `the ${i % 2 ? "good" : "dull"} film was long`,
    pair: `a book${" not bright".repeat(i)}`,
  }));
  const taskNames = ["rte"];

  async function logitsOf(place: string, engine: Engine, weights: "float32" | "int8" = "float32"): Promise<number[]> {
    const model = await openModel(place, engine, { taskOf, names: taskNames, weights });
    const [task] = model.tasks as [ServedTask];
    const { rte: found } = await computeLogits(model, rows, [task], quietContext(engine).context);
    model.dispose();
    return rows.flatMap((_, i) => Array.from(found?.of(i) ?? []));
  }
  const largest = (values: readonly number[], others: readonly number[]) =>
    values.reduce((most, value, i) => Math.max(most, Math.abs(value - (others[i] as number))), 0);

  test.each(names)("%s beside a branch of another task answers as its run does, in int8 nearly so", async (method) => {
    const [eager, { engine: onnx }] = [await wasm(), await openEngine("onnx", { threads: 1 })];
    const run = await trained("merging", given(method));
    const request = { task: sst2, base, seeds: [1], training, run: at("merging"), places: [placeOf(4, 2)] };
    const [other] = (await finetunePlaces(request, quietContext(eager).context)) as [StoredRun];
    const out = path.join(folder, `merged-${method}`);
    const selections = [
      { task: rte, run },
      { task: sst2, run: other },
    ];
    // The graph of all tasks is compared with each branch alone before it is kept.
    const { signal } = new AbortController();
    const open = onnxFileOpener({ threads: 1 });
    const check = { engine: eager, open, signal, glueData: at("").glueData, taskOf, warn: () => undefined };
    const { manifest } = await merge({ out, base, selections, allowUnshared: false, onnx: { check } });
    expect(manifest.tasks.map(({ fork, layers, adapter }) => [fork, layers, adapter])).toEqual([
      [0, 4, { method, trained: run.record.trained }],
      [2, 2, undefined],
    ]);
    const held = Object.values(await loadBranch(run, rte, base.config)).reduce((sum, { data }) => sum + data.length, 0);
    const outline = outlineModel(manifest, base.config);
    const [outlined] = outline.tasks;
    expect(savings(manifest, base.config).parameters).toBe(outline.parameters);
    expect(outlined).toMatchObject({ name: "rte", parameters: held, adapter: { method, trained: run.record.trained } });
    expect(modelCard(manifest)).toContain(`rte: ${method}, `);
    const alone = await logitsOf(run.folder, eager);
    for (const engine of [eager, onnx]) expect(largest(await logitsOf(out, engine), alone)).toBeLessThan(1e-5);
    const { reporter } = quietContext(onnx).context;
    await quantiseFolder({
      ...{ engine: onnx, signal, reporter, maxDrop: 100, glueData: at("").glueData, maxRows: undefined },
      ...{ skipBroken: false, maxBroken: 0, folder: out, note: null },
      rowsOf: async ({ name }) => ({ source: "dev", definition: taskOf(name), some: [] }),
    });
    const int8 = await logitsOf(out, onnx, "int8");
    expect(largest(int8, alone)).toBeLessThan(0.1);
    expect(largest(int8, alone)).toBeGreaterThan(0);
    onnx.dispose();
  });
});

describe("a run of frozen layers is no teacher", () => {
  test("it stands apart from those that are, and is merged by its method's name alone", async () => {
    const lora = await trained("apart", given("lora"));
    const shallow = await trained("apart", { ...given("lora"), k: ks("1") });
    const found = async () => ({
      task: "rte",
      ...(await taskRuns(recipes, at("apart").checkpoints, base.name, "rte")),
    });
    const only = await found();
    expect([only.teachers, only.adapted.length]).toEqual([[], 2]);
    expect(() => selectRun(only, "student", "max")).toThrow(
      "rte has no finished run whose layers were trained. Run: flexbert finetune --task rte, or give --select rte=lora to take one of frozen layers",
    );
    expect(() => selectRun(only, "houlsby", "max")).toThrow(
      "rte has no finished run of houlsby. Run: flexbert finetune --task rte --method houlsby",
    );
    const [teacher] = (await finetunePlaces(
      {
        task: rte,
        base,
        seeds: [1],
        training: { ...training, learningRate: 0 },
        run: at("apart"),
        places: [placeOf(4, 1)],
      },
      quietContext(await wasm()).context,
    )) as [StoredRun];
    const all = await found();
    for (const choice of ["student", "teacher", "best"] as const)
      expect(selectRun(all, choice, "max").folder).toBe(teacher.folder);
    const best = [shallow, lora].reduce((a, b) => ((b.record.score as number) > (a.record.score as number) ? b : a));
    expect(selectRun(all, "lora", "max").record.score).toBe(best.record.score);
    expect(leftOut(all, "max")).toEqual(["2 runs of lora left out: --select lora takes the best"]);
  });
});

describe("--method", () => {
  test("leaves trained layers as they are, and takes all layers where --k says nothing", () => {
    expect(variants({ k: ks("1-2") })).toEqual(variants({ k: ks("1-2"), method: "flexbert" }));
    expect(variants({ k: ks("1-2") })[0]).toEqual({ place: { fork: 2, layers: 2 }, options: {} });
    const lora = { method: "lora", rank: 8, loraAlpha: 8, loraOn: "query,value" };
    const whole = [{ place: { fork: 0, layers: 4 }, options: lora }];
    for (const k of [undefined, ks("4"), ks("full"), ks("4,full")])
      expect(variants({ method: "lora", k })).toEqual(whole);
    expect(variants({ method: "pfeiffer", k: ks("1,3") }).map(({ place }) => place)).toEqual([
      placeOf(4, 3),
      placeOf(4, 1),
    ]);
  });

  test.each(names)("%s: a trial's config asks for the same trial again, by a name with its size", (method) => {
    const [variant] = variants({ ...given(method), k: ks("2") }) as [Variant];
    const { config, name, label } = finetune.describe(variant);
    const {
      rank,
      loraAlpha: lora_alpha,
      loraOn: lora_on,
      adapterSize: adapter_size,
    } = variant.options as Record<string, unknown>;
    const again = { method, k: ks(String(config["k"])), rank, lora_alpha, lora_on, adapter_size };
    expect(variants(again)).toEqual([variant]);
    const size = method === "lora" ? "r2" : "m3";
    expect([name, label]).toEqual([`k02-${method}-${size}`, `k=2 ${method} ${size}`]);
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ rank: 4 }, /^--rank: it is an option of --method lora\. Leave it out, or give that method/],
    [{ method: "houlsby", lora_alpha: 4 }, /^--lora-alpha: it is an option of --method lora/],
    [{ method: "lora", adapter_size: 4 }, /^--adapter-size: it is an option of --method houlsby and pfeiffer/],
    [{ method: "lora", search: "halving" }, /^--search halving: it compares the k of trained layers/],
  ])("%j is refused", (asked, message) => {
    expect(() => variants(asked)).toThrow(message);
  });

  test("refuses a family whose layers take no small tensors by its name, in a plan too", async () => {
    for (const family of familyNames) {
      const other = tinyFamilyBase(family, `tiny-${family}`);
      const planned = planSweep({ ...sweepIn("families", given("lora")), base: other });
      if (["mobilebert", "modernbert"].includes(family)) {
        await expect(planned).rejects.toMatchObject({
          exitCode: 4,
          message: expect.stringMatching(
            /^--method lora: layers of Mod?\w+BERT take no small tensors; those of BERT, .* do\./,
          ),
        });
      } else await expect(planned).resolves.toMatchObject({ trials: [{ layers: 4 }] });
    }
  });
});
