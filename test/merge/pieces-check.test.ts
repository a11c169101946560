// A version counts only after its stored pieces, which predict, eval and serve run, gave what the branches give alone: which pieces
// a change opens for it, and that a piece which is wrong leaves the folder as it was.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { int8Maker } from "../../src/api/merge/int8";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import type { WeightPlace, Weights } from "../../src/export/pieces/piece-graph";
import type { PieceTools, RunStored } from "../../src/export/pieces/pieces-check";
import { sha256Hex } from "../../src/files/hash";
import { merge, removeTasks, type Selection } from "../../src/merge/merge";
import { Interrupted } from "../../src/messages/reporter";
import { storedRunner } from "../../src/predict/segments/run-stored";
import { quantiseFolder } from "../../src/quantise/quantise-folder";
import type { Task } from "../../src/tasks/task";
import { engineAbsence } from "../engines/engines";
import { tinyRule, withTinyRamps } from "../ramps";
import { unless } from "../skips";
import { quietContext, temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTinyTwice } from "../trained";

declare const jest: typeof import("@jest/globals").jest;
type Lowering = typeof import("../../src/export/pieces/piece-graph");

/** What becomes of the weights' places before a graph is lowered over them: a graph with its right hash that computes something else. */
const same = (weights: Weights): Weights => weights;
const seam = { spoil: same, spoilRest: same };
jest.mock("../../src/export/pieces/piece-graph", () => {
  const actual = jest.requireActual<Lowering>("../../src/export/pieces/piece-graph");
  const spoilt = {
    stretchGraph: (config, stretch, weights) => actual.stretchGraph(config, stretch, seam.spoil(weights)),
    branchGraph: (config, place, head, weights) => actual.branchGraph(config, place, head, seam.spoil(weights)),
    rampGraph: (config, layer, head, weights) => actual.rampGraph(config, layer, head, seam.spoil(weights)),
    restGraph: (config, from, top, head, weights) =>
      actual.restGraph(config, from, top, head, Object.fromEntries(seam.spoilRest(new Map(Object.entries(weights))))),
  } satisfies Partial<Lowering>;
  return { ...actual, ...spoilt };
});

const folder = temporaryFolder();
const base = tinyBase("tiny-pieces", { hidden: 32 });
const place = (name: string) => path.join(folder, name);
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
let sst2: Selection;
let rte: Selection;
let stsb: Selection;
/** rte on fork 2, with two layers. */
let other: Selection;
/** sst2, whose texts may leave after a layer of the trunk and one of its own. */
let early: Selection;
let engine: Engine;
let tools: Omit<PieceTools, "runStored">;

const absence = engineAbsence("onnx");
if (absence !== null) console.warn(`SKIPPED: the check of stored pieces, because ${absence}`);

beforeAll(async () => {
  if (absence !== null) return;
  ({ sst2, rte, stsb, other } = await trainTinyTwice(folder, base));
  early = await withTinyRamps(folder, base, sst2);
  // The int8 graphs that are stored are run, whatever the processor makes of products of bytes.
  engine = { ...(await openEngine("onnx", { threads: 1 })).engine, saturates: async () => false };
  const reference = (await openEngine("wasm", {})).engine; // of another kind than what it checks
  const { signal } = new AbortController();
  tools = { engine: reference, signal, glueData: place("glue"), taskOf, warn: () => undefined };
});
beforeEach(() => void Object.assign(seam, { spoil: same, spoilRest: same }));
afterAll(() => engine?.dispose());

/** The tools, and what of the folder they open: "rte.onnx", without hashes. */
function watched(change: (run: RunStored) => RunStored = (run) => run): { pieces: PieceTools; opened: string[] } {
  const opened: string[] = [];
  const openGraph: Engine["openGraph"] = (file) => {
    opened.push(path.basename(String(file)).replace(/-[0-9a-f]{8}\.onnx$/, ""));
    return (engine.openGraph as NonNullable<Engine["openGraph"]>)(file);
  };
  return { pieces: { ...tools, runStored: change(storedRunner({ ...engine, openGraph })) }, opened };
}

const request = { base, allowUnshared: true, onnx: null };
const into = (out: string, selections: readonly Selection[], pieces = watched().pieces) =>
  merge({ ...request, out, selections, pieces });

