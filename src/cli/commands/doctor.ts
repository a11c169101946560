// flexbert doctor: what runs here, how fast, and what is missing. Made to be pasted into an issue.

import { doctor } from "../../api/doctor";
import type { Diagnosis } from "../../engines/diagnose";
import type { Adapter } from "../../engines/onnx/device/adapters";
import type { DeviceDiagnosis } from "../../engines/onnx/device/diagnose";
import { formatBytes } from "../../files/atomic";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const doctorCommand = defineCommand({
  description:
    "Opens every engine and measures a matrix product on it, and says which devices the onnx engine could run on. Takes a few " +
    "seconds.",
  options: {},
  examples: ["doctor", "doctor --json"],
  async run(_values, terminal) {
    const { machine, engines, devices, autoDevice } = await doctor(terminal);
    if (terminal.json) {
      terminal.printJson({ machine, engines, devices, autoDevice });
      return;
    }
    terminal.print(
      `flexbert ${machine.flexbert}, Node ${machine.node} on ${machine.platform}, ${machine.cores} cores (${machine.cpu})`,
    );
    terminal.print(`memory ${formatBytes(machine.memoryBytes)}, ${formatBytes(machine.freeMemoryBytes)} free`);
    terminal.print(`working folder ${machine.workingFolder}, ${showFree(machine.workingFolderFreeBytes)}`);
    terminal.print(
      `cache ${machine.cacheFolder}, ${showFree(machine.cacheFreeBytes)}; bases: ${machine.bases.join(", ") || "none (flexbert pull NAME)"}`,
    );
    if (machine.cacheProblem) terminal.print(machine.cacheProblem);
    for (const gpu of machine.gpus) {
      terminal.print(
        `GPU ${gpu.name}, ${formatBytes(gpu.memoryBytes)}, ${formatBytes(gpu.freeMemoryBytes)} free, driver ${gpu.driver}`,
      );
    }
    for (const adapter of machine.adapters ?? []) terminal.print(describeAdapter(adapter));
    if (machine.gpuProblem) terminal.print(machine.gpuProblem);
    printEngines(engines, terminal);
    printDevices(devices, autoDevice, terminal);
  },
});

function describeAdapter({ name, type, vendor, api, driver, memoryBytes, limits }: Adapter): string {
  const what = type === "cpu" ? "a program on the CPU" : `${type} GPU`;
  const { maxStorageBufferRange, maxPerStageDescriptorStorageBuffers, maxComputeWorkGroupInvocations } = limits;
  return (
    `adapter ${name} (${vendor}), ${what}, ${formatBytes(memoryBytes)}, ${api}${driver === null ? "" : `, driver ${driver}`}; ` +
    `buffers to ${formatBytes(maxStorageBufferRange)}, ${maxPerStageDescriptorStorageBuffers} a shader, ` +
    `work groups to ${maxComputeWorkGroupInvocations}`
  );
}

const showFree = (bytes: number | null) => (bytes === null ? "free space unknown" : `${formatBytes(bytes)} free`);

function printEngines(engines: readonly Diagnosis[], terminal: Terminal): void {
  const rows = engines.map((engine) =>
    engine.present
      ? [engine.name, "present", engine.summary, `${(engine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`]
      : [engine.name, "absent", engine.reason, ""],
  );
  terminal.print(`\n${table(["engine", "", "", "matrix product"], rows)}`);
  for (const engine of engines) {
    if (engine.present && engine.source) terminal.print(`\n${engine.name}: from ${engine.source}`);
    const next = engine.present ? engine.improvement : engine.remedy;
    if (next) terminal.print(`\n${engine.name}: ${next}`);
  }
  const first = engines.find((engine) => engine.present || engine.wrongSetting);
  if (first?.present) terminal.print(`\n--engine auto takes ${first.name}`);
  else if (first) terminal.print(`\n--engine auto stops at that setting of ${first.name}'s, too`);
}

function printDevices(
  devices: readonly DeviceDiagnosis[],
  auto: { readonly device: string; readonly why: string },
  terminal: Terminal,
): void {
  terminal.print("");
  for (const device of devices) {
    terminal.print(
      device.works
        ? `--device ${device.name} works: ${device.summary}${device.note === null ? "" : `; ${device.note}`}`
        : `--device ${device.name} does not: ${device.reason}. ${device.remedy}`,
    );
  }
  terminal.print(`--device auto takes ${auto.device}: ${auto.why}`);
}
