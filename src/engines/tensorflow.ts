// The tensorflow engine: TensorFlow's C library through tfjs-node's addon. Eager for now.

import os from "node:os";
import * as tf from "@tensorflow/tfjs-core";
import { loadEagerly, registerGradients } from "./eager";
import type { Engine } from "./engine";
import { loadCompiled, type TensorflowSettings } from "./tensorflow-program";
import { loadTensorflow, locateTensorflow, prepareEnvironment } from "./tensorflow-load";

const BACKEND = "tensorflow";

/** Throws TensorflowAbsent where nothing is installed, and what the library throws where it does not load. */
export async function openTensorflow(options: { threads?: number; verbose?: boolean }): Promise<Engine> {
  const source = locateTensorflow();
  const verbose = options.verbose ?? false;
  await prepareEnvironment(source, verbose);
  if (options.threads !== undefined) {
    // TensorFlow reads these once, when its first session starts.
    process.env["TF_NUM_INTRAOP_THREADS"] = process.env["OMP_NUM_THREADS"] = String(options.threads);
    process.env["TF_NUM_INTEROP_THREADS"] = "1";
  }
  const { binding, createBackend } = loadTensorflow(source, verbose);
  await registerGradients();
  if (!tf.findBackend(BACKEND)) tf.registerBackend(BACKEND, () => createBackend() as tf.KernelBackend, 3);
  if (!(await tf.setBackend(BACKEND))) throw new Error("tfjs does not take TensorFlow as its backend");
  const device = binding.isUsingGpuDevice() ? "gpu" : "cpu";
  const threads = options.threads ?? os.availableParallelism();
  return {
    name: "tensorflow",
    summary: `tensorflow ${binding.TF_Version} (${device}${device === "cpu" ? `, ${threads} threads` : ""})`,
    device,
    threads,
    async load(state, entries, axes) {
      const mode = process.env["TFMODE"] ?? "train";
      if (mode === "eager") return loadEagerly(state, entries);
      const settings: TensorflowSettings = { products: (process.env["TFPROD"] ?? "float32") as "float32", compiles: ({ updates }) => (mode === "all" || (mode === "train" && updates) ? "everything" : mode === "updates" && updates ? "updates" : "nothing") };
      return loadCompiled(binding, settings, state, entries, axes);
    },
    tensorCount: () => tf.memory().numTensors,
    dispose: () => undefined,
  };
}
