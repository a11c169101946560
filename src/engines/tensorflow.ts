// The tensorflow engine: @tensorflow/tfjs-node-gpu, or the folder that FLEXBERT_TFJS_NODE names. Eager for now.

import util from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { loadEagerly, registerGradients } from "./eager";
import type { Engine } from "./engine";

interface NodeBackend {
  readonly binding: { readonly TF_Version: string };
  readonly isUsingGpuDevice: boolean;
}

/** Loads the native package. Throws what the package throws where its addon or TensorFlow is absent. */
export async function openTensorflow(options: { threads?: number; verbose?: boolean }): Promise<Engine> {
  restoreUtil();
  if (!options.verbose) process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";
  if (options.threads !== undefined) {
    // TensorFlow reads these once, when its first session starts.
    process.env["TF_NUM_INTRAOP_THREADS"] = process.env["OMP_NUM_THREADS"] = String(options.threads);
    process.env["TF_NUM_INTEROP_THREADS"] = "1";
  }
  const name = process.env["FLEXBERT_TFJS_NODE"] ?? "@tensorflow/tfjs-node-gpu";
  quietly(() => require(name), options.verbose ?? false);
  await registerGradients();
  if (!(await tf.setBackend("tensorflow"))) throw new Error(`${name} registered no backend named tensorflow`);
  const backend = tf.backend() as unknown as NodeBackend;
  const device = backend.isUsingGpuDevice ? "gpu" : "cpu";
  const threads = options.threads ?? (await import("node:os")).availableParallelism();
  return {
    name: "tensorflow",
    summary: `tensorflow ${backend.binding.TF_Version} (${device}${device === "cpu" ? `, ${threads} threads` : ""})`,
    device,
    threads,
    load: async (state, entries) => loadEagerly(state, entries),
    tensorCount: () => tf.memory().numTensors,
    dispose: () => undefined,
  };
}

/** tfjs-node 4.22 calls two functions that Node 23 removed (tensorflow/tfjs#8609). */
function restoreUtil(): void {
  const removed = util as unknown as Record<string, unknown>;
  removed["isNullOrUndefined"] ??= (value: unknown) => value === null || value === undefined;
  removed["isArray"] ??= Array.isArray;
}

/** tfjs warns on the console when a second copy of it loads; that is expected here and of no use to a user. */
function quietly(load: () => unknown, verbose: boolean): void {
  if (verbose) {
    load();
    return;
  }
  const { warn } = console;
  console.warn = () => undefined;
  try {
    load();
  } finally {
    console.warn = warn;
  }
}
