// Which device the onnx engine takes, and why one that was named is not there.

import { hasNvidiaDriver, hasNvidiaHardware, listNvidiaGpus } from "../../nvidia";
import { locateCuda } from "../cuda/builds";
import { type Adapter, isReal, tryDevice, vulkanAdapters } from "./adapters";
import { type DeviceAbsence, DeviceAbsent, explainOpening, explainVulkan, type GpuDevice, noAdapter } from "./failures";
import { loadKoffi } from "./koffi";

export interface ChosenDevice {
  readonly device: "cpu" | GpuDevice;
  /** The adapter by name, where there is one alone. */
  readonly where?: string | undefined;
  /** What "auto" found. */
  readonly why: string;
}

/** What speaks against a device, or its adapters: none where the system lists none, and the device may run all the same. */
export type Looked = DeviceAbsence | { readonly adapters: readonly Pick<Adapter, "name" | "type">[] };

/**
 * Throws engineError (6) with reason and next step where a named device is not there. "auto" takes CUDA, else a real GPU
 * through WebGPU, else the CPU.
 */
export async function chooseDevice(asked: GpuDevice | "auto"): Promise<ChosenDevice> {
  if (asked !== "auto") {
    const looked = await lookers[asked]();
    if ("reason" in looked) throw new DeviceAbsent(asked, looked);
    return { device: asked, where: nameOf(looked.adapters), why: "it was named" };
  }
  const cuda = await lookForCuda();
  if ("adapters" in cuda) {
    return { device: "cuda", where: nameOf(cuda.adapters), why: "CUDA is here" };
  }
  const webgpu = await realWebgpu();
  const without = `cuda: ${cuda.reason}`;
  if ("adapters" in webgpu) {
    const { adapters } = webgpu;
    return { device: "webgpu", where: nameOf(adapters), why: `a GPU is here (${without})` };
  }
  return { device: "cpu", why: `no GPU to use (${without}; webgpu: ${webgpu.reason})` };
}

export const lookers: Readonly<Record<GpuDevice, () => Promise<Looked>>> = {
  webgpu: lookForWebgpu,
  cuda: lookForCuda,
};

/** With several adapters the library chooses. */
const nameOf = (adapters: readonly Pick<Adapter, "name">[]): string | undefined =>
  adapters.length > 1 ? `one of ${adapters.map(({ name }) => name).join(", ")}` : adapters[0]?.name;

function koffiAbsence(): DeviceAbsence | null {
  try {
    loadKoffi();
    return null;
  } catch (error) {
    return explainOpening(error);
  }
}

async function lookForWebgpu(): Promise<Looked> {
  const absent = koffiAbsence();
  if (absent) return absent;
  if (process.platform !== "linux") return { adapters: [] }; // the provider itself is asked when it is opened
  const listed = await vulkanAdapters();
  if ("problem" in listed) return explainVulkan(listed.problem);
  return listed.found.length === 0 ? noAdapter : { adapters: listed.found };
}

async function lookForCuda(): Promise<Looked> {
  const absent = koffiAbsence();
  if (absent) return absent;
  if (process.platform !== "linux") {
    return { reason: "onnxruntime's CUDA provider is used on Linux alone", remedy: "--device webgpu takes any GPU" };
  }
  if (!hasNvidiaDriver()) {
    return hasNvidiaHardware()
      ? { reason: "an NVIDIA GPU is here without a driver", remedy: "Install NVIDIA's driver" }
      : {
          reason: "there is no NVIDIA driver",
          remedy: "CUDA needs an NVIDIA GPU and its driver; --device webgpu takes any GPU",
        };
  }
  try {
    locateCuda();
  } catch (error) {
    return explainOpening(error);
  }
  return { adapters: (await listNvidiaGpus()).map(({ name }) => ({ name, type: "discrete" })) };
}

/** As "auto" asks: no program that plays a GPU, and where the system lists no adapters, one that was tried. */
export async function realWebgpu(): Promise<Looked> {
  const looked = await lookForWebgpu();
  if ("reason" in looked) return looked;
  if (process.platform === "linux") {
    const real = looked.adapters.filter(isReal);
    if (real.length > 0) return { adapters: real };
    const names = looked.adapters.map(({ name }) => name).join(", ");
    return { reason: `${names} is no GPU but a program`, remedy: "--device webgpu takes it" };
  }
  if (process.platform !== "darwin") {
    // Windows has a program among its adapters (Microsoft's basic one), and nothing here tells it from a GPU.
    return { reason: "it is not told from a program before it is used", remedy: "Name it: --device webgpu" };
  }
  const tried = await tryDevice("webgpu");
  return "problem" in tried ? { reason: tried.problem, remedy: "See: flexbert doctor" } : looked;
}
