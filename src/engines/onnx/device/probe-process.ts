// A process that asks a driver, started by adapters.ts: its one line on stdout is the answer.

import { writeSync } from "node:fs";
import { oneLine } from "../../../errors/errors";
import type { Probed, ProbeName } from "./adapters";
import { DeviceAbsent } from "./failures";

const probes: Readonly<Record<ProbeName, () => Promise<unknown>>> = {
  vulkan: async () => (await import("./vulkan.js")).listVulkanAdapters(),
  webgpu: () => tryOut("webgpu"),
  cuda: () => tryOut("cuda"),
};

async function tryOut(device: "webgpu" | "cuda"): Promise<{ readonly summary: string }> {
  const { openOnnxDevice } = await import("./device.js");
  const { summary } = await openOnnxDevice({ device, threads: 1 });
  return { summary };
}

async function answer(): Promise<Probed<unknown>> {
  try {
    const probe = probes[process.argv[2] as ProbeName];
    return { found: await probe() };
  } catch (error) {
    return { problem: error instanceof DeviceAbsent ? error.opening : oneLine(error) };
  }
}

void answer().then((probed) => {
  // In whole before the process ends: a driver's own end may crash it.
  writeSync(1, `flexbert-probe ${JSON.stringify(probed)}\n`);
  process.exit();
});
