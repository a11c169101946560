// A session on a device: what it is fed stays where it is between runs, and what it gives is fetched or stays on the
// device, as the caller says.

import type { ValueType } from "../../../compile/graph/graph";
import type { ProductType } from "../../../compile/onnx/lowering";
import { float32, type HostTensor, int32, sizeOf } from "../../../model/tensors";
import type { OrtLibrary, Pointer } from "./c-api";

/** ONNXTensorElementDataType. */
const elementTypes = { float32: 1, uint8: 2, int32: 6 } as const;
/** Of float32 and of int32. */
const ELEMENT_BYTES = 4;
/** Of OrtAllocatorType and OrtMemType: the device's allocator, its default memory. */
const [DEVICE_ALLOCATOR, DEFAULT_MEMORY] = [0, 0] as const;
/** GraphOptimizationLevel. */
const levels = { basic: 1, all: 99 } as const;

/** Where a provider keeps what stays on its device, and how it is added to a session. */
export interface Provider {
  readonly name: "cpu" | "webgpu" | "cuda";
  /** OrtMemoryInfo's name. */
  readonly memory: string;
  readonly deviceId: number;
  /** Whether it has attention in one kernel, with a bias. */
  readonly attention: boolean;
  append(library: OrtLibrary, options: Pointer): void;
}

export const cpuProvider: Provider = {
  name: "cpu",
  memory: "Cpu",
  deviceId: 0,
  attention: true,
  append: () => undefined,
};

export const webgpuProvider: Provider = {
  name: "webgpu",
  memory: "WebGPU_Buf",
  deviceId: 0,
  attention: false,
  append: (library, options) => library.call("AppendProvider", options, "WebGPU", [], [], 0),
};

export function cudaProvider(deviceId: number, tf32: boolean): Provider {
  return {
    name: "cuda",
    memory: "Cuda",
    deviceId,
    attention: true,
    append(library, options) {
      const cuda = library.make("CreateCUDAProviderOptions");
      try {
        const chosen = { device_id: String(deviceId), use_tf32: tf32 ? "1" : "0" };
        library.call("UpdateCUDAProviderOptions", cuda, Object.keys(chosen), Object.values(chosen), 2);
        library.call("AppendCuda", options, cuda);
      } finally {
        library.release("ReleaseCUDAProviderOptions", cuda);
      }
    },
  };
}

export interface DeviceSettings {
  readonly library: OrtLibrary;
  readonly provider: Provider;
  readonly products: ProductType;
  readonly threads: number;
  readonly verbose: boolean;
  /** Where each session writes a profile when it ends, as the beginning of a file's name. */
  readonly profile?: string | undefined;
}

/** A value on the device. Whoever has it releases it. */
export type DeviceValue = Pointer;

export interface DeviceSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Feeds an input from now on; the host's values are copied to the device. */
  bind(name: string, value: DeviceValue): void;
  bindHost(name: string, tensor: HostTensor): void;
  /** An input that the model takes as bits. */
  bindBits(name: string, bytes: Uint8Array): void;
  /** Lets go of what an input is bound to; it must be bound again before the next run. */
  drop(name: string): void;
  /** Runs with what is bound. `kept` stay on the device, `fetched` come back; no output is left out. */
  run(kept: readonly string[], fetched: readonly string[]): Promise<RunResult>;
  /** Of a value on the device. */
  typeOf(value: DeviceValue): ValueType;
  /** Lets go of what is bound: a value must not outlive the session whose memory it is in. */
  unbind(): void;
  /** Ends it, after `unbind`; with a profile, the file that it wrote. */
  dispose(): string | null;
}

export interface RunResult {
  readonly kept: Map<string, DeviceValue>;
  readonly fetched: Map<string, HostTensor>;
}

/**
 * Opens a model's bytes, or a file. Throws onnxruntime's message. `basic` is for graphs with gradients: fusing a residual's Add into
 * a LayerNormalization drops the output that the gradient needs (1.30, CUDA and WebGPU: "Missing Input").
 */
