// Inference in processes of its own, over a tiny merged folder: answers bit for bit those of predict, parts before the run
// goes on, versions beside each other, and what a broken one leaves as it was.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { openEngine } from "../../../src/engines/open";
import { openModel, type ServedModel } from "../../../src/predict/model";
import { computeLogits } from "../../../src/predict/predict";
import type { BatchPart, BatchRow } from "../../../src/serve/inference/inference";
import { type InferenceOptions, type StartedInference, startInference } from "../../../src/serve/inference/start";
import { engineAbsence } from "../../engines/engines";
import { storeManifest } from "../../merged";
import { unless } from "../../skips";
import { temporaryFolder } from "../../tiny";
import { hearing, makeServedFolder, type ServedFolder, storedVersion, storeTwin, taskOf } from "../served-folder";

const folder = temporaryFolder();
let served: ServedFolder;
let predicting: ServedModel;
const started: StartedInference[] = [];

const absence = engineAbsence("onnx");
if (absence !== null) console.warn(`SKIPPED: inference processes, because ${absence}`);

async function start(options: Partial<InferenceOptions> = {}): Promise<StartedInference> {
  const { reporter } = hearing();
  const version = served.first;
  const given = { folder: served.merged, version, workers: 1, threads: 1, reporter, silence: 3600, ...options };
  const inference = await startInference(given);
  started.push(inference);
  return inference;
}

afterEach(async () => {
  for (const inference of started.splice(0)) await inference.shutdown();
});

const texts = ["a good film", "the long long dull book they read", "bad", "she saw the film", "not very bright was it"];
const pairs = texts.map((text, i) => ({ text, pair: i % 2 ? "the film" : "a very long and very dull book they read" }));

/** A row as the HTTP process makes it. */
function rowOf({ text, pair }: { text: string; pair: string | null }, tasks = ["sst2", "stsb", "rte"]): BatchRow {
  const { ids, typeIds } = predicting.tokenizer.encode(text, pair, 32);
  return { ids, typeIds, tasks };
}

/** Logits by task, row after row, as arrays of bits would be: compared bit for bit. */
async function logitsOf(inference: StartedInference, version: string, rows: readonly BatchRow[]) {
  const found: Record<string, number[][]> = {};
  const parts: BatchPart[] = [];
  const run = await inference.run(version, rows, (part) => {
    parts.push(part);
    for (const [i, row] of part.rows.entries()) {
      found[part.task] ??= [];
      (found[part.task] as number[][])[row] = Array.from(
        part.logits.subarray(i * part.outputs, (i + 1) * part.outputs),
      );
    }
  });
  return { found, parts, run };
}

async function predicted(model: ServedModel, rows: readonly { text: string; pair: string | null }[]) {
  const all = await computeLogits(model, rows, model.tasks, { signal: new AbortController().signal });
  return Object.fromEntries(
    Object.entries(all).map(([task, logits]) => [task, rows.map((_, row) => Array.from(logits.of(row)))]),
  );
}

