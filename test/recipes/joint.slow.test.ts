// One model of several tasks that are trained together: it goes on where it was stopped to the bytes of one left alone, its folder is
// a base, its heads answer as they were scored, and they merge into a model that runs the base's layers once.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { openBase } from "../../src/checkpoints/bases/base";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { listRuns, methodFolder, modelFile, readRecord, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { overhead } from "../../src/model/overhead";
import { placeOf } from "../../src/model/place";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel } from "../../src/predict/model";
import { type JointRequest, planJoint, runJoint } from "../../src/recipes/joint";
import { estimateJoint } from "../../src/recipes/joint-plan";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "../tiny";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const base = tinyBase("tiny-joint", { dropout: 0.1 });
const { sst2, rte, stsb } = glueTasks;
beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  writeTinyGlue(path.join(folder, "glue"), 30, 8);
  await writeBase(base, cachedFolder(base.name));
});

const wasm = async () => (await openEngine("wasm", {})).engine;
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const request = (checkpoints: string, more: Partial<JointRequest> = {}): JointRequest => ({
  ...{ tasks: [sst2, rte, stsb], base, mixing: "size", training: tinyTraining, seed: 1 },
  ...{ run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) } },
  ...more,
});
const trained = async (asked: JointRequest, engine: Engine): Promise<StoredRun> =>
  runJoint(await planJoint(asked), quietContext(engine).context);

async function headOf({ folder: joint }: StoredRun, task: Task): Promise<StoredRun> {
  const [run] = await listRuns(methodFolder(path.dirname(joint), path.basename(joint), task.name, "finetune"));
  return run as StoredRun;
}
const bytesOf = ({ folder: of }: StoredRun) => readFileSync(modelFile(of));
const evaluation = { split: "dev", skipBroken: false, glueData: path.join(folder, "glue") } as const;

describeEachEngine("a joint model", (open, name) => {
  test("is a base with a head of each task, which answer as they were scored; nothing is left on the engine", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const run = await trained(request(`trained-${name}`), engine);
    expect(engine.tensorCount()).toBe(before);
    expect(run.record).toMatchObject({ state: "finished", method: "joint", fork: null, layers: 4, steps: 2 * 3 * 4 });
    const own = await openBase(run.folder);
    expect(own.config).toEqual(base.config);
    expect(own.sha256).not.toBe(base.sha256);
    expect(Object.keys(own.tensors).sort()).toEqual(Object.keys(base.tensors).sort());
    for (const task of [sst2, rte, stsb]) {
      const head = await headOf(run, task);
      expect(head.record).toMatchObject({ fork: 4, layers: 0, full: false, base: { sha256: own.sha256, layers: 4 } });
      expect(run.record.metrics[`${task.name}/${task.metric}`]).toBe(head.record.score);
      const model = await openModel(head.folder, engine, { taskOf, base: run.folder });
      const { signal } = quietContext(engine).context;
      const { score } = await evaluateTask(model, task, { ...evaluation, signal });
      model.dispose();
      expect(score).toBeCloseTo(head.record.score as number, 4);
    }
  });

  test("stopped in either epoch and resumed ends with the same bytes, heads too", async () => {
    const engine = await open();
    const alone = await trained(request(`trained-${name}`), engine);
    for (const step of name === "wasm" ? [5, 17] : [17]) {
      const abort = new AbortController();
      const reporter = stopAt(step, /together/, abort);
      const stopping = { ...quietContext(engine).context, signal: abort.signal, reporter };
      const asked = request(`resumed-${name}-${step}`);
      await expect(runJoint(await planJoint(asked), stopping)).rejects.toMatchObject({
        message: expect.stringContaining("the state is saved in"),
      });
      const resumed = await trained(asked, engine);
      expect(bytesOf(resumed)).toEqual(bytesOf(alone));
      for (const task of [sst2, rte, stsb]) {
        expect(bytesOf(await headOf(resumed, task))).toEqual(bytesOf(await headOf(alone, task)));
      }
    }
  });
});

