// What doctor says of devices: the adapters that the system lists, whether each device computes, and what "auto" would take.

import { type Adapter, isReal, tryDevice, vulkanAdapters } from "./adapters";
import { chooseDevice, lookers } from "./choose";
import type { GpuDevice } from "./failures";

export type DeviceDiagnosis =
  | { readonly name: GpuDevice; readonly works: true; readonly summary: string; readonly note: string | null }
  | { readonly name: GpuDevice; readonly works: false; readonly reason: string; readonly remedy: string };

export interface Devices {
  /** Vulkan's; null where the system has no such list (macOS, Windows), or it cannot be read. */
  readonly adapters: readonly Adapter[] | null;
  readonly devices: readonly DeviceDiagnosis[];
  /** What `--device auto` takes, and why. */
  readonly auto: { readonly device: "cpu" | GpuDevice; readonly why: string };
}

/** Each device is opened in a process of its own, and multiplies two small matrices there. */
export async function diagnoseDevices(): Promise<Devices> {
  const listed = process.platform === "linux" ? await vulkanAdapters() : null;
  const adapters = listed && "found" in listed ? listed.found : null;
  const devices = [await diagnose("webgpu", adapters), await diagnose("cuda", null)];
  const { device, why } = await chooseDevice("auto");
  return { adapters, devices, auto: { device, why } };
}

async function diagnose(name: GpuDevice, adapters: readonly Adapter[] | null): Promise<DeviceDiagnosis> {
  const looked = await lookers[name]();
  if ("reason" in looked) return { name, works: false, ...looked };
  const tried = await tryDevice(name);
  if ("problem" in tried) {
    return {
      name,
      works: false,
      reason: tried.problem,
      remedy: "Update the GPU's driver; --device cpu runs without it",
    };
  }
  const software = adapters !== null && !adapters.some(isReal);
  return {
    name,
    works: true,
    summary: tried.found.summary,
    note: software ? "its adapter is a program on the CPU: right, and many times slower than --device cpu" : null,
  };
}
