// Whole students of each method of `distill --method`, on a tiny base: what they begin as, that they go on where they were stopped to
// the bytes of one left alone, what a plan says of them, and that nothing takes one for a branch on the trunk.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { loadBranch, modelFile, readRecord, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { overhead } from "../../src/model/overhead";
import { embeddingTensors, layerTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import type { HostTensors } from "../../src/model/tensors";
import type { K } from "../../src/options/layers";
import { layerRange } from "../../src/options/layers";
import { settingsFrom } from "../../src/options/settings";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel } from "../../src/predict/model";
import { distill } from "../../src/recipes/distill";
import { methods } from "../../src/recipes/methods/methods";
import type { Variant } from "../../src/recipes/recipe";
import { runSweep, type Sweep } from "../../src/recipes/sweep";
import { planSweep } from "../../src/recipes/sweep-plan";
import { glueTasks } from "../../src/tasks/glue";
import { headOf, type Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { finetune, layersOf } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "../tiny";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const base = tinyBase("tiny-whole", { dropout: 0.1 });
const training = { ...tinyTraining, epochs: 2 };
beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  writeTinyGlue(path.join(folder, "glue"), 30, 8);
  await writeBase(base, cachedFolder(base.name));
});

const names = [...methods.keys()];
const wasm = async () => (await openEngine("wasm", {})).engine;
const at = (checkpoints: string) => ({ ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) });

type Values = Parameters<typeof distill.settings>[0];
const values = (given: Readonly<Record<string, unknown>>) =>
  settingsFrom(distill.options, {
    student_layers: layerRange({ full: false })("2"),
    ...given,
  }) as Values;
const variants = (given: Readonly<Record<string, unknown>>): Variant[] => distill.settings(values(given), layersOf(4));

async function teacherIn(checkpoints: string, k: K, task: Task = glueTasks.rte): Promise<StoredRun> {
  const request = { task, base, seeds: [1], training, run: at(checkpoints), places: [placeOf(4, k)] };
  const [teacher] = await finetune(request, quietContext(await wasm()).context);
  return teacher as StoredRun;
}

const sweepIn = (checkpoints: string, teacher: StoredRun, given: Readonly<Record<string, unknown>>): Sweep => ({
  ...{ recipe: distill, task: glueTasks.rte, base, seeds: [1], training, run: at(checkpoints) },
  ...{ teacher, variants: variants(given) },
});

const bytesOf = (run: StoredRun | undefined) => readFileSync(modelFile((run as StoredRun).folder));

describeEachEngine("whole students", (open, name) => {
  test.each(names)("taught by %s are trained and answer as they were scored", async (method) => {
    const engine = await open();
    const teacher = await teacherIn("teachers", 3);
    const before = engine.tensorCount();
    const { context } = quietContext(engine);
    const [run] = (await runSweep(sweepIn(`trained-${name}`, teacher, { method }), context)) as [StoredRun];
    expect(engine.tensorCount()).toBe(before);
    expect(run.record).toMatchObject({
      ...{ state: "finished", fork: null, full: true, layers: 2, teacher: { sha256: teacher.record.sha256 } },
      options: { method },
    });
    expect(await readRecord(run.folder)).toMatchObject({ id: run.record.id });
    const model = await openModel(run.folder, engine, { taskOf: () => glueTasks.rte });
    const options = { split: "dev", glueData: path.join(folder, "glue"), skipBroken: false } as const;
    const { score } = await evaluateTask(model, glueTasks.rte, { ...options, signal: context.signal });
    model.dispose();
    expect(score).toBeCloseTo(run.record.score as number, 4);
  });

  test.each(["vanilla-kd", "tinybert", "theseus"])(
    "taught by %s: stopped in either stage and resumed",
    async (method) => {
      const engine = await open();
      const teacher = await teacherIn("teachers", 3);
      const [alone] = await runSweep(sweepIn(`trained-${name}`, teacher, { method }), quietContext(engine).context);
      // 30 rows in batches of 8, twice: the fifth step begins the second stage.
      for (const step of [2, 7]) {
        const abort = new AbortController();
        const stopping = {
          ...quietContext(engine).context,
          signal: abort.signal,
          reporter: stopAt(step, /l=2/, abort),
        };
        const sweep = sweepIn(`resumed-${name}-${step}`, teacher, { method });
        await expect(runSweep(sweep, stopping)).rejects.toMatchObject({
          message: expect.stringContaining(`the state is saved in`),
        });
        const [resumed] = await runSweep(sweep, quietContext(engine).context);
        expect(bytesOf(resumed)).toEqual(bytesOf(alone));
      }
    },
  );
});