describe("a joint model's run", () => {
  test("a task that it was not trained on gets a head alone over the frozen model", async () => {
    const engine = await wasm();
    const run = await trained(request("two", { tasks: [sst2, stsb] }), engine);
    const joint = await openBase(run.folder);
    const { run: places } = request("two");
    const [head] = await finetune(
      { task: rte, base: joint, seeds: [1], training: tinyTraining, run: places, places: [placeOf(4, 0)] },
      quietContext(engine).context,
    );
    expect(head?.record).toMatchObject({ method: "finetune", fork: 4, layers: 0, base: { sha256: joint.sha256 } });
    expect(path.dirname(path.dirname(path.dirname((head as StoredRun).folder)))).toBe(run.folder);
    const model = await openModel((head as StoredRun).folder, engine, { taskOf, base: run.folder });
    const { score } = await evaluateTask(model, rte, { ...evaluation, signal: quietContext(engine).context.signal });
    model.dispose();
    expect(score).toBeCloseTo(head?.record.score as number, 4);
  });

  test("its heads merge into one model that runs its layers once", async () => {
    const engine = await wasm();
    const run = await trained(request("again"), engine);
    const joint = await openBase(run.folder);
    const selections = [];
    for (const task of [sst2, rte, stsb]) selections.push({ task, run: await headOf(run, task) });
    const out = path.join(folder, "merged");
    const { manifest } = await merge({ out, base: joint, selections, allowUnshared: false, onnx: null });
    expect(overhead(manifest)).toEqual({ layers: 4, shared: 4, share: 4 / 12 });
    const model = await openModel(out, engine, { taskOf });
    for (const { task, run: head } of selections) {
      const { signal } = quietContext(engine).context;
      const { score } = await evaluateTask(model, task, { ...evaluation, signal });
      expect(score).toBeCloseTo(head.record.score as number, 4);
    }
    model.dispose();
  });

  test("is found again by everything that decides its weights, and by nothing else", async () => {
    const folderOf = async (more: Partial<JointRequest>) =>
      path.basename((await planJoint(request("ids", more))).trial.folder);
    const own = await folderOf({});
    expect(own).toMatch(/^joint-sst2\+rte\+stsb-seed1-[0-9a-f]{8}$/);
    expect(await folderOf({ run: { ...request("ids").run, saveEvery: 1 } })).toBe(own);
    const others = [
      { mixing: "sqrt" },
      { seed: 2 },
      { tasks: [rte, sst2, stsb] },
      { tasks: [sst2, rte] },
      { training: { ...tinyTraining, epochs: 3 } },
    ] as const;
    const found = await Promise.all(others.map(folderOf));
    expect(new Set([own, ...found]).size).toBe(6);
  });

  test("is not trained again once it is finished", async () => {
    const engine = await wasm();
    const asked = request("again");
    const first = await trained(asked, engine);
    const again = await trained(asked, engine);
    expect(again.record.finishedAt).toBe(first.record.finishedAt);
    expect(existsSync(path.join(first.folder, "state.safetensors"))).toBe(false);
    expect(await readRecord(first.folder)).toMatchObject({ id: first.record.id, metric: "average" });
  });

  test("is in a plan with the encoder once, an output layer a task, and its tasks' turns", async () => {
    const plan = await planJoint(request("again"));
    const { trainable, steps, memoryBytes, flops } = estimateJoint(plan);
    const run = await trained(request("again"), await wasm());
    const { tensors } = await openBase(run.folder);
    const encoder = Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
    expect(trainable).toBe(encoder + (2 + 2 + 1) * 16 + 2 + 2 + 1);
    expect(steps).toBe(run.record.steps);
    const alone = estimateJoint(await planJoint(request("again", { tasks: [sst2, rte] })));
    expect(flops).toBeGreaterThan(alone.flops);
    expect(memoryBytes).toBeGreaterThan(4 * 7 * encoder);
  });
});
