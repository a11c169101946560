// Which nodes a device leaves to the CPU: read from what onnxruntime writes, of programs that really ran and of events made up here.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openOnnxDevice } from "../../src/engines/onnx/device/device";
import { readPlacement } from "../../src/engines/onnx/device/placement";
import { loadTinyBert, ownReference } from "../reference";
import { unless } from "../skips";
import { forward } from "./curves";
import { koffiAbsence } from "./devices";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "placement-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function profile(name: string, events: readonly object[]): string {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(events));
  return file;
}

const node = (op: string, index: number, provider: string) => ({
  cat: "Node",
  name: `${op}_${index}_kernel_time`,
  dur: 3,
  args: { op_name: op, provider: `${provider}ExecutionProvider`, node_index: String(index) },
});

test("nodes of all sessions count once, copies apart, the CPU's by operator", () => {
  const first = [
    { cat: "Session", name: "session_initialization", dur: 9 },
    node("MemcpyFromHost", 8, "CUDA"),
    node("MatMul", 0, "CUDA"),
    node("Concat", 1, "CPU"),
    node("Concat", 2, "CPU"),
    node("Add", 3, "CPU"),
    { cat: "Api", name: "&MatMul&MatMul", dur: 1 }, // a kernel of the device
  ];
  const second = [node("Add", 3, "CPU"), node("Gather", 0, "CPU"), node("MemcpyToHost", 1, "CUDA")];
  // A run more adds nothing.
  const files = [profile("a.json", [...first, ...first]), profile("b.json", second)];
  expect(readPlacement(files)).toEqual({
    nodes: 6,
    copies: 2,
    onCpu: [
      { op: "Add", nodes: 2 },
      { op: "Concat", nodes: 2 },
      { op: "Gather", nodes: 1 },
    ],
  });
});

test("a profile without a node is an error: it does not say that nothing is on the CPU", () => {
  const file = profile("none.json", [{ cat: "Session", name: "model_loading_array", dur: 9 }]);
  expect(() => readPlacement([file])).toThrow(/names no node \(1 files\)/);
});

const absent = koffiAbsence();
if (absent !== null) console.warn(`SKIPPED: a program's profile, because ${absent}`);

unless(absent).test(
  "a program's profile is there when it is disposed; on the cpu device every node is the CPU's",
  async () => {
    require("onnxruntime-node"); // holds the library when Jest drops this file's modules
    const { expected, config, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
    const files = () => readdirSync(folder).filter((file) => file.startsWith("run"));
    await forward(await openOnnxDevice({ device: "cpu" }), config, tensors, expected);
    expect(files()).toEqual([]);
    await forward(
      await openOnnxDevice({ device: "cpu", profile: path.join(folder, "run") }),
      config,
      tensors,
      expected,
    );
    expect(files()).toHaveLength(1);
    const { nodes, copies, onCpu } = readPlacement(files().map((file) => path.join(folder, file)));
    expect(copies).toBe(0);
    expect(onCpu.reduce((sum, one) => sum + one.nodes, 0)).toBe(nodes);
    // Each of its layers has products, and one of them is of queries and keys.
    expect(nodes).toBeGreaterThan(10 * config.numHiddenLayers);
    expect(onCpu.map(({ op }) => op)).toContain("LayerNormalization");
  },
);
