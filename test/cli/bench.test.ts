// flexbert bench on a tiny base: a real run on the engines that npm ci installs, a dry run, bad input.

import { availableParallelism } from "node:os";
import { describe, expect, test } from "@jest/globals";
import type { EngineReport } from "../../src/benchmark/engine-report";
import { inferenceFlops, trainStepFlops } from "../../src/model/flops";
import { engineNames } from "../../src/settings/engine";
import { config, run, tiny } from "./tiny-bench";

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

/** Shapes, and numbers that must agree with each other. */
function checkPresent(engine: Extract<EngineReport, { present: true }>): void {
  const nowhere = { train: null, inference: null };
  expect(engine).toMatchObject({ present: true, device: "cpu", failure: null, placement: nowhere });
  expect(engine.gemmFlopsPerSecond).toBeGreaterThan(1e6);
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

describe("an engine that cannot run", () => {
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