/** Every file below a folder with the hash of its bytes. */
function contentsOf(out: string): Record<string, string> {
  const names = (readdirSync(out, { recursive: true }) as string[]).filter((name) =>
    statSync(path.join(out, name)).isFile(),
  );
  return Object.fromEntries(names.sort().map((name) => [name, sha256Hex(readFileSync(path.join(out, name)))]));
}

/** Two weights of one shape change places in the graphs over blobs of this name. */
const swapped =
  (blob: RegExp, a: RegExp, b: RegExp) =>
  (weights: Weights): Weights => {
    if (![...weights.values()].some(({ file }) => blob.test(file))) return weights;
    const named = (name: RegExp) => [...weights].find(([key]) => name.test(key)) as [string, WeightPlace];
    const [[one, first], [two, second]] = [named(a), named(b)];
    expect(first.shape).toEqual(second.shape);
    return new Map([...weights, [one, second], [two, first]]);
  };
const norms = [/attention.output.LayerNorm.weight$/, /\d\.output.LayerNorm.bias$/] as const;

unless(absence).describe("what is checked", () => {
  test("of a new folder every task, within 1e-5, each piece opened once", async () => {
    const { pieces, opened } = watched();
    const { pieces: checks } = await into(place("new"), [sst2, rte, stsb], pieces);
    expect(checks).toMatchObject([{ weights: "float32", tolerance: 1e-4, engine: expect.stringMatching(/wasm/) }]);
    expect(checks?.[0]?.tasks.map(({ task }) => task)).toEqual(["rte", "sst2", "stsb"]);
    expect(checks?.[0]?.largestDifference).toBeLessThan(1e-5);
    expect(opened.sort()).toEqual(["rte", "sst2", "stsb", "trunk-00-01-embeddings", "trunk-01-02", "trunk-02-03"]);
    expect(engine.tensorCount()).toBe(0);
  });

  test("of one task more that task alone, and no other's blobs", async () => {
    await into(place("more"), [sst2, rte]);
    const { pieces, opened } = watched();
    const { pieces: checks } = await into(place("more"), [{ ...sst2, task: { ...sst2.task, name: "mine" } }], pieces);
    expect(checks?.flatMap((check) => check.tasks.map(({ task }) => task))).toEqual(["mine"]);
    expect(opened).toEqual(["trunk-00-01-embeddings", "mine"]);
  });

  test("where the trunk is cut anew above it, the shallowest task over the cut too", async () => {
    await into(place("cut"), [sst2, rte]);
    const { pieces, opened } = watched();
    const { pieces: checks } = await into(place("cut"), [stsb], pieces);
    expect(checks?.flatMap((check) => check.tasks.map(({ task }) => task)).sort()).toEqual(["rte", "stsb"]);
    expect(opened.sort()).toEqual(["rte", "stsb", "trunk-00-01-embeddings", "trunk-01-02", "trunk-02-03"]);
  });

  test("of what is left, only what was joined anew", async () => {
    await into(place("less"), [sst2, rte, stsb]);
    const removed = (name: string, pieces: PieceTools) =>
      removeTasks(place("less"), [name], null, undefined, null, pieces);
    const joined = watched();
    const { pieces: checks } = await removed("stsb", joined.pieces);
    expect(checks?.flatMap((check) => check.tasks.map(({ task }) => task))).toEqual(["rte"]);
    const deepest = watched();
    expect((await removed("rte", deepest.pieces)).pieces).toEqual([]);
    expect(deepest.opened).toEqual([]);
  });

  test("of a folder that was quantized, both forms", async () => {
    const out = place("both");
    await into(out, [sst2, rte]);
    const { pieces: checks } = await quantise(out);
    expect(checks.map(({ weights, tasks }) => [weights, tasks.map(({ task }) => task)])).toEqual([
      ["int8", ["rte", "sst2"]],
    ]);
    expect(checks[0]?.largestDifference).toBeGreaterThan(0);
    expect(checks[0]?.largestDifference).toBeLessThanOrEqual(checks[0]?.tolerance as number);
    const { pieces, opened } = watched();
    const { pieces: updated } = await merge({ ...request, out, selections: [other], pieces, int8: int8() });
    expect(updated?.map(({ weights, tasks }) => [weights, tasks.map(({ task }) => task)])).toEqual([
      ["float32", ["rte"]],
      ["int8", ["rte"]],
    ]);
    const stretches = ["trunk-00-01-embeddings", "trunk-01-02"];
    expect(opened).toEqual([...stretches, "rte", ...stretches, "rte"]);
  });
});

