// Layer norm, exact GELU and the affine map, with gradients written out: fewer passes over memory than the
// composed ones. Pure functions inside the caller's tidy.

import type { Tensor, Tensor1D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DenseParams, LayerNormParams } from "./parameters";

/**
 * x W^T + b over the last dimension.
 * @param x [..., in]
 * @returns [..., out]
 */
export function dense<T extends Tensor>(x: T, { weight, bias }: DenseParams): T {
  const [out, width] = weight.shape;
  // One matrix product over all rows: a batched product would make the weight's gradient a batch of them to sum.
  const rows = tf.reshape(x, [-1, width]);
  const product = tf.add(tf.matMul(rows, weight, false, true), bias);
  return tf.reshape(product, [...x.shape.slice(0, -1), out]) as T;
}

/**
 * Layer normalisation over the last dimension (Ba et al. 2016), variance without Bessel's correction.
 * @param x [batch, length, hidden]
 */
export function layerNorm(x: Tensor3D, { weight, bias }: LayerNormParams, epsilon: number): Tensor3D {
  const normalise = tf.customGrad((...args) => {
    const [input, gamma, beta, save] = args as unknown as [Tensor3D, Tensor1D, Tensor1D, tf.GradSaveFunc];
    const centred = tf.sub(input, tf.mean(input, -1, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon)); // [batch, length, 1]
    const normal = tf.mul(centred, inverse);
    save([normal, inverse, gamma]);
    return {
      value: tf.add(tf.mul(normal, gamma), beta),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [hat, inv, scale] = saved as [Tensor, Tensor, Tensor];
        const product = tf.mul(dy, hat);
        const dHat = tf.mul(dy, scale);
        const along = tf.mean(tf.mul(product, scale), -1, true);
        const dx = tf.mul(tf.sub(tf.sub(dHat, tf.mean(dHat, -1, true)), tf.mul(hat, along)), inv);
        return [dx, tf.sum(product, [0, 1]), tf.sum(dy, [0, 1])];
      },
    };
  });
  return normalise(x, weight, bias) as Tensor3D;
}

/** x Phi(x) with the exact normal distribution (Hendrycks and Gimpel 2016), as BERT has it; not the tanh form. */
export function gelu<T extends Tensor>(x: T): T {
  const activate = tf.customGrad((...args) => {
    const [input, save] = args as unknown as [T, tf.GradSaveFunc];
    const cumulative = tf.mul(tf.add(tf.erf(tf.mul(input, Math.SQRT1_2)), 1), 0.5);
    save([input, cumulative]);
    return {
      value: tf.mul(input, cumulative),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [value, phi] = saved as [Tensor, Tensor];
        const density = tf.mul(tf.exp(tf.mul(tf.square(value), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [tf.mul(dy, tf.add(phi, tf.mul(value, density)))];
      },
    };
  });
  return activate(x) as T;
}