describe("a whole student", () => {
  /** What a student is before its first step: a learning rate of 0 leaves it so. */
  async function startOf(teacher: StoredRun, given: Readonly<Record<string, unknown>>): Promise<HostTensors> {
    const sweep = { ...sweepIn("starts", teacher, given), training: { ...training, epochs: 1, learningRate: 0 } };
    const [run] = (await runSweep(sweep, quietContext(await wasm()).context)) as [StoredRun];
    return loadBranch(run, glueTasks.rte, base.config);
  }
  const layer = (tensors: HostTensors, from: number) =>
    Object.fromEntries(
      Object.entries(layerTensors(tensors, from, from + 1)).map(([name, { data }]) => [
        name.replace(`layer.${from}.`, "layer."),
        data,
      ]),
    );
  const head = headOf(glueTasks.rte, base.config).map(({ name }) => name);
  const heads = (tensors: HostTensors) => head.map((name) => tensors[name]?.data);

  test("begins as named layers of its teacher, with what is frozen under these, or of the base", async () => {
    const teacher = await teacherIn("teachers", 3);
    const branch = await loadBranch(teacher, glueTasks.rte, base.config);
    const own = await startOf(teacher, { method: "distilbert" });
    expect(Object.keys(own)).toHaveLength(
      Object.keys({ ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, 2) }).length + head.length,
    );
    expect(embeddingTensors(own)).toEqual(embeddingTensors(base.tensors));
    expect([layer(own, 0), layer(own, 1)]).toEqual([layer(base.tensors, 0), layer(branch, 3)]); // spread over 4: 0 and 3
    expect(heads(own)).toEqual(heads(branch));
    const bottom = await startOf(teacher, { method: "distilbert", init_layers: "bottom" });
    expect([layer(bottom, 0), layer(bottom, 1)]).toEqual([layer(base.tensors, 0), layer(branch, 1)]);
    const first = await startOf(teacher, { method: "pkd" });
    expect([layer(first, 0), layer(first, 1)]).toEqual([layer(base.tensors, 0), layer(base.tensors, 1)]);
    const top = await startOf(teacher, { method: "pkd", init_layers: "top" });
    expect([layer(top, 0), layer(top, 1)]).toEqual([layer(base.tensors, 2), layer(base.tensors, 3)]);
    expect(heads(top)).toEqual(heads(first));
  });

  test("of a teacher whose every layer was trained begins as that, embeddings and all", async () => {
    const teacher = await teacherIn("full", "full");
    const branch = await loadBranch(teacher, glueTasks.rte, base.config);
    const own = await startOf(teacher, { method: "vanilla-kd", init: "teacher" });
    expect(embeddingTensors(own)).toEqual(embeddingTensors(branch));
    expect([layer(own, 0), layer(own, 1)]).toEqual([layer(branch, 0), layer(branch, 1)]);
  });

  test("of theseus keeps its teacher's embeddings and head, and learns layers", async () => {
    const teacher = await teacherIn("full", "full");
    const branch = await loadBranch(teacher, glueTasks.rte, base.config);
    const run = (await trained("theseus", teacher)) as StoredRun;
    const own = await loadBranch(run, glueTasks.rte, base.config);
    expect(embeddingTensors(own)).toEqual(embeddingTensors(branch));
    expect(heads(own)).toEqual(heads(branch));
    for (const index of [0, 1]) expect(layer(own, index)).not.toEqual(layer(branch, index));
  });

  test("is not made with as many layers as its teacher has in all", async () => {
    const teacher = await teacherIn("teachers", 3);
    const { context, lines } = quietContext(await wasm());
    const sweep = sweepIn("none", teacher, { method: "pkd", student_layers: layerRange({ full: false })("4") });
    expect(await runSweep(sweep, context)).toEqual([]);
    expect(lines.join("\n")).toContain("rte: its teacher has 4 layers in all, no more than a whole student of 4");
  });

  test("is in a plan with all its parameters, none frozen, and with its teacher's work where steps run it", async () => {
    const teacher = await teacherIn("teachers", 3);
    const plan = async (given: Readonly<Record<string, unknown>>) => planSweep(sweepIn("plan", teacher, given));
    const [outputs, layers] = [await plan({ method: "vanilla-kd" }), await plan({ method: "tinybert" })];
    const [one, other] = [outputs.trials[0], layers.trials[0]];
    const stored = await loadBranch((await trained("tinybert", teacher)) as StoredRun, glueTasks.rte, base.config);
    const parameters = Object.values(stored).reduce((sum, { data }) => sum + data.length, 0);
    expect(one).toMatchObject({ fork: null, layers: 2, frozen: 0, trainable: parameters });
    expect(other?.flops).toBeGreaterThan(1.5 * (one?.flops as number));
    expect(other?.memoryBytes).toBeGreaterThan(one?.memoryBytes as number);
    // Its teacher stands on a trunk, which runs once.
    expect(outputs.trunkFlops).toBeGreaterThan(0);
  });

  const trained = async (method: string, teacher: StoredRun, more: Readonly<Record<string, unknown>> = {}) =>
    (await runSweep(sweepIn("one", teacher, { method, ...more }), quietContext(await wasm()).context))[0];

  test("merges only where it may share nothing, beside branches, and is served as it is", async () => {
    const [rte, sst2] = [await teacherIn("teachers", 3), await teacherIn("teachers", 2, glueTasks.sst2)];
    const student = (await trained("distilbert", rte)) as StoredRun;
    const selections = [
      { task: glueTasks.rte, run: student },
      { task: glueTasks.sst2, run: sst2 },
    ];
    const into = (out: string, allowUnshared: boolean) =>
      merge({ out: path.join(folder, out), base, selections, allowUnshared, onnx: null });
    await expect(into("refused", false)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(
        /is a whole student with embeddings of its own, so it shares no layer: merging it costs 2 layers\. Distil rte without --method/,
      ),
    });
    const { manifest } = await into("merged", true);
    expect(manifest.tasks.map(({ fork, layers }) => [fork, layers])).toEqual([
      [null, 2],
      [2, 2],
    ]);
    expect(overhead(manifest)).toEqual({ layers: 2 + 2 + 2, shared: 2, share: 6 / 8 });
    const { context } = quietContext(await wasm());
    const options = { split: "dev", glueData: path.join(folder, "glue"), skipBroken: false } as const;
    const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
    const model = await openModel(path.join(folder, "merged"), context.engine, { taskOf });
    const { score } = await evaluateTask(model, glueTasks.rte, { ...options, signal: context.signal });
    model.dispose();
    expect(score).toBeCloseTo(student.record.score as number, 4);
  });
});

