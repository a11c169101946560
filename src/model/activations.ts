// What stands between the two products of the feed-forward part: exact GELU, as BERT was published, and what other
// checkpoints have. GELU is a kernel of our own (ops.ts); the others are composed, with gradients written out that need
// the input alone.

import type { Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Activation } from "./hidden-act";
import { gelu } from "./ops";

interface Composed {
  readonly value: (x: Tensor) => Tensor;
  readonly derivative: (x: Tensor) => Tensor;
}

const SLOPE = Math.sqrt(2 / Math.PI);
const CUBE = 0.044715;

/** tanh of GELU's approximation by it (Hendrycks and Gimpel 2016). */
const bend = (x: Tensor): Tensor => tf.tanh(tf.mul(tf.mul(x, SLOPE), tf.add(tf.mul(tf.square(x), CUBE), 1)));

const composed: Readonly<Record<Activation, Composed>> = {
  gelu_new: {
    value: (x) => tf.mul(tf.mul(x, 0.5), tf.add(bend(x), 1)),
    derivative(x) {
      const t = bend(x);
      const slope = tf.add(tf.mul(tf.square(x), 3 * CUBE * SLOPE), SLOPE);
      const turn = tf.mul(tf.mul(x, slope), tf.sub(1, tf.square(t)));
      return tf.mul(tf.add(tf.add(t, 1), turn), 0.5);
    },
  },
  relu: {
    value: (x) => tf.relu(x),
    derivative: (x) => tf.cast(tf.greater(x, 0), "float32"),
  },
  silu: {
    value: (x) => tf.mul(x, tf.sigmoid(x)),
    derivative(x) {
      const s = tf.sigmoid(x);
      return tf.mul(s, tf.add(tf.mul(x, tf.sub(1, s)), 1));
    },
  },
};

/** @param activation absent for exact GELU */
export function activate<T extends Tensor>(x: T, activation?: Activation): T {
  if (activation === undefined) return gelu(x);
  const { value, derivative } = composed[activation];
  const activated = tf.customGrad((...args) => {
    const [input, save] = args as unknown as [T, tf.GradSaveFunc];
    save([input]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => tf.mul(dy, derivative(saved[0] as Tensor));
    return { value: value(input), gradFunc };
  });
  return activated(x) as T;
}
