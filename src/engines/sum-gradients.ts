// The gradients of a sum and of a mean as tfjs has them, with the ones that they multiply by made by a kernel. tfjs fills
// an array with them: where a step is traced, with a prime of about a thousand for its length, those of one attention
// matrix of 32 rows and 12 heads are 1.6 GB.

import type { Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";

export function registerSumGradients(): void {
  tf.registerGradient({
    kernelName: "Sum",
    inputsToSave: ["x"],
    gradFunc: (dy, saved, attributes) => {
      const x = saved[0] as Tensor;
      return { x: () => spread(dy as Tensor, x, axesOf(x, attributes)) };
    },
  });
  tf.registerGradient({
    kernelName: "Mean",
    inputsToSave: ["x"],
    gradFunc: (dy, saved, attributes) => {
      const x = saved[0] as Tensor;
      const axes = axesOf(x, attributes);
      const count = axes.reduce((product, axis) => product * (x.shape[axis] as number), 1);
      return { x: () => tf.div(spread(dy as Tensor, x, axes), count) };
    },
  });
}

const axesOf = (x: Tensor, { axis }: tf.NamedAttrMap) =>
  tf.util.parseAxisParam(axis as number | number[], x.shape) as number[];

/** The gradient of what is left of some axes, at each element that went into it. */
function spread(dy: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  return tf.mul(tf.reshape(dy, kept), tf.onesLike(x));
}
