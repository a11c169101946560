// The wasm engine: tfjs's WebAssembly backend, single-threaded with SIMD. It runs wherever Node runs.

import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { engineError } from "../errors/errors";
import { loadEagerly, registerGradients } from "./eager";
import type { Engine } from "./engine";

export async function openWasm(): Promise<Engine> {
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  const binaries = path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm"));
  wasm.setWasmPaths(`${binaries}${path.sep}`);
  registerMissingKernels();
  await registerGradients();
  if (!(await tf.setBackend("wasm"))) {
    throw engineError("the wasm engine did not start: this Node cannot compile WebAssembly. Use --engine tensorflow");
  }
  return {
    name: "wasm",
    summary: `wasm (tfjs ${wasm.version_wasm}, SIMD, 1 thread)`,
    device: "cpu",
    threads: 1,
    load: async (state, entries) => loadEagerly(state, entries),
    tensorCount: () => tf.memory().numTensors,
    dispose: () => tf.removeBackend("wasm"),
  };
}

interface WasmMemory {
  readSync(id: object): Float32Array | Int32Array;
  makeOutput(shape: number[], dtype: string): tf.TensorInfo;
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
}

/** The backend has no UnsortedSegmentSum, which the embedding's gradient is made of (training every layer). */
function registerMissingKernels(): void {
  if (tf.getKernel("UnsortedSegmentSum", "wasm")) return;
  tf.registerKernel({
    kernelName: "UnsortedSegmentSum",
    backendName: "wasm",
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
      const numSegments = (attrs as unknown as { numSegments: number }).numSegments;
      const memory = backend as WasmMemory;
      const width = x.shape.slice(1).reduce((product, size) => product * size, 1);
      const out = memory.makeOutput([numSegments, ...x.shape.slice(1)], x.dtype);
      // The output is made first: growing the heap detaches every view of it that exists by then.
      const sums = memory.typedArrayFromHeap(out).fill(0);
      const values = memory.readSync(x.dataId);
      const ids = memory.readSync(segmentIds.dataId);
      for (let row = 0; row < ids.length; row++) {
        const to = (ids[row] as number) * width;
        for (let i = 0; i < width; i++) sums[to + i] = (sums[to + i] as number) + (values[row * width + i] as number);
      }
      return out;
    },
  });
}
