// flexbert bench on a tiny base: real runs on the engines that npm ci installs, an absent one, bad input, a signal.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import type { EngineReport } from "../../src/cli/benchmark/output";
import { inferenceFlops, trainStepFlops } from "../../src/model/flops";
import { engineNames } from "../../src/settings/engine";
import { temporaryFolder, tinyBase } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
/** TensorFlow may be installed where the tests run; here it is absent. */
const env = { FLEXBERT_CACHE: path.join(cwd, "cache"), FLEXBERT_TFJS_NODE: path.join(cwd, "no-tensorflow") };
const run = (line: string, more: Record<string, string> = {}) =>
  flexbert(line.split(" "), { cwd, env: { ...env, ...more } });
const tiny = "bench --base ./tiny --k 2 --batch-size 4";

beforeAll(() => writeBase(tinyBase("tiny", { layers: 3 }), path.join(cwd, "tiny")));

describe("a run", () => {
  test("--json: every engine, its peak, what it compiled, and both workloads at both lengths", () => {
    const { status, stdout } = run(`${tiny} --length 8,16,8 --runs 2 --threads 1 --seed 3 --json`);
    expect(status).toBe(0);
    const { machine, model, settings, engines } = JSON.parse(stdout);
    expect(machine).toMatchObject({ node: process.version, cores: expect.any(Number) });
    expect(model).toMatchObject({ base: { name: "tiny" }, size: null, layers: 3, hiddenSize: 16 });
    expect(settings).toEqual({ k: 2, batchSize: 4, lengths: [8, 16], runs: 2, dropout: 0, seed: 3 });
    expect(engines.map(({ name }: EngineReport) => name)).toEqual(engineNames);
    expect(engines[0]).toEqual({
      name: "tensorflow",
      present: false,
      reason: expect.stringContaining("holds no package"),
      remedy: expect.stringMatching(/./),
    });
    for (const engine of engines.slice(1)) checkPresent(engine);
    expect(engines[1]).toMatchObject({ threads: 1, compiled: { train: { graphs: 2 }, inference: { graphs: 1 } } });
    expect(engines[2].compiled).toEqual({ train: null, inference: null });
  });

  test("a table a workload, a line an engine, and the remedy of what is absent", () => {
    const { status, stdout, stderr } = run(`${tiny} --length 8 --runs 1`);
    expect([status, stderr]).toEqual([0, expect.stringMatching(/engine tensorflow is absent: .*\nengine onnx \(/)]);
    expect(stdout).toMatch(/^tensorflow +absent +FLEXBERT_TFJS_NODE names/m);
    expect(stdout).toMatch(/^onnx +present .* GFLOP\/s +3 +[\d.]+ s +[\d.]+ MB$/m);
    expect(stdout).toMatch(/^wasm +present .* GFLOP\/s +- +- +[\d.]+ MB$/m);
    for (const table of ["train step", "inference"]) {
      const lines = stdout
        .slice(stdout.indexOf(`\n${table} `))
        .split("\n")
        .slice(2, 4);
      expect(lines).toEqual([expect.stringMatching(/^onnx +4 x 8 .* %$/), expect.stringMatching(/^wasm +4 x 8 .* %$/)]);
    }
    expect(stdout).toMatch(
      /\ntensorflow: Name the folder of a built @tensorflow\/tfjs-node-gpu, or unset the variable\n$/,
    );
  });

  test("--quiet and random weights, every layer trained, with dropout", () => {
    const line =
      "bench --size minilm --k 6 --batch-size 1 --length 2 --runs 1 --dropout 0.1 --engine onnx --quiet --json";
    const { status, stdout, stderr } = run(line);
    expect([status, stderr]).toEqual([0, ""]);
    const { model, engines } = JSON.parse(stdout);
    expect(model).toMatchObject({ base: null, size: "minilm", layers: 6, hiddenSize: 384, heads: 12 });
    expect(engines).toEqual([expect.objectContaining({ name: "onnx", failure: null })]);
    expect(engines[0].trainStep[0].frozenFlops).toBe(0);
  });
});

/** Shapes, and numbers that must agree with each other. */
function checkPresent(engine: Extract<EngineReport, { present: true }>): void {
  const { config } = tinyBase("tiny", { layers: 3 });
  expect(engine).toMatchObject({ present: true, device: "cpu", failure: null });
  expect(engine.gemmFlopsPerSecond).toBeGreaterThan(1e8);
  expect(engine.trainPeakBytes).toBeGreaterThan(2 ** 24);
  expect(engine.trainStep.map(({ length }) => length)).toEqual([8, 16]);
  for (const step of engine.trainStep) {
    const { frozen, branch } = trainStepFlops(config, { fork: 1, layers: 2 }, 4, step.length, 2);
    expect([step.flops, step.frozenFlops, step.runs]).toEqual([frozen + branch, frozen, 2]);
    expect(step.frozenMs).toBeLessThan(step.bestMs);
  }
  for (const pass of engine.inference) expect(pass.flops).toBe(inferenceFlops(config, 4, pass.length, 2));
  for (const result of [...engine.trainStep, ...engine.inference]) {
    expect(result.bestMs).toBeLessThanOrEqual(result.medianMs);
    expect(result.rowsPerSecond).toBeCloseTo(4000 / result.bestMs, 6);
    expect(result.tokensPerSecond).toBeCloseTo(result.rowsPerSecond * result.length, 6);
    expect(result.flopsPerSecond / (result.flops / result.bestMs)).toBeCloseTo(1000, 6);
    expect(result.shareOfGemmPeak).toBeCloseTo(result.flopsPerSecond / (engine.gemmFlopsPerSecond as number), 9);
  }
}

describe("--dry-run", () => {
  test("says what would be measured, and measures no step", () => {
    const { status, stdout } = run(`${tiny} --length 8,16 --runs 7 --dry-run --json`);
    expect(status).toBe(0);
    const { runs, totalSeconds, work, engines } = JSON.parse(stdout);
    const { config } = tinyBase("tiny", { layers: 3 });
    const { frozen, branch } = trainStepFlops(config, { fork: 1, layers: 2 }, 4, 16, 2);
    expect([runs, work.length]).toEqual([7, 2]);
    expect(work[1]).toEqual({
      length: 16,
      trainFlops: frozen + branch,
      frozenFlops: frozen,
      inferenceFlops: inferenceFlops(config, 4, 16, 2),
    });
    expect(engines.map(({ present }: EngineReport) => present)).toEqual([false, true, true]);
    expect(totalSeconds).toBeCloseTo(engines[1].seconds + engines[2].seconds, 9);
    expect(engines[1]).not.toHaveProperty("trainStep");
    const { stdout: text } = run("bench --dry-run --size base --length 128 --engine onnx");
    expect(text).toMatch(/^random weights, 12 layers of 768, the top 3 trained\n/);
    expect(text).toMatch(/^32 x 128 +910 +536 +666$/m);
  });
});

describe("an engine that fails", () => {
  test("a named one that is absent is exit 6 with the remedy", () => {
    const { status, stdout, stderr } = run(`${tiny} --engine wasm,tensorflow --json`);
    expect([status, stdout]).toEqual([6, ""]);
    const { error } = JSON.parse(stderr.trim().split("\n").at(-1) as string);
    expect(error).toEqual({ exitCode: 6, message: expect.stringMatching(/^engine tensorflow is absent: .*unset the/) });
  });

  test("one with more threads than there are cores is warned of", () => {
    const cores = availableParallelism();
    const { status, stderr } = run(`${tiny} --dry-run --engine onnx,wasm --threads ${cores + 1}`);
    expect(status).toBe(0);
    expect(stderr).toContain(`onnx runs on ${cores + 1} threads, more than the ${cores} cores here`);
    expect(stderr).not.toContain("wasm runs on");
  });

  test("one whose process dies while it is loaded is absent, with what it said", () => {
    const end = 'console.error("Illegal instruction"); process.exit(9);';
    const env = hooking("_resolveFilename", "@tensorflow/tfjs-backend-wasm/", end);
    const { status, stdout } = run(`${tiny} --length 8 --runs 1 --json`, env);
    const { engines } = JSON.parse(stdout);
    const reason = "its process ended with exit code 9: Illegal instruction";
    expect([status, engines[2].present, engines[2].reason]).toEqual([0, false, reason]);
    expect(engines[1].trainStep).toHaveLength(1);
  });

  test("one that fails in a step drops out; the others are printed, and the exit code is 1", () => {
    // It opens, and its first session throws.
    const broken = "{ ...load(), InferenceSession: { create: async () => { throw new Error('no kernels'); } } }";
    const { status, stdout, stderr } = run(
      `${tiny} --length 8 --runs 1 --json`,
      hooking("_load", "onnxruntime-node", `return ${broken};`),
    );
    expect(status).toBe(1);
    const [, onnx, wasm] = JSON.parse(stdout).engines;
    expect(onnx).toMatchObject({ present: true, trainStep: [], inference: [], trainPeakBytes: null });
    expect(onnx.failure).toMatch(/^in the train step at length 8: no kernels/);
    expect([wasm.failure, wasm.inference.length]).toEqual([null, 1]);
    const { error } = JSON.parse(stderr.trim().split("\n").at(-1) as string);
    expect(error).toEqual({
      exitCode: 1,
      message: expect.stringMatching(/^onnx failed in the train step .*--engine$/),
    });
  });
});

/** An environment in which the engines' processes run `body` where they load or resolve a package; `load()` is the real way. */
function hooking(method: "_load" | "_resolveFilename", name: string, body: string): Record<string, string> {
  const file = path.join(cwd, `hook${method}.js`);
  writeFileSync(
    file,
    `const Module = require("node:module");
    const original = Module.${method};
    Module.${method} = function (request, ...rest) {
      const load = () => original.call(this, request, ...rest);
      if (!request.startsWith(${JSON.stringify(name)}) || !/bench-worker/.test(process.argv[1] ?? "")) return load();
      ${body}
    };`,
  );
  return { NODE_OPTIONS: `--require ${file}` };
}

describe("a signal", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends the command and its processes at once with %i", async (signal, code) => {
    const bin = path.join(__dirname, "../../bin/flexbert.js");
    const line = "bench --size base --batch-size 64 --length 512 --engine wasm --verbose".split(" ");
    const child = spawn(process.execPath, [bin, ...line], { cwd, env: { ...process.env, ...env } });
    let written = "";
    child.stderr.on("data", (text) => {
      written += text;
      if (/the top 3 trained/.test(written)) child.kill(signal);
    });
    // "close" comes when nobody holds stderr any more; with --verbose the engine's process does while it lives.
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect([status, written]).toEqual([code, expect.stringMatching(/stopped; a benchmark keeps nothing/)]);
  });
});

