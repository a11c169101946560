// Early exits of int8 weights: a rule of their own, decided on what int8 says of dev rows, by which predict then leaves; none where no
// threshold keeps what was promised, and then it is said.

import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { int8Maker } from "../../src/api/merge/int8";
import { readSplit } from "../../src/data/read-split";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import type { DecidedExits } from "../../src/exits/exits";
import { readShared } from "../../src/merge/folder/blobs";
import { readManifest } from "../../src/merge/folder/version";
import { merge, type Selection } from "../../src/merge/merge";
import { exitRules } from "../../src/predict/exits";
import { openModel, type ServedModel } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import { int8Pieces } from "../../src/predict/segments/int8-pieces";
import { openSegments } from "../../src/predict/segments/segments";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { engineAbsence } from "../engines/engines";
import { tinyRule, withTinyRamps } from "../ramps";
import { unless } from "../skips";
import { quietContext, temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTinyTwice } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-int8-exits", { hidden: 32 });
const place = (name: string) => path.join(folder, name);
let engine: Engine;
let early: Selection;
let value: Selection;
let rte: Selection;

const absence = engineAbsence("onnx");

beforeAll(async () => {
  if (absence !== null) return;
  // What is measured is what is stored, whatever the processor makes of products of bytes.
  engine = { ...(await openEngine("onnx", { threads: 1 })).engine, saturates: async () => false };
  const trained = await trainTinyTwice(folder, base);
  rte = trained.rte;
  early = await withTinyRamps(folder, base, trained.sst2);
  value = await withTinyRamps(folder, base, trained.stsb, { ...tinyRule, criterion: "spread", threshold: 1 });
});
afterAll(() => engine?.dispose());

const { signal } = new AbortController();
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const into = (out: string, selections: readonly Selection[], int8 = false) => {
  const { reporter } = quietContext(engine).context;
  const call = { signal, reporter, engine } as Parameters<typeof int8Maker>[1];
  const maker = int8 ? { int8: int8Maker({ tasks: undefined, glueData: place("glue"), threads: 1 }, call) } : {};
  return merge({ out, base, selections, allowUnshared: true, onnx: null, pieces: null, ...maker });
};
const quantise = (out: string, costs?: Parameters<typeof quantiseFolder>[0]["costs"]) =>
  quantiseFolder({
    ...{ engine, signal, reporter: quietContext(engine).context.reporter, folder: out, note: null, maxDrop: 100 },
    ...{ glueData: place("glue"), maxRows: undefined, skipBroken: false, maxBroken: 0 },
    rowsOf: async ({ name }) => ({ source: "dev.tsv", definition: taskOf(name), some: [{ text: "a", pair: null }] }),
    ...(costs ? { costs } : {}),
  });
/** Layers as of a large model: of a tiny one they cost nothing beside ramps. */
const largeLayers = () => ({ layer: () => 100, stop: () => 1 });
const opened = (out: string, weights?: "float32") => openModel(out, engine, { taskOf, weights });
const rulesOf = ({ tasks }: ServedModel, choice?: "on") => exitRules(tasks, choice, { folder: "m", named: true });

/** How many dev rows leave after each number of layers. */
async function leavesOf(model: ServedModel, rule: DecidedExits): Promise<number[]> {
  const { examples } = await readSplit(glueTasks.sst2, "dev", { glueData: place("glue"), skipBroken: false });
  const sst2 = model.tasks.filter(({ name }) => name === "sst2");
  const layers: number[] = [];
  const onLeft = (_: number, __: string, layer: number) => void layers.push(layer);
  await computeLogits(model, examples, sst2, { signal, exits: { sst2: rule }, onLeft });
  return rule.stops.map((stop) => layers.filter((layer) => layer === stop).length);
}

