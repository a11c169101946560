// The onnx engine on a GPU: onnxruntime's WebGPU provider, which lies in its npm package, or its CUDA provider, which
// `flexbert engine install onnx-cuda` brings. State, moments and the update stay on the device.

import { availableParallelism } from "node:os";
import path from "node:path";
import type { DynamicAxes, EntryPoint } from "../../../model/entry-point";
import type { HostTensors } from "../../../model/tensors";
import type { Precision } from "../../../settings/engine";
import type { Engine } from "../../engine";
import { openPrograms } from "../../open-programs";
import { locateCuda } from "../cuda/builds";
import { silenceTelemetry } from "../runtime";
import { loadOrtLibrary, type OrtLibrary } from "./c-api";
import { DeviceAbsent, explainOpening, explainRun } from "./failures";
import { openDeviceGraph } from "./graph-program";
import { cpuProvider, cudaProvider, type DeviceSettings, type Provider, webgpuProvider } from "./session";
import { tryOut } from "./try-out";
import { openTurns, type Turns } from "./turns";

export interface DeviceOptions {
  /** "cpu" is for tests: the same code without a device. */
  readonly device: "cpu" | "webgpu" | "cuda";
  /** Its adapter by name. */
  readonly where?: string | undefined;
  readonly threads?: number;
  readonly verbose?: boolean;
  readonly precision?: Precision;
  /** Where each session writes onnxruntime's profile when it ends, as the beginning of a file's name. */
  readonly profile?: string | undefined;
}

/** Runs of all engines of the process: there is one device. */
const inTurn = openTurns();

/**
 * Throws engineError (6) where the device does not open, or computes a small product wrong. WebGPU has float32 alone, which open.ts
 * says to whoever asks for more.
 */
export async function openOnnxDevice(options: DeviceOptions): Promise<Engine> {
  const { device, where, precision = "float32" } = options;
  const threads = options.threads ?? availableParallelism();
  const settings = await openSettings(options, threads);
  const { library } = settings;
  const explained = <T>(run: () => Promise<T>): Promise<T> =>
    inTurn(run).catch((error) => {
      throw device === "cpu" ? error : explainRun(device, error);
    });
  const turns: Turns = Object.assign(explained, { brief: inTurn.brief });
  const on = where === undefined ? device : `${device} on ${where}`;
  const programs = openPrograms();
  return {
    name: "onnx",
    summary: `onnx (${[`onnxruntime ${library.version}`, on, ...(precision === "float32" ? [] : [precision])].join(", ")})`,
    device: device === "cpu" ? "cpu" : "gpu",
    threads,
    precision,
    async load<E extends string>(
      state: HostTensors,
      entries: Readonly<Record<E, EntryPoint>>,
      axes?: Readonly<Partial<Record<E, DynamicAxes>>>,
    ) {
      const { registerGradients } = await import("../../eager.js");
      await registerGradients();
      const { loadDeviceProgram } = await import("./program.js");
      return programs.counted(loadDeviceProgram<E>(settings, turns, state, entries, axes));
    },
    // In its turn as well: its weights go to the device.
    openGraph: (file) => turns(async () => programs.counted(openDeviceGraph(settings, turns, file))),
    saturates: async () => false, // products of bytes are the CPU's
    tensorCount: () => programs.count(),
    dispose: () => undefined,
  };
}

/** TF32 is how CUDA computes products of float32. */
const productTypes = { float32: "float32", tf32: "float32", bf16: "bfloat16", float16: "float16" } as const;

async function openSettings(options: DeviceOptions, threads: number) {
  const { device, precision = "float32", verbose = false, profile } = options;
  try {
    const settings: DeviceSettings = {
      library: libraryOf(device),
      provider: providerOf(device, precision),
      products: productTypes[precision],
      threads,
      verbose,
    };
    await inTurn(() => tryOut(settings));
    return { ...settings, profile };
  } catch (error) {
    if (device === "cpu") throw error;
    throw new DeviceAbsent(device, explainOpening(error), error);
  }
}

function providerOf(device: DeviceOptions["device"], precision: Precision): Provider {
  if (device === "cpu") return cpuProvider;
  return device === "webgpu" ? webgpuProvider : cudaProvider(0, precision !== "float32");
}

const loaded = new Map<string, OrtLibrary>();

/** Loaded once a process. */
function libraryOf(device: DeviceOptions["device"]): OrtLibrary {
  silenceTelemetry();
  const { library, preload } = device === "cuda" ? locateCuda() : { library: bundledLibrary(), preload: [] };
  const known = loaded.get(library) ?? loadOrtLibrary(library, preload);
  loaded.set(library, known);
  return known;
}

/** onnxruntime's library in its npm package. */
export function bundledLibrary(): string {
  const folder = path.dirname(require.resolve("onnxruntime-node/package.json"));
  const names = { linux: "libonnxruntime.so.1", darwin: "libonnxruntime.1.dylib", win32: "onnxruntime.dll" };
  const name = names[process.platform as keyof typeof names];
  if (name === undefined) throw new Error(`onnxruntime-node has no library for ${process.platform}`);
  return path.join(folder, "bin", "napi-v6", process.platform, process.arch, name);
}
