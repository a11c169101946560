// The wasm engine: tfjs's WebAssembly backend, single-threaded with SIMD. It runs wherever Node runs.

import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { engineError } from "../../errors/errors";
import { loadEagerly, registerGradients } from "../eager";
import type { Engine } from "../engine";
import { mendKernels } from "./kernels";

/** Engines that are open. All of them run on tfjs's one backend of this name, and the last frees its memory. */
let engines = 0;

export async function openWasm(): Promise<Engine> {
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  const binaries = path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm"));
  wasm.setWasmPaths(`${binaries}${path.sep}`);
  await registerGradients();
  mendKernels();
  if (!(await tf.setBackend("wasm"))) {
    throw engineError("the wasm engine did not start: this Node cannot compile WebAssembly. Use --engine tensorflow");
  }
  engines++;
  let closed = false;
  return {
    name: "wasm",
    summary: `wasm (tfjs ${wasm.version_wasm}, SIMD, 1 thread)`,
    device: "cpu",
    threads: 1,
    precision: "float32",
    load: async (state, entries) => loadEagerly(state, entries),
    tensorCount: () => tf.memory().numTensors,
    dispose() {
      if (closed) return;
      closed = true;
      if (--engines === 0) freeBackend();
    },
  };
}

/** tfjs forgets how to make a backend that it removes: the next engine needs it again. */
function freeBackend(): void {
  const factory = tf.findBackendFactory("wasm");
  tf.removeBackend("wasm");
  tf.registerBackend("wasm", factory);
}
