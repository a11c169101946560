// --device from the command line: what is there is used, what is not is an error with the next step, and never another device.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { hasNvidiaDriver } from "../../src/engines/nvidia";
import { koffiAbsence, onSwiftShader, webgpuAbsence } from "../engines/devices";
import { notLinux, unless } from "../skips";
import { tinyWorkspace } from "./tiny-workspace";

const { cwd, run } = tinyWorkspace([
  "finetune --base tiny --task rte,stsb --k 2 --epochs 1 --max-length 32",
  "merge --base tiny",
]);
const dist = path.join(__dirname, "../../dist");

const predict = (device: string, more: Record<string, string> = {}) =>
  run(`predict --text film --pair book --json --device ${device}`, more);

const absent = webgpuAbsence();
if (absent !== null) console.warn(`SKIPPED: commands on --device webgpu, because ${absent}`);

unless(absent).describe("on WebGPU", () => {
  test("merge compares model.onnx with branches that the device computed", () => {
    const { status, stdout, stderr } = run("merge --base tiny --device webgpu --out there --json", onSwiftShader);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const { check } = JSON.parse(stdout).onnx;
    expect(check.engine).toMatch(/webgpu on SwiftShader/);
    expect(check.largestDifference).toBeLessThan(1e-4);
  });

  test("predict answers as on the CPU, and stderr has nothing of the driver's", () => {
    const there = predict("webgpu", onSwiftShader);
    expect(there.stderr.split("\n")[0]).toMatch(
      /^engine: onnx \(onnxruntime .*, webgpu on SwiftShader.*\); --device webgpu$/,
    );
    expect(there.stderr).not.toMatch(/XDG_RUNTIME_DIR|Warning/);
    const scores = ({ stdout }: { stdout: string }) => JSON.parse(stdout).predictions;
    const [found, wanted] = [scores(there), scores(predict("cpu"))];
    expect(found.rte.label).toBe(wanted.rte.label);
    for (const [label, score] of Object.entries<number>(wanted.rte.scores)) {
      expect(Math.abs(found.rte.scores[label] - score)).toBeLessThan(1e-4);
    }
    expect(Math.abs(found.stsb.value - wanted.stsb.value)).toBeLessThan(1e-4);
  });

  test("auto leaves a software device aside, and says so", () => {
    const { status, stderr } = predict("auto", onSwiftShader);
    expect(status).toBe(0);
    if (!hasNvidiaDriver()) {
      expect(stderr).toMatch(
        /^engine: onnx \(.*, cpu, .*--device auto: no GPU to use \(cuda: .*; webgpu: SwiftShader.* is no GPU but a program\)/,
      );
    }
  });

  test("doctor names the adapter and its limits, and says that the device works", () => {
    const { machine, devices, autoDevice } = JSON.parse(run("doctor --json", onSwiftShader).stdout);
    expect(machine.adapters).toEqual([
      expect.objectContaining({ name: expect.stringMatching(/SwiftShader/), type: "cpu", vendor: "Google" }),
    ]);
    expect(machine.adapters[0].limits.maxStorageBufferRange).toBeGreaterThanOrEqual(2 ** 27);
    expect(devices[0]).toMatchObject({
      name: "webgpu",
      works: true,
      note: expect.stringMatching(/program on the CPU/),
    });
    if (!hasNvidiaDriver()) expect(autoDevice.device).toBe("cpu");
  });

  test("a precision that WebGPU does not have is refused", () => {
    const { status, stderr } = run("predict --text film --device webgpu --precision bf16", onSwiftShader);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/--precision bf16: --device webgpu runs float32/)]);
  });

  test("serve starts one process, and refuses several", () => {
    const { status, stderr } = run("serve --device webgpu --workers 2 --port 0", onSwiftShader);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/--workers 2: on --device webgpu one process holds the model/),
    ]);
  });
});

unless(notLinux).describe("where it is not there", () => {
  const noDriver = { VK_DRIVER_FILES: path.join(cwd, "no-such-driver.json") };

  unless(absent).test("a machine without a Vulkan device: exit 6 and what to install", () => {
    const { status, stderr } = predict("webgpu", noDriver);
    expect([status, stderr]).toEqual([
      6,
      expect.stringMatching(/webgpu does not run: Vulkan lists no device. Install/),
    ]);
  });

  unless(absent).test("a run that cannot have its device writes nothing", () => {
    const line = "finetune --base tiny --task rte --k 1 --epochs 1 --max-length 32 --device webgpu --checkpoints none";
    expect(run(line, noDriver).status).toBe(6);
    expect(run("status --checkpoints none").stdout).not.toMatch(/rte/);
  });

  unless(hasNvidiaDriver() && "an NVIDIA driver is here").test("CUDA without a driver", () => {
    const { status, stderr } = predict("cuda");
    expect([status, stderr]).toEqual([6, expect.stringMatching(/device cuda does not run: .*driver/)]);
  });

  test("koffi missing: the command that brings it", () => {
    const hook = path.join(cwd, "absent.cjs");
    writeFileSync(
      hook,
      `const Module = require("node:module");
const load = Module._load;
Module._load = function (name, ...rest) {
  if (name === "koffi") throw new Error("Cannot find module 'koffi'");
  return load.call(this, name, ...rest);
};`,
    );
    const { status, stderr } = predict("webgpu", { NODE_OPTIONS: `--require ${hook}` });
    const reason = /device webgpu does not run: the package koffi is not installed. Run: npm install .* koffi@/;
    expect([status, stderr]).toEqual([6, expect.stringMatching(reason)]);
    expect(run("doctor --json", { NODE_OPTIONS: `--require ${hook}` }).stdout).toMatch(/koffi is not installed/);
  });
});

describe("beside other settings", () => {
  test.each([
    [
      "predict --text film --engine onnx --precision bf16",
      /--precision bf16 is the tensorflow engine's, or the onnx engine's on a GPU/,
    ],
    [
      "predict --text film --device webgpu --engine wasm",
      /--device webgpu is the onnx engine's, and --engine wasm has no devices/,
    ],
    ["bench --device cuda --engine wasm", /--device cuda is the onnx engine's, and --engine wasm/],
    ["predict --text film --device gpu", /--device "?gpu"?: it takes/],
  ])("%s", (line, message) => {
    expect(run(line)).toMatchObject({ status: 2, stderr: expect.stringMatching(message) });
  });

  test("a run trained with --device cpu is the run without it", () => {
    const line = "finetune --base tiny --task rte,stsb --k 2 --epochs 1 --max-length 32 --device cpu";
    const { status, stdout, stderr } = run(line);
    expect(status).toBe(0);
    expect(stdout + stderr).toMatch(/finished|already/);
  });
});

unless(koffiAbsence()).test("the library outlives the garbage collector", () => {
  const script = `
    const { loadOrtLibrary } = require(${JSON.stringify(path.join(dist, "engines/onnx/device/c-api.js"))});
    const { bundledLibrary } = require(${JSON.stringify(path.join(dist, "engines/onnx/device/device.js"))});
    const library = loadOrtLibrary(bundledLibrary());
    const again = (left) => {
      if (left === 0) return console.log(library.make("CreateSessionOptions") > 0n);
      gc();
      setImmediate(again, left - 1);
    };
    again(10);`;
  const { status, stdout, signal } = spawnSync(process.execPath, ["--expose-gc", "-e", script], { encoding: "utf8" });
  expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: "true\n" });
});
