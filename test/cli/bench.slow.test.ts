// flexbert bench on a tiny base: what it prints, engines that fail, a signal.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { bin } from "./flexbert";
import { cwd, env, run, tiny } from "./tiny-bench";

describe("a run", () => {
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

describe("an engine that fails", () => {
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
      if (!request.startsWith(${JSON.stringify(name)}) || !/benchmark.worker/.test(process.argv[1] ?? "")) return load();
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
    const line = "bench --size base --batch-size 64 --length 512 --engine wasm --verbose".split(" ");
    const child = spawn(process.execPath, [bin, ...line], { cwd, env: { ...process.env, ...env } });
    let written = "";
    let sent = false; // a second one would end the command before it says anything
    child.stderr.on("data", (text) => {
      written += text;
      if (!sent && /the top 3 trained/.test(written)) sent = child.kill(signal);
    });
    // "close" comes when nobody holds stderr any more; with --verbose the engine's process does while it lives.
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect([status, written]).toEqual([code, expect.stringMatching(/stopped; a benchmark keeps nothing/)]);
  });
});
