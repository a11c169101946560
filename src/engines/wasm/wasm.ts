// The wasm engine: tfjs's WebAssembly backend, single-threaded with SIMD. It runs wherever Node runs.

import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { engineError } from "../../errors/errors";
import { loadEagerly, registerGradients } from "../eager";
import type { Engine } from "../engine";
import { mendKernels } from "./kernels";

export async function openWasm(): Promise<Engine> {
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  const binaries = path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm"));
  wasm.setWasmPaths(`${binaries}${path.sep}`);
  await registerGradients();
  mendKernels();
  if (!(await tf.setBackend("wasm"))) {
    throw engineError("the wasm engine did not start: this Node cannot compile WebAssembly. Use --engine tensorflow");
  }
  return {
    name: "wasm",
    summary: `wasm (tfjs ${wasm.version_wasm}, SIMD, 1 thread)`,
    device: "cpu",
    threads: 1,
    precision: "float32",
    load: async (state, entries) => loadEagerly(state, entries),
    tensorCount: () => tf.memory().numTensors,
    dispose: () => tf.removeBackend("wasm"),
  };
}