unless(absence).describe("pieces by which texts leave early are checked", () => {
  const told = (checks: Awaited<ReturnType<typeof into>>["pieces"]) =>
    checks?.map(({ weights, leaving, tasks }) => [weights, leaving ?? false, tasks.map(({ task }) => task).join()]);
  const whole = ["trunk-00-01-embeddings", "trunk-01-03"];

  test("of a new folder, every piece between stops and every ramp, once, within 1e-5", async () => {
    const { pieces, opened } = watched();
    const { pieces: checks } = await into(place("early"), [early, rte], pieces);
    expect(told(checks)).toEqual([
      ["float32", false, "rte,sst2"],
      ["float32", true, "sst2"],
    ]);
    expect(checks?.[1]?.largestDifference).toBeLessThan(1e-5);
    const own = ["trunk-00-01-embeddings", "sst2-ramp-1", "sst2-1-2", "sst2-ramp-2", "sst2-2-4"];
    expect(opened.sort()).toEqual([...whole, "rte", "sst2", ...own].sort());
    expect(engine.tensorCount()).toBe(0);
  });

  test("where another task cuts the trunk anew under them, and not where it does not", async () => {
    const out = place("early-more");
    await into(out, [early, rte]);
    const mine = { ...rte, task: { ...rte.task, name: "mine" } };
    expect(told((await into(out, [mine])).pieces)).toEqual([["float32", false, "mine"]]);
    const third = await withTinyRamps(folder, base, rte, { ...tinyRule, stops: [2] });
    const { pieces, opened } = watched();
    expect(told((await into(out, [third], pieces)).pieces)).toEqual([
      ["float32", false, "rte"],
      ["float32", true, "rte"],
    ]);
    expect(opened).toEqual([
      ...whole,
      "rte",
      ...["trunk-00-01-embeddings", "trunk-01-02", "rte-ramp-2", "trunk-02-03", "rte"],
    ]);
  });

  const biasOfWeights = (weights: Weights): Weights => {
    const names = [...weights.keys()];
    if (!names.every((name) => name.startsWith("ramp/2/"))) return weights;
    const other = weights.get(names.find((name) => name.endsWith("classifier.weight")) as string) as WeightPlace;
    return new Map(
      [...weights].map(([name, where]) => [
        name,
        name.endsWith("classifier.bias") ? { ...where, position: other.position } : where,
      ]),
    );
  };
  test.each([
    ["a ramp", { spoil: biasOfWeights }],
    [
      "the layers above the last stop",
      { spoilRest: swapped(/^sst2-/, /layer.3.attention.output.LayerNorm.weight$/, /layer.3.output.LayerNorm.bias$/) },
    ],
  ] as const)("%s that says something else is an error, and nothing is left", async (_, spoilt) => {
    Object.assign(seam, spoilt);
    await expect(into(place("spoilt"), [early, rte])).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/by which texts leave early, in float32: a logit of sst2 is .* more than 0.0001/),
    });
    expect(existsSync(place("spoilt"))).toBe(false);
  });
});

const int8 = () => {
  const { signal, reporter } = quietContext(engine).context;
  const call = { signal, reporter, engine } as Parameters<typeof int8Maker>[1];
  return int8Maker({ tasks: undefined, glueData: place("glue"), threads: 1 }, call);
};

const quantise = (folder: string) => {
  const { signal, reporter } = quietContext(engine).context;
  return quantiseFolder({
    ...{ engine, signal, reporter, folder, note: null, maxDrop: 100, glueData: place("glue"), maxRows: undefined },
    ...{ skipBroken: false, maxBroken: 0 },
    rowsOf: async ({ name }) => ({
      source: "dev.tsv",
      definition: taskOf(name),
      some: [{ text: "a good film", pair: "bad" }],
    }),
  });
};

