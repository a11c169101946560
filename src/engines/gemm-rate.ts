// How fast an engine multiplies matrices: the yardstick of doctor and of a dry run's time estimate.

import type { Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "../model/tensors";
import type { Engine } from "./engine";

/** Multiply-adds count as two. Best of `repeats` products of [rows, 768] and [768, 768], in FLOP/s. */
export async function gemmRate(engine: Engine, rows = 1024, repeats = 5): Promise<number> {
  const width = 768;
  const state = { weight: float32([width, width], new Float32Array(width * width).fill(0.01)) };
  const program = await engine.load(state, {
    multiply: (held, inputs) => {
      let x = inputs["x"] as Tensor2D;
      // Several products a call, so that copying x in and the result out does not count for much.
      for (let i = 0; i < 4; i++) x = tf.matMul(x, held["weight"] as Tensor2D);
      return { outputs: { corner: tf.slice(x, [0, 0], [1, 1]) } };
    },
  });
  try {
    const x = float32([rows, width], new Float32Array(rows * width).fill(0.1));
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i <= repeats; i++) {
      const start = performance.now();
      await program.run("multiply", { x });
      if (i > 0) best = Math.min(best, performance.now() - start); // the first call warms up
    }
    return (4 * 2 * rows * width * width) / (best / 1000);
  } finally {
    program.dispose();
  }
}
