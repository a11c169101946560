// The tensorflow engine: TensorFlow's C library through tfjs-node's addon. Entry points are compiled to signatures of a
// SavedModel whose variables stay on the device.

import os from "node:os";
import * as tf from "@tensorflow/tfjs-core";
import type { ProductType } from "../../compile/tensorflow/emitter";
import type { Compiled } from "../../compile/tensorflow/tensorflow";
import { usageError } from "../../errors/errors";
import type { DynamicAxes, EntryPoint } from "../../model/entry-point";
import type { Precision } from "../../settings/engine";
import { loadEagerly, registerGradients } from "../eager";
import type { Engine } from "../engine";
import { openPrograms } from "../open-programs";
import { type LoadedTensorflow, loadTensorflow, locateTensorflow, MODE_VARIABLE, prepareEnvironment } from "./load";
import { loadTensorflowProgram } from "./program";

const BACKEND = "tensorflow";

const modes = { auto: "auto", eager: "eager", graph: "nothing", loops: "loops", xla: "everything" } as const;
type Mode = (typeof modes)[keyof typeof modes];

/** Below it XLA's second of compiling updates is more than a thousand steps gain by them (docs/decisions.md). */
const LARGE_STATE_BYTES = 16e6;

const productTypes: Readonly<Record<Precision, ProductType>> = {
  float32: "float32",
  tf32: "float32",
  bf16: "bfloat16",
  float16: "float16",
};

export interface TensorflowOptions {
  readonly threads?: number;
  readonly verbose?: boolean;
  readonly precision?: Precision;
}

/** Throws TensorflowAbsent where nothing is installed, and what the library throws where it does not load. */
export async function openTensorflow(options: TensorflowOptions): Promise<Engine> {
  const { precision = "float32" } = options;
  const mode = readMode(precision);
  const { binding, createBackend } = await startTensorflow(options);
  await registerGradients();
  if (!tf.findBackend(BACKEND)) tf.registerBackend(BACKEND, () => createBackend() as tf.KernelBackend, 3);
  if (!(await tf.setBackend(BACKEND))) throw new Error("tfjs does not take TensorFlow as its backend");
  const device = binding.isUsingGpuDevice() ? "gpu" : "cpu";
  if (precision === "tf32" && device === "cpu") {
    throw usageError("--precision tf32 is a setting of GPUs, and TensorFlow runs on the CPU here. Use float32 or bf16");
  }
  const threads = options.threads ?? os.availableParallelism();
  const programs = openPrograms();
  return {
    name: "tensorflow",
    summary: summaryOf(binding.TF_Version, device, threads, precision),
    device,
    threads,
    precision,
    async load<E extends string>(
      state: Parameters<Engine["load"]>[0],
      entries: Readonly<Record<E, EntryPoint>>,
      axes?: Readonly<Partial<Record<E, DynamicAxes>>>,
    ) {
      if (mode === "eager") return loadEagerly(state, entries);
      const large = Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0) > LARGE_STATE_BYTES;
      const compiled: Compiled = mode !== "auto" ? mode : large ? "loops" : "nothing";
      const settings = {
        products: precision === "float16" && device === "cpu" ? "rounded" : productTypes[precision],
        // What changes nothing is called with many sizes, each of which XLA would compile anew.
        compiles: ({ updates }: { readonly updates: boolean }) => (updates ? compiled : "nothing"),
      };
      return programs.counted(loadTensorflowProgram<E>(binding, settings, state, entries, axes));
    },
    tensorCount: () => tf.memory().numTensors + programs.count(),
    dispose: () => undefined,
  };
}

/** Loads the library with its settings. Throws TensorflowAbsent. */
export async function startTensorflow(options: TensorflowOptions): Promise<LoadedTensorflow> {
  const { precision = "float32", verbose = false } = options;
  const source = locateTensorflow();
  await prepareEnvironment(source, verbose);
  if (options.threads !== undefined) {
    // TensorFlow reads these once, when its first session starts.
    process.env["TF_NUM_INTRAOP_THREADS"] = process.env["OMP_NUM_THREADS"] = String(options.threads);
    process.env["TF_NUM_INTEROP_THREADS"] = "1";
  }
  // TensorFlow takes TF32 for float32 products on a GPU unless CUDA's libraries are told otherwise.
  if (precision !== "tf32") process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
  process.env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true";
  return loadTensorflow(source, verbose);
}

function readMode(precision: Precision): Mode {
  const mode = process.env[MODE_VARIABLE] ?? "auto";
  if (!(mode in modes)) {
    throw usageError(`${MODE_VARIABLE} is ${mode}; it is one of ${Object.keys(modes).join(", ")}`);
  }
  const chosen = modes[mode as keyof typeof modes];
  if (chosen === "eager" && precision !== "float32") {
    throw usageError(`${MODE_VARIABLE}=eager runs float32 only, not --precision ${precision}. Unset the variable`);
  }
  return chosen;
}

function summaryOf(version: string, device: string, threads: number, precision: Precision): string {
  const parts = [device, ...(device === "cpu" ? [`${threads} threads`] : [])];
  return `tensorflow ${version} (${[...parts, ...(precision === "float32" ? [] : [precision])].join(", ")})`;
}