unless(absence).describe("a wrong piece is an error with exit code 5, and the folder is as it was", () => {
  const expectRefused = async (pieces: () => PieceTools, message: RegExp, exitCode = 5) => {
    const error = { exitCode, message: expect.stringMatching(message) };
    const refused = async (work: Promise<unknown>) => {
      const found = (await work.then(
        () => null,
        (thrown: unknown) => thrown,
      )) as Error;
      expect(found).toMatchObject(error);
      expect(found.message.split("\n")).toHaveLength(1);
    };
    const { spoil } = seam;
    await refused(into(place("fresh"), [sst2, rte], pieces()));
    expect(existsSync(place("fresh"))).toBe(false);
    const out = place("kept");
    seam.spoil = (weights) => weights;
    await into(out, [sst2]);
    const before = contentsOf(out);
    seam.spoil = spoil;
    await refused(into(out, [rte], pieces()));
    expect(contentsOf(out)).toEqual(before);
  };
  const real = () => watched().pieces;

  test("a branch's graph that computes something else", () => {
    seam.spoil = swapped(/^rte-/, ...norms);
    return expectRefused(
      real,
      /the pieces of \S+ in float32: a logit of rte is .*, its branch alone gives .* more than 0.0001/,
    );
  });

  test("a stretch of the trunk that does", () => {
    seam.spoil = swapped(/^trunk-layer-02/, ...norms);
    return expectRefused(real, /in float32: a logit of rte is .* more than 0.0001/);
  });

  test("a graph over another blob than its own", () => {
    seam.spoil = (weights) =>
      new Map(
        [...weights].map(([name, { file, ...where }]) => [
          name,
          { ...where, file: file.startsWith("rte-") ? "nowhere.safetensors" : file },
        ]),
      );
    return expectRefused(real, /the pieces of \S+ in float32 do not run \(onnxruntime does not open .*rte-\w+\.onnx/);
  });

  test("a blob that lies there with other bytes", () => {
    const damaging: PieceTools["runStored"] = (run) => {
      const { file } = run.model.tasks.find(({ name }) => name === "rte") as { file: string };
      const bytes = readFileSync(path.join(run.folder, file));
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
      writeFileSync(path.join(run.folder, file), bytes);
      return real().runStored(run);
    };
    return expectRefused(() => ({ ...tools, runStored: damaging }), /do not run \(.*rte-\w+\.safetensors has sha256/);
  });

  test("an output of another width", () => {
    const narrow = (run: RunStored) => async (asked: Parameters<RunStored>[0]) => {
      const found = await run(asked);
      return { ...found, rte: (found["rte"] as Float32Array[]).map((row) => row.subarray(1)) };
    };
    return expectRefused(
      () => watched(narrow).pieces,
      /the output rte has shape \[.*\], its branch alone gives \[\d+,2\]/,
    );
  });

  test("Ctrl-C meanwhile", async () => {
    const controller = new AbortController();
    const aborting = watched((run) => async (asked) => {
      controller.abort();
      return run(asked);
    });
    const pieces = { ...aborting.pieces, signal: controller.signal };
    await expect(into(place("stopped"), [sst2, rte], pieces)).rejects.toBeInstanceOf(Interrupted);
    expect(existsSync(place("stopped"))).toBe(false);
  });

  test("in int8: quantize leaves no version, and so does an update of a folder that has it", async () => {
    const out = place("int8");
    await into(out, [sst2, rte]);
    const plain = contentsOf(out);
    seam.spoil = swapped(/^rte-int8-/, norms[0], /pooler.dense.bias$/);
    await expect(quantise(out)).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/the pieces of \S+ in int8: a logit of rte is .* more than/),
    });
    expect(contentsOf(out)).toEqual(plain);
    seam.spoil = (weights) => weights;
    await quantise(out);
    const quantised = contentsOf(out);
    seam.spoil = swapped(/^rte-int8-/, norms[0], /pooler.dense.bias$/);
    const work = merge({ ...request, out, selections: [other], pieces: real(), int8: int8() });
    await expect(work).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/in int8: a logit of rte/),
    });
    expect(contentsOf(out)).toEqual(quantised);
  });
});
