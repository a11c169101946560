// Students on any fork, trained on a tiny base: where they begin, what is computed once for all of them, merged beside
// branches of other forks. Stopped and resumed they are in forks.slow.test.ts. What they are called is in trial/trial.test.ts.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { encodeExamples } from "../../src/batches/rows";
import { tokenInputs } from "../../src/batches/token-inputs";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { loadBranch, modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { readSplit } from "../../src/data/read-split";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { branchLogits } from "../../src/model/branch";
import { type Place, type PlaceRequest, placeOf } from "../../src/model/place";
import type { HostTensors } from "../../src/model/tensors";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel } from "../../src/predict/model";
import type { Recipe, Variant } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { runSweep, type Sweep } from "../../src/recipes/sweep";
import { planSweep } from "../../src/recipes/sweep-plan";
import { branchOfBase, studentOfTeacher } from "../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../src/tasks/glue";
import { headOf, type Task } from "../../src/tasks/task";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import type { RunContext } from "../../src/training/tracking/tracker";
import { describeEachEngine } from "../engines/engines";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("tiny-forks", { dropout: 0.1 });
const training = { ...tinyTraining, epochs: 1 };
beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  writeTinyGlue(path.join(folder, "glue"));
  await writeBase(base, cachedFolder(base.name));
});

const at = (checkpoints: string) => ({ ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) });
const wasm = async () => (await openEngine("wasm", {})).engine;

const student = (fork: PlaceRequest["fork"], layers: number, more: Partial<Variant> = {}): Variant => ({
  ...{ place: { fork, layers }, init: "teacher", options: { temperature: 2, alpha: 0.5 } },
  ...more,
});

async function teacherIn(checkpoints: string, k: number | "full", task: Task = glueTasks.rte): Promise<StoredRun> {
  const places = [placeOf(base.config.numHiddenLayers, k)];
  const { context } = quietContext(await wasm());
  const [teacher] = await finetune({ task, base, seeds: [1], training, run: at(checkpoints), places }, context);
  return teacher as StoredRun;
}

const sweepIn = (checkpoints: string, teacher: StoredRun, variants: readonly Variant[], more: Partial<Sweep> = {}) => ({
  ...{ recipe: recipes.distill as Recipe, task: glueTasks.rte, base, seeds: [1], training, run: at(checkpoints) },
  ...{ teacher, variants },
  ...more,
});

const placesOfRuns = (runs: readonly StoredRun[]) => runs.map(({ record }) => [record.fork, record.layers]);

describe("where they begin", () => {
  /** With a rate of 0 a run ends as it began. */
  const still = { ...training, learningRate: 0 };
  const head = headOf(glueTasks.rte, base.config);

  test.each<[number | "full", Variant]>([
    [2, student(1, 2)],
    [2, student(3, 1)],
    [2, student(0, 2, { initLayers: "top" })],
    [2, student(1, 1, { initLayers: "spread" })],
    [3, student("teacher", 2)],
    ["full", student(2, 1)],
  ])("k = %s: %j", async (k, variant) => {
    const teacher = await teacherIn("still", k);
    const { context } = quietContext(await wasm());
    const [run] = await runSweep(sweepIn("still", teacher, [variant], { training: still }), context);
    if (!run) throw new Error("one run was expected");
    const placed = { branch: await loadBranch(teacher, glueTasks.rte, base.config), place: teacher.record };
    const expected = studentOfTeacher(placed, base, run.record, head, variant.initLayers);
    const branch = await loadBranch(run, glueTasks.rte, base.config);
    expect(Object.keys(branch).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { data }] of Object.entries(expected)) expect(branch[name]?.data).toEqual(data);
  });

  test("as the base's layers at their depth with --init pretrained", async () => {
    const teacher = await teacherIn("still", 2);
    const { context } = quietContext(await wasm());
    const variant = student(1, 2, { init: "pretrained" });
    const [run] = await runSweep(sweepIn("still", teacher, [variant], { training: still }), context);
    const expected = branchOfBase(base, { fork: 1, layers: 2 }, head, 1);
    const branch = await loadBranch(run as StoredRun, glueTasks.rte, base.config);
    for (const [name, { data }] of Object.entries(expected)) expect(branch[name]?.data).toEqual(data);
  });
});

/** A context that notes every pass over the rows by its name. */
async function noting(): Promise<{ context: RunContext<Engine>; passes: string[]; lines: string[] }> {
  const { context, lines } = quietContext(await wasm());
  const passes: string[] = [];
  const reporter = {
    ...context.reporter,
    progress: (label: string, total: number) => {
      passes.push(label);
      return context.reporter.progress(label, total);
    },
  };
  return { context: { ...context, reporter }, passes, lines };
}