export function openDeviceSession(
  settings: DeviceSettings,
  model: Uint8Array | string,
  level: keyof typeof levels = "basic",
): DeviceSession {
  const { library, provider } = settings;
  const session = createSession(settings, model, level);
  const binding = library.make("CreateIoBinding", session);
  const held = new Map<string, ArrayBufferView>(); // what a binding to the host's memory points to
  const bound = new Set<string>(); // outputs in the order in which they were first bound, which stays theirs
  const hostMemory = library.make("CreateMemoryInfo", "Cpu", DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY);
  const deviceMemory = library.make(
    "CreateMemoryInfo",
    provider.memory,
    DEVICE_ALLOCATOR,
    provider.deviceId,
    DEFAULT_MEMORY,
  );
  const bindElements = (
    name: string,
    type: keyof typeof elementTypes,
    elements: Float32Array | Int32Array | Uint8Array,
    shape: readonly number[],
  ): void => {
    const sizes = BigInt64Array.from(shape, BigInt);
    const value = library.make(
      "CreateTensorWithDataAsOrtValue",
      hostMemory,
      library.address(elements),
      elements.byteLength,
      sizes,
      sizes.length,
      elementTypes[type],
    );
    held.set(name, elements);
    library.call("BindInput", binding, name, value); // copies to the device, and keeps its own reference elsewhere
    library.release("ReleaseValue", value);
  };
  return {
    inputs: namesOf(library, session, "Input"),
    outputs: namesOf(library, session, "Output"),
    bind(name, value) {
      library.call("BindInput", binding, name, value);
      held.delete(name);
    },
    bindHost: (name, { dtype, data, shape }) => bindElements(name, dtype, data, shape),
    bindBits(name, given) {
      if (provider.name === "webgpu") bindElements(name, "int32", Int32Array.from(given), [given.length]);
      else bindElements(name, "uint8", given, [given.length]);
    },
    // The C API takes back all inputs or none, so another value takes its place.
    drop: (name) => bindElements(name, "float32", new Float32Array(1), [1]),
    async run(kept, fetched) {
      const bindOutput = (name: string, memory: Pointer) => {
        library.call("BindOutputToDevice", binding, name, memory);
        bound.add(name);
      };
      for (const name of kept) bindOutput(name, deviceMemory);
      for (const name of fetched) bindOutput(name, hostMemory);
      await library.callAsync("RunWithBinding", session, null, binding);
      const values = boundValues(library, binding);
      const byName = new Map([...bound].map((name, at) => [name, values[at] as Pointer]));
      return {
        kept: new Map(kept.map((name) => [name, byName.get(name) as Pointer])),
        fetched: new Map(fetched.map((name) => [name, readHost(library, byName.get(name) as Pointer)])),
      };
    },
    typeOf: (value) => typeOf(library, value),
    unbind() {
      library.release("ReleaseIoBinding", binding);
      for (const memory of [hostMemory, deviceMemory]) library.release("ReleaseMemoryInfo", memory);
      held.clear();
    },
    dispose() {
      const profile =
        settings.profile === undefined ? null : library.make("SessionEndProfiling", session, library.allocator);
      library.release("ReleaseSession", session);
      return profile === null ? null : library.text(profile);
    },
  };
}

function createSession(settings: DeviceSettings, model: Uint8Array | string, level: keyof typeof levels): Pointer {
  const { library, provider, threads, verbose, profile } = settings;
  const options = library.make("CreateSessionOptions");
  try {
    library.call("SetSessionGraphOptimizationLevel", options, levels[level]);
    library.call("SetIntraOpNumThreads", options, threads);
    library.call("SetSessionLogSeverityLevel", options, verbose ? 1 : 3);
    library.call("AddSessionConfigEntry", options, "session.force_spinning_stop", "1");
    if (profile !== undefined) library.call("EnableProfiling", options, profile);
    provider.append(library, options);
    return typeof model === "string"
      ? library.make("CreateSession", library.environment, model, options)
      : library.make("CreateSessionFromArray", library.environment, model, model.byteLength, options);
  } finally {
    library.release("ReleaseSessionOptions", options);
  }
}

function namesOf(library: OrtLibrary, session: Pointer, side: "Input" | "Output"): string[] {
  const count = library.count(`SessionGet${side}Count`, session);
  return Array.from({ length: count }, (_, at) =>
    library.text(library.make(`SessionGet${side}Name`, session, at, library.allocator)),
  );
}

/** In the order in which their outputs were first bound. */
function boundValues(library: OrtLibrary, binding: Pointer): Pointer[] {
  const [values, count] = [[null] as [Pointer | null], [0] as [number | bigint]];
  library.call("GetBoundOutputValues", binding, library.allocator, values, count);
  const pointers = library.pointers(values[0] as Pointer, Number(count[0]));
  library.call("AllocatorFree", library.allocator, values[0]);
  return pointers;
}

/** Throws for element types that programs do not give. */
function typeOf(library: OrtLibrary, value: Pointer): ValueType {
  const info = library.make("GetTensorTypeAndShape", value);
  const rank = library.count("GetDimensionsCount", info);
  const sizes = new BigInt64Array(rank);
  library.call("GetDimensions", info, sizes, rank);
  const type = library.count("GetTensorElementType", info);
  library.release("ReleaseTensorTypeAndShapeInfo", info);
  const shape = Array.from(sizes, Number);
  if (type === elementTypes.float32) return { dtype: "float32", shape };
  if (type === elementTypes.int32) return { dtype: "int32", shape };
  throw new Error(`an output has onnxruntime's element type ${type}; programs give float32 and int32`);
}

/** Copies a value of host memory out of the library, and releases it. */
export function readHost(library: OrtLibrary, value: Pointer): HostTensor {
  try {
    const { dtype, shape } = typeOf(library, value);
    const bytes = ELEMENT_BYTES * sizeOf(shape);
    const copy =
      bytes === 0 ? new ArrayBuffer(0) : library.view(library.make("GetTensorMutableData", value), bytes).slice(0);
    return dtype === "float32" ? float32(shape, new Float32Array(copy)) : int32(shape, new Int32Array(copy));
  } finally {
    library.release("ReleaseValue", value);
  }
}