describe("bad input", () => {
  test.each([
    ["--k 4", 2, /--k 4: the base tiny has 3 layers\. Give at most 3/],
    ["--k 0", 2, /--k "0": it takes a whole number of at least 1/],
    ["--batch-size 0", 2, /--batch-size "0": it takes a whole number from 1/],
    ["--length 8,65", 2, /--length 65: the base tiny takes at most 64 tokens/],
    ["--length 8,,16", 2, /--length "8,,16": it takes lengths from 1/],
    ["--length 0", 2, /--length "0": it takes lengths from 1/],
    ["--engine onx", 2, /--engine "onx": .*tensorflow, onnx, wasm \(did you mean "onnx"\?\)/],
    ["--engine onnx,all", 2, /--engine "onnx,all": it takes all, or some of/],
    ["--runs 0", 2, /--runs "0": it takes a whole number from 1/],
    ["--size base", 2, /--base and --size exclude each other/],
    ["--base absent", 4, /the base absent is not in the cache\. Run: flexbert pull absent/],
  ])("%s", (line, code, message) => {
    const { status, stderr, stdout } = run(line.startsWith("--base") ? `bench ${line}` : `bench --base ./tiny ${line}`);
    expect([status, stderr, stdout]).toEqual([code, expect.stringMatching(message), ""]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