describe("what is computed once", () => {
  test("by students that are taught differently: outputs once for each, the frozen layers once for all", async () => {
    const teacher = await teacherIn("lessons", 2);
    const { context, passes, lines } = await noting();
    const matching = { options: { temperature: 2, alpha: 0.5, match: "tokens" } };
    const variants = [student(1, 1), student(1, 1, matching), student(3, 1), student(3, 1, matching)];
    const runs = await runSweep(sweepIn("lessons", teacher, variants), context);
    expect(runs.map(({ record: { fork, options } }) => [fork, options["match"] ?? null])).toEqual([
      [1, null],
      [3, null],
      [1, "tokens"],
      [3, "tokens"],
    ]);
    const frozen = passes.filter((label) => /^rte train: (embeddings|frozen)/.test(label));
    expect(frozen.map((label) => label.replace(/ of .*/, ""))).toEqual(
      ["embeddings", "frozen layer 1", "frozen layer 2", "frozen layer 3"].map((pass) => `rte train: ${pass}`),
    );
    expect(lines.filter((line) => /computing the teacher's outputs/.test(line))).toHaveLength(2);
  });

  const variants = [student(3, 1), student(1, 1), student("teacher", 1), student(2, 1), student(1, 2), student(0, 2)];

  test.each([
    ["memory", 1e9],
    ["disk", 0],
  ])("each frozen layer a split, under all forks and the teacher's, and its outputs: in %s", async (place, budget) => {
    const teacher = await teacherIn("once", 2); // fork 2
    const { context, passes, lines } = await noting();
    const run = { ...at(`once-${place}`), cacheBudget: budget };
    const runs = await runSweep(sweepIn("", teacher, variants, { run }), context);
    expect(placesOfRuns(runs)).toEqual([
      ...[0, 1, 1, 2, 3].map((fork, i) => [fork, [2, 1, 2, 1, 1][i]]), // the teacher's fork was asked for twice
    ]);
    for (const split of ["train", "dev"]) {
      expect(
        passes
          .filter((label) => label.startsWith(`rte ${split}: `) && !label.endsWith("outputs"))
          .map((label) => label.replace(/ of .*/, "")),
      ).toEqual(
        ["embeddings", "frozen layer 1", "frozen layer 2", "frozen layer 3"].map((pass) => `rte ${split}: ${pass}`),
      );
    }
    expect(lines.filter((line) => /computing the teacher's outputs/.test(line))).toHaveLength(1);
    expect(lines.join("\n")).toMatch(place === "disk" ? /on disk.*and kept under 2 forks/ : /in memory.*2 forks/);
  });

  test("and gives the bytes of each student alone", async () => {
    const teacher = await teacherIn("once", 2);
    for (const variant of variants) {
      const { context } = quietContext(await wasm());
      const [alone] = await runSweep(sweepIn("alone", teacher, [variant]), context);
      const name = path.relative(path.join(folder, "alone"), (alone as StoredRun).folder);
      for (const place of ["memory", "disk"]) {
        const together = path.join(folder, `once-${place}`, name);
        expect(readFileSync(modelFile(together))).toEqual(readFileSync(modelFile((alone as StoredRun).folder)));
      }
    }
  });

  test("the plan counts the trunk once, up to the deepest fork, and what is kept of it", async () => {
    const teacher = await teacherIn("once", 2);
    const of = async (some: readonly Variant[]) => planSweep(sweepIn("planned", teacher, some));
    const [deep, all] = [await of([student(3, 1)]), await of(variants)];
    expect(deep.trials.map(({ fork, layers }) => [fork, layers])).toEqual([[3, 1]]);
    expect(all.trunkFlops).toBe(deep.trunkFlops);
    expect(all.cacheBytes).toBe(3 * deep.cacheBytes); // forks 0 and 1, and where the trunk stands
    expect((await of([student(0, 1)])).trunkFlops).toBeCloseTo((2 / 3) * deep.trunkFlops, 0);
  });
});

test("a student that is no smaller than its teacher is not made, and that is said with both places", async () => {
  const teacher = await teacherIn("kept", 2);
  const { context, lines } = quietContext(await wasm());
  expect(await runSweep(sweepIn("kept", teacher, [student(1, 3)]), context)).toEqual([]);
  expect(lines).toEqual([
    "rte: its teacher has 2 layers above fork 2, no more than a student of 3 above fork 1: it keeps its teacher",
  ]);
});

test("a full teacher's students stand on forks of their own; on its own there is no place", async () => {
  const teacher = await teacherIn("full", "full");
  const { context } = quietContext(await wasm());
  const runs = await runSweep(sweepIn("full", teacher, [student(2, 1), student(0, 4)]), context);
  expect(placesOfRuns(runs)).toEqual([
    [0, 4],
    [2, 1],
  ]);
  await expect(runSweep(sweepIn("full", teacher, [student("teacher", 1)]), context)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(
      /shares no trunk, and no student stands on its fork\. Give --student-forks such as 2-4/,
    ),
  });
});

describeEachEngine("students of several tasks on several forks", (open) => {
  test("merged, give the logits of each alone", async () => {
    const engine = await open();
    const places: Readonly<Record<string, Place>> = {
      sst2: { fork: 0, layers: 2 },
      rte: { fork: 3, layers: 1 },
      stsb: { fork: 1, layers: 2 },
    };
    const selections = [];
    for (const task of tinyTasks) {
      const teacher = await teacherIn("merged", 2, task);
      const { fork, layers } = places[task.name] as Place;
      const { context } = quietContext(await wasm());
      const [run] = await runSweep(sweepIn("merged", teacher, [student(fork, layers)], { task }), context);
      selections.push({ task, run: run as StoredRun });
    }
    const out = path.join(folder, "merged-model");
    const { manifest } = await merge({ out, base, selections, allowUnshared: false, onnx: null });
    expect(manifest.trunk).toHaveLength(3);
    expect(manifest.tasks.map(({ name, fork, layers }) => [name, fork, layers])).toEqual([
      ["rte", 3, 1],
      ["sst2", 0, 2],
      ["stsb", 1, 2],
    ]);
    const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
    const model = await openModel(out, engine, { taskOf });
    const { signal } = new AbortController();
    const options = { split: "dev" as const, glueData: path.join(folder, "glue"), skipBroken: false, signal };
    for (const { task, run } of selections) {
      const alone = await openModel(run.folder, engine, { taskOf });
      const [a, b] = [await evaluateTask(model, task, options), await evaluateTask(alone, task, options)];
      alone.dispose();
      expect(a.logits.data).toHaveLength(b.logits.data.length);
      for (const [i, logit] of a.logits.data.entries()) {
        expect(Math.abs(logit - (b.logits.data[i] as number))).toBeLessThan(1e-5);
      }
      expect(a.score).toBeCloseTo(run.record.score as number, 4);
    }
    model.dispose();
  });
});

test("its logits are those of the base's embeddings, its layers under the fork, and the student's own above", async () => {
  const teacher = await teacherIn("forward", 2);
  const engine = await wasm();
  const { context } = quietContext(engine);
  const [run] = await runSweep(sweepIn("forward", teacher, [student(1, 2)]), context);
  if (!run) throw new Error("one run was expected");
  // The same as one encoder of three layers over token ids: no fork, no cache, nothing of the trunk's code.
  const own = await loadBranch(run, glueTasks.rte, base.config);
  const whole: HostTensors = { ...base.tensors, ...own };
  const place: Place = { fork: null, layers: 3 };
  const glueData = path.join(folder, "glue");
  const { examples } = await readSplit(glueTasks.rte, "dev", { glueData });
  const rows = encodeExamples(glueTasks.rte, examples, createTokenizer(base.tokenizer), 32);
  const batch = { rows: [0, 1], length: 32 };
  const logits = tf.tidy(() => {
    const tensors = (host: HostTensors) =>
      Object.fromEntries(
        Object.entries(host).map(([name, { data, shape, dtype }]) => [
          name,
          tf.tensor(data as Float32Array, [...shape], dtype as "float32"),
        ]),
      );
    const inputs = tensors(tokenInputs(rows, batch, 2, base.config)) as unknown as Parameters<typeof branchLogits>[1];
    return branchLogits(tensors(whole), inputs, place, base.config).dataSync();
  });
  const model = await openModel(run.folder, engine, { taskOf: () => glueTasks.rte });
  const { signal } = new AbortController();
  const served = await evaluateTask(model, glueTasks.rte, { split: "dev", glueData, skipBroken: false, signal });
  expect(logits).toHaveLength(4);
  for (const [i, value] of logits.entries()) expect(served.logits.data[i]).toBeCloseTo(value, 5);
  model.dispose();
});