describe("--method", () => {
  test("leaves flexbert's own students as they are, and has its options in the trials of the others", () => {
    expect(variants({})).toEqual(variants({ method: "flexbert" }));
    expect(variants({})[0]?.options).toEqual({ temperature: 2, alpha: 0.5 });
    const [pkd] = variants({ method: "pkd" }) as [Variant];
    expect(pkd).toEqual({
      ...{ place: { fork: null, layers: 2 }, init: "pretrained" },
      options: { temperature: 2, alpha: 0.5, method: "pkd", beta: 100, layerMap: "skip" },
    });
    expect(variants({ method: "minilm", first_stage: 0.3, beta: 2 })[0]?.options).toMatchObject({
      firstStage: 0.3,
      beta: 2,
    });
    expect(variants({ method: "theseus" })[0]).toMatchObject({
      init: "teacher",
      options: { method: "theseus", firstStage: 0.5, replacing: "linear", replacingRate: 0.3 },
    });
    expect(variants({ method: "theseus", replacing: "constant" })[0]?.options).toMatchObject({ replacingRate: 0.5 });
    const sizes = variants({ method: "vanilla-kd", student_layers: layerRange({ full: false })("1-3") });
    expect(sizes.map(({ place }) => place.layers)).toEqual([3, 2, 1]);
  });

  test.each(names)("%s: a trial's config asks for the same trial again", (method) => {
    for (const init_layers of ["bottom", "top", "spread", undefined]) {
      const [variant] = variants({ method, ...(init_layers ? { init_layers } : {}) }) as [Variant];
      const { config, name } = distill.describe(variant);
      const given = { ...config, ...variant.options } as Record<string, unknown>;
      const keys = { init: given["init"], init_layers: given["initLayers"], beta: given["beta"] };
      const rest = {
        ...{ layer_map: given["layerMap"], first_stage: given["firstStage"] },
        ...{ replacing: given["replacing"], replacing_rate: given["replacingRate"] },
      };
      expect(variants({ method, ...keys, ...rest })).toEqual([variant]);
      expect(name).toContain(`l2-${method}-`);
    }
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ method: "pkd", match: "cls" }, /^--match: a student of --method pkd is a whole encoder/],
    [{ method: "pkd", teachers: 2 }, /^--teachers: /],
    [{ method: "distilbert", layer_map: "last" }, /^--layer-map: distilbert leaves no choice of layers/],
    [{ method: "pkd", first_stage: 0.2 }, /^--first-stage: pkd has one stage/],
    [{ method: "vanilla-kd", beta: 2 }, /^--beta: vanilla-kd compares no layers/],
    [{ method: "theseus", alpha: 0.9 }, /^--alpha: theseus learns labels alone/],
    [{ method: "theseus", init: "pretrained" }, /^--init pretrained: a student of --method theseus has its teacher's/],
    [{ method: "tinybert", replacing_rate: 0.4 }, /^--replacing-rate: tinybert puts no layer in its teacher's place/],
    [{ beta: 2 }, /^--beta: it is an option of --method's other than flexbert/],
    [
      { method: "pkd", student_layers: layerRange({ full: false })("1-2") },
      /^--student-layers 1-2: pkd compares layers under a student's top one. Give at least 2/,
    ],
  ])("%j is refused", (given, message) => {
    expect(() => variants(given)).toThrow(message);
  });

  test("patience would end in the first stage", async () => {
    const teacher = await teacherIn("teachers", 3);
    const sweep = { ...sweepIn("patience", teacher, { method: "minilm" }), training: { ...training, patience: 1 } };
    await expect(runSweep(sweep, quietContext(await wasm()).context)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(
        /^--patience 1: dev scores of the first stage of minilm say nothing of its second/,
      ),
    });
  });
});