unless(absence).describe("an inference process", () => {
  beforeAll(async () => {
    served = await makeServedFolder(folder);
    const { engine } = await openEngine("onnx", { threads: 1 });
    predicting = await openModel(served.merged, engine, { taskOf, version: served.first });
  });
  afterAll(() => predicting?.dispose());

  test("gives what predict gives, bit for bit, for rows alone and in batches, whatever they ask for", async () => {
    const inference = await start();
    for (const row of pairs) {
      const { found } = await logitsOf(inference, served.first, [rowOf(row)]);
      expect(found).toEqual(await predicted(predicting, [row]));
    }
    // In predict's own order of a batch, so that rows are laid side by side as there.
    const sorted = [...pairs].sort((a, b) => rowOf(a).ids.length - rowOf(b).ids.length);
    const whole = await predicted(predicting, sorted);
    expect(
      (
        await logitsOf(
          inference,
          served.first,
          sorted.map((row) => rowOf(row)),
        )
      ).found,
    ).toEqual(whole);
    const equal = [pairs[0], pairs[0], pairs[0]].map((row) => row as (typeof pairs)[number]);
    const asked = [["rte"], ["stsb", "rte"], ["sst2"]];
    const { found, run } = await logitsOf(
      inference,
      served.first,
      equal.map((row, i) => rowOf(row, asked[i])),
    );
    const alone = await predicted(predicting, equal.slice(0, 1));
    expect(found["rte"]).toEqual([alone["rte"]?.[0], alone["rte"]?.[0]]);
    expect(found["stsb"]?.[1]).toEqual(alone["stsb"]?.[0]);
    expect(found["sst2"]?.[2]).toEqual(alone["sst2"]?.[0]);
    expect(run.pieces.map(({ piece, rows, layers }) => [piece, rows, layers])).toEqual([
      ["layers 0-1", 3, 1],
      ["sst2", 1, 3],
      ["layers 1-2", 2, 1],
      ["stsb", 1, 2],
      ["layers 2-3", 2, 1],
      ["rte", 2, 1],
    ]);
  });

  test("hands out a shallow fork's answers while what is deeper has not run", async () => {
    // In the process, runs beyond the second wait, with the loop blocked as the engine blocks it, until the file is gone.
    const gate = path.join(folder, "gate");
    const preload = path.join(folder, "gate.cjs");
    writeFileSync(
      preload,
      `const { existsSync } = require("node:fs");
       const sleep = new Int32Array(new SharedArrayBuffer(4));
       const { InferenceSession } = require(${JSON.stringify(require.resolve("onnxruntime-node"))});
       const create = InferenceSession.create;
       let runs = 0;
       InferenceSession.create = async (...args) => {
         const session = await create(...args);
         const run = session.run.bind(session);
         session.run = async (...given) => {
           await new Promise(setImmediate);
           runs = existsSync(${JSON.stringify(gate)}) ? runs + 1 : 0;
           while (runs > 2 && existsSync(${JSON.stringify(gate)})) Atomics.wait(sleep, 0, 0, 5);
           return run(...given);
         };
         return session;
       };`,
    );
    const before = process.env["NODE_OPTIONS"];
    process.env["NODE_OPTIONS"] = `${before ?? ""} --require ${JSON.stringify(preload)}`;
    const inference = await start().finally(() => {
      if (before === undefined) delete process.env["NODE_OPTIONS"];
      else process.env["NODE_OPTIONS"] = before;
    });
    writeFileSync(gate, "");
    const order: string[] = [];
    const run = await inference.run(
      served.first,
      pairs.map((row) => rowOf(row)),
      ({ task, rows }) => {
        order.push(task);
        expect(rows.length).toBeGreaterThan(0);
        if (task === "sst2") rmSync(gate, { force: true }); // else the process waits for ever
      },
    );
    expect([...new Set(order)]).toEqual(["sst2", "stsb", "rte"]);
    expect(run.pieces.length).toBeGreaterThan(0);
    expect(existsSync(gate)).toBe(false);
  });

  test("opens of another version what is new of it, and frees just that", async () => {
    const inference = await start();
    const graphs = async () => (await inference.look()).map((state) => state.graphs);
    const rows = [rowOf(pairs[0] as (typeof pairs)[number])];
    expect(await graphs()).toEqual([6]); // three stretches and three branches
    await inference.open(served.second);
    expect(await graphs()).toEqual([7]);
    const [first, second] = [
      (await logitsOf(inference, served.first, rows)).found,
      (await logitsOf(inference, served.second, rows)).found,
    ];
    expect(second["rte"]).not.toEqual(first["rte"]);
    expect([second["sst2"], second["stsb"]]).toEqual([first["sst2"], first["stsb"]]);
    await inference.close(served.first);
    expect(await graphs()).toEqual([6]);
    expect((await logitsOf(inference, served.second, rows)).found).toEqual(second);
    await expect(inference.run(served.first, rows, () => undefined)).rejects.toThrow(/is not open/);
    await inference.close(served.second);
    expect(await graphs()).toEqual([0]);
  });

  test("refuses a broken version with its reason, and serves on", async () => {
    const inference = await start();
    const rows = [rowOf(pairs[0] as (typeof pairs)[number])];
    const before = (await logitsOf(inference, served.first, rows)).found;
    const manifest = storedVersion(served.merged, served.second);
    const { rte } = manifest.pieces.float32.branches;
    const wrongHash = { ...rte, sha256: "0".repeat(64) };
    const branches = { ...manifest.pieces.float32.branches, rte: wrongHash };
    const damaged = storeManifest(served.merged, {
      ...manifest,
      pieces: { float32: { ...manifest.pieces.float32, branches } },
    });
    // The graph of another task, whole and of the wrong number of outputs.
    const swapped = { ...manifest.pieces.float32.branches, rte: manifest.pieces.float32.branches.stsb };
    const odd = storeManifest(served.merged, {
      ...manifest,
      pieces: { float32: { ...manifest.pieces.float32, branches: swapped } },
    });
    await expect(inference.open(damaged)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/has sha256/),
    });
    await expect(inference.open(odd)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/opens and does not run \(rte gives 1 values a row, its task has 2\)/),
    });
    await expect(inference.open("00000000")).rejects.toMatchObject({ exitCode: 4 });
    expect((await inference.look()).map(({ graphs, alive }) => [graphs, alive])).toEqual([[6, true]]);
    expect((await logitsOf(inference, served.first, rows)).found).toEqual(before);
  });

  test("tells what a batch asked for that no model takes, and runs the next one", async () => {
    const inference = await start();
    const row = rowOf(pairs[0] as (typeof pairs)[number]);
    const beyond = { ...row, ids: row.ids.map(() => 1_000_000) };
    await expect(inference.run(served.first, [beyond], () => undefined)).rejects.toThrow(
      /idx=1000000|out of bounds|indices/i,
    );
    await expect(inference.run(served.first, [{ ...row, tasks: ["cola"] }], () => undefined)).rejects.toThrow(/cola/);
    const thrower = inference.run(served.first, [row], () => {
      throw new Error("the caller's own");
    });
    await expect(thrower).rejects.toThrow("the caller's own");
    expect(Object.keys((await logitsOf(inference, served.first, [row])).found)).toHaveLength(3);
    expect(inference.state()).toMatchObject([{ alive: true, restarts: 0 }]);
  });

  test("a version of the same bytes opens nothing, and either is closed without the other", async () => {
    const inference = await start();
    expect(inference.first).toBe(served.first);
    const twin = storeTwin(served.merged, served.first, 1);
    await inference.open(twin);
    await inference.close(served.first);
    const rows = [rowOf(pairs[0] as (typeof pairs)[number])];
    await expect(inference.run(served.first, rows, () => undefined)).rejects.toThrow(/is not open/);
    expect(Object.keys((await logitsOf(inference, twin, rows)).found)).toHaveLength(3);
    expect((await inference.look()).map(({ graphs }) => graphs)).toEqual([6]);
  });

  test("layouts are measured and told, with their memory", async () => {
    const { reporter, lines } = hearing();
    const inference = await start({ workers: undefined, threads: undefined, reporter });
    expect(inference.processes).toBeGreaterThanOrEqual(1);
    expect(lines.at(-1)).toMatch(/^inference: onnx .*; \d+ process(es)? of \d+ thread/);
    if (lines.length > 1) expect(lines[0]).toMatch(/^measured 1 process of \d+ threads: \d+ texts\/s, \d+ MB/);
  });

  test("the wasm engine serves the same folder", async () => {
    const inference = await start({ engine: "wasm" });
    const rows = [rowOf(pairs[0] as (typeof pairs)[number])];
    const wanted = await predicted(predicting, pairs.slice(0, 1));
    const { found } = await logitsOf(inference, served.first, rows);
    for (const [task, logits] of Object.entries(wanted)) {
      for (const [i, value] of (logits[0] as number[]).entries()) expect(found[task]?.[0]?.[i]).toBeCloseTo(value, 5);
    }
    await inference.open(served.second);
    await inference.close(served.first);
    await inference.close(served.second);
    expect((await inference.look()).map(({ graphs }) => graphs)).toEqual([0]);
  });

  test("a folder that is none, and an absent engine, are told with their exit codes", async () => {
    await expect(start({ folder })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/no merged folder/),
    });
    await expect(start({ version: "nonsense" })).rejects.toMatchObject({ exitCode: 4 });
    await expect(start({ weights: "int8" })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/int8/),
    });
  });

  test("the HTTP process loads no engine", () => {
    const script = `
      require(${JSON.stringify(require.resolve("../../../dist/serve/inference/start.js"))});
      const found = Object.keys(require.cache).filter((file) => /node_modules.(@tensorflow|onnxruntime)|engines.(open|onnx|wasm|tensorflow)/.test(file));
      console.log(JSON.stringify(found));`;
    expect(JSON.parse(spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout)).toEqual([]);
  });
});