unless(absence).describe("a folder that was quantized", () => {
  test("leaves early by int8's own rule, as was measured when it was decided", async () => {
    const out = place("kept");
    await into(out, [early, value, rte]);
    const { tasks, pieces } = await quantise(out, largeLayers);
    const exits = tasks.map(({ task, exits: of }) => [task, of?.rule?.promise]);
    expect(exits).toEqual([
      ["rte", undefined],
      ["sst2", tinyRule.promise],
      ["stsb", tinyRule.promise],
    ]);
    expect(pieces.map(({ weights, leaving }) => [weights, leaving])).toEqual([
      ["int8", undefined],
      ["int8", true],
    ]);
    const model = await opened(out);
    const rules = rulesOf(model);
    expect([model.weights, Object.keys(rules)]).toEqual(["int8", ["sst2", "stsb"]]);
    const { int8 } = await readManifest(out);
    const rule = int8?.tasks["sst2"]?.exits?.rule as DecidedExits;
    expect(rules["sst2"]).toEqual(rule);
    expect(rule).toMatchObject({ criterion: "entropy", stops: [1, 2], measured: { rows: 12, top: 4 } });
    expect(await leavesOf(model, rule)).toEqual(rule.measured.left);
    model.dispose();
    const exact = await opened(out, "float32");
    expect(rulesOf(exact)["sst2"]).toEqual(tinyRule);
    exact.dispose();
    expect((await quantise(out, largeLayers)).isNew).toBe(false);
    expect(engine.tensorCount()).toBe(0);
  });

  test("leaves early on processors that saturate too", async () => {
    const out = place("kept");
    const manifest = await readManifest(out);
    const { config } = await readShared(out, manifest);
    const model = await opened(out);
    const pieces = await int8Pieces(engine, out, manifest, { config, tasks: model.tasks }, "int8", async () => true);
    const segments = openSegments(config, model.tasks, pieces as NonNullable<typeof pieces>);
    const rule = rulesOf(model)["sst2"] as DecidedExits;
    const never = { ...rule, threshold: -1 };
    const rows = [
      { text: "a good film", pair: null },
      { text: "bad book", pair: null },
    ];
    const said: number[][] = [];
    const tasks = model.tasks.filter(({ name }) => name === "sst2");
    for (const run of [model.run, segments.run]) {
      const own: number[] = [];
      const onPassed = (_: number, __: string, passed: readonly Float32Array[]) =>
        void own.push(...(passed.at(-1) ?? []));
      await computeLogits({ ...model, tokenizer: model.tokenizer, run }, rows, tasks, {
        ...{ signal, exits: { sst2: never }, onPassed },
      });
      said.push(own);
    }
    expect(said[0]).toHaveLength(2 * 2 * 2);
    for (const [i, logit] of (said[0] as number[]).entries()) {
      expect(Math.abs(logit - (said[1]?.[i] as number))).toBeLessThan(0.05);
    }
    segments.dispose();
    model.dispose();
  });

  test("goes all the way where no threshold keeps what was promised, says so, and leaves in float32", async () => {
    const out = place("lost");
    const strict = { ...early.exits, rule: { ...tinyRule, promise: { keep: 0.999, confidence: 0.999 } } };
    await into(out, [{ ...early, exits: strict as NonNullable<Selection["exits"]> }, rte]);
    const { tasks } = await quantise(out);
    expect(tasks[1]?.exits).toMatchObject({ rule: null, why: expect.stringMatching(/no threshold keeps/) });
    const model = await opened(out);
    expect(rulesOf(model)).toEqual({});
    expect(() => rulesOf(model, "on")).toThrow(
      /sst2 has no early exits in int8 \(.*no threshold keeps.*--weights float32 has them/,
    );
    model.dispose();
    const exact = await opened(out, "float32");
    expect(Object.keys(rulesOf(exact))).toEqual(["sst2"]);
    exact.dispose();
    // Another rule of the same ramps is decided in int8 too, with the merge that brings it: it holds, and does not pay at this size.
    await into(out, [early], true);
    const found = (await readManifest(out)).int8?.tasks["sst2"]?.exits;
    expect(found).toMatchObject({ rule: null, why: expect.stringMatching(/too few dev rows leave .* ramps cost/) });
  });
});
