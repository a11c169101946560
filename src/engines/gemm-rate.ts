// How fast an engine multiplies matrices: the yardstick of doctor, of bench and of a dry run's time estimate.

import type { Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "../model/tensors";
import type { Engine } from "./engine";

/** Width of the products: BERT-base's hidden size. Larger products were no faster on any engine. */
const WIDTH = 768;
/** Products a call, so that copying the input in and the result out does not count for much. */
const PRODUCTS = 4;

export interface Gemm {
  /** Multiplies, and returns this call's FLOP/s; multiply-adds count as two. */
  run(): Promise<number>;
  dispose(): void;
}

/** Products of [rows, 768] and [768, 768]. The first call warms up. */
export async function openGemm(engine: Engine, rows = 1024): Promise<Gemm> {
  const state = { weight: float32([WIDTH, WIDTH], new Float32Array(WIDTH * WIDTH).fill(0.01)) };
  const program = await engine.load(state, {
    multiply: (held, inputs) => {
      let x = inputs["x"] as Tensor2D;
      for (let i = 0; i < PRODUCTS; i++) x = tf.matMul(x, held["weight"] as Tensor2D);
      return { outputs: { corner: tf.slice(x, [0, 0], [1, 1]) } };
    },
  });
  const x = float32([rows, WIDTH], new Float32Array(rows * WIDTH).fill(0.1));
  return {
    async run() {
      const start = performance.now();
      await program.run("multiply", { x });
      return (PRODUCTS * 2 * rows * WIDTH * WIDTH) / ((performance.now() - start) / 1000);
    },
    dispose: () => program.dispose(),
  };
}

/** Best of `repeats` calls after one that warms up, in FLOP/s. */
export async function gemmRate(engine: Engine, rows = 1024, repeats = 5): Promise<number> {
  const gemm = await openGemm(engine, rows);
  try {
    await gemm.run();
    let best = 0;
    for (let i = 0; i < repeats; i++) best = Math.max(best, await gemm.run());
    return best;
  } finally {
    gemm.dispose();
  }
}
