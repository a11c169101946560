// What tfjs's wasm backend 4.22.0 lacks or does slowly: the sum behind an embedding's gradient, and products with a
// transposed operand.

import * as tf from "@tensorflow/tfjs-core";

interface WasmMemory {
  readSync(id: object): Float32Array | Int32Array;
  makeOutput(shape: number[], dtype: string): tf.TensorInfo;
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
}

/** Registers our kernels for the wasm backend, once. Call before the backend starts. */
export function mendKernels(): void {
  if (tf.getKernel("UnsortedSegmentSum", "wasm")) return;
  registerSegmentSum();
  transposeBeforeProducts();
}

/** The backend has no UnsortedSegmentSum, which the embedding's gradient is made of (k = full). */
function registerSegmentSum(): void {
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

/**
 * The backend's fast product (XNNPACK) takes operands as they lie; with a transposed one it falls back to plain loops,
 * more than ten times slower (docs/decisions.md). Transposing first costs one pass over memory.
 */
function transposeBeforeProducts(): void {
  const product = tf.getKernel("BatchMatMul", "wasm");
  const transpose = tf.getKernel("Transpose", "wasm");
  if (!product || !transpose) throw new Error("tfjs's wasm backend has no BatchMatMul or no Transpose");
  tf.unregisterKernel("BatchMatMul", "wasm");
  tf.registerKernel({
    ...product,
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { transposeA, transposeB } = attrs as unknown as { transposeA: boolean; transposeB: boolean };
      const turned: tf.TensorInfo[] = [];
      const turn = (x: tf.TensorInfo) => {
        const rank = x.shape.length;
        const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
        const result = transpose.kernelFunc({ inputs: { x }, backend, attrs: { perm } }) as tf.TensorInfo;
        turned.push(result);
        return result;
      };
      const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
      const operands = { a: transposeA ? turn(a) : a, b: transposeB ? turn(b) : b };
      const result = product.kernelFunc({ inputs: operands, backend, attrs: { transposeA: false, transposeB: false } });
      for (const { dataId } of turned) (backend as { disposeData(id: object): void }).disposeData(dataId);
      return result;
    },
  });
}
