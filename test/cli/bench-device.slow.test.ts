// flexbert bench on a device, over SwiftShader: times of the onnx engine alone, and where the nodes of a run are.

import { expect } from "@jest/globals";
import type { EngineReport } from "../../src/benchmark/engine-report";
import { printReports } from "../../src/cli/bench-output";
import type { Terminal } from "../../src/cli/terminal";
import { onSwiftShader, webgpuAbsence } from "../engines/devices";
import { unless } from "../skips";
import { run, tiny } from "./tiny-bench";

const absent = webgpuAbsence();
if (absent !== null) console.warn(`SKIPPED: flexbert bench --device webgpu, because ${absent}`);

unless(absent).test(
  "nodes of a train step and of inference, with those that the device leaves to the CPU by operator",
  () => {
    const { status, stdout, stderr } = run(`${tiny} --length 8 --runs 1 --device webgpu --json`, onSwiftShader);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const [engine, ...others] = JSON.parse(stdout).engines as Extract<EngineReport, { present: true }>[];
    expect(others).toEqual([]);
    expect(engine).toMatchObject({ name: "onnx", device: "gpu", failure: null });
    // The profile's run is none of those that are timed.
    expect([engine?.trainStep[0]?.runs, engine?.inference[0]?.runs]).toEqual([1, 1]);
    for (const workload of ["train", "inference"] as const) {
      const { nodes = 0, copies, onCpu = [] } = engine?.placement[workload] ?? {};
      const left = onCpu.reduce((sum, one) => sum + one.nodes, 0);
      expect(left).toBeGreaterThan(0); // shapes are computed there
      expect(left).toBeLessThan(nodes / 2);
      expect(onCpu.map(({ op }) => op)).not.toContain("MatMul");
      expect(copies).toBe(0);
    }
    expect(engine?.placement.train?.nodes).toBeGreaterThan(engine?.placement.inference?.nodes as number);
    const printed: string[] = [];
    const terminal = { print: (text: string) => void printed.push(...text.split("\n")) } as Terminal;
    printReports([engine as EngineReport], 4, terminal);
    const rows = printed.map((row) => row.replace(/ +/g, " "));
    for (const [what, workload] of [
      ["train step", "train"],
      ["inference", "inference"],
    ] as const) {
      const { nodes, copies, onCpu = [] } = engine?.placement[workload] ?? {};
      const ops = onCpu.map((one) => `${one.nodes} ${one.op}`).join(", ");
      const left = onCpu.reduce((sum, one) => sum + one.nodes, 0);
      expect(rows).toContain(`onnx ${what} ${nodes} ${copies} ${left} ${ops}`);
    }
  },
);
