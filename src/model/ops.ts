// Layer norm, exact GELU and the affine map, with gradients written out: fewer passes over memory than the
// composed ones. Pure functions inside the caller's tidy.

import type { Tensor, Tensor1D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { fusedKernels, runFused } from "./fused";
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
  const product = tf.matMul(rows, weight, false, true);
  return tf.reshape(bias ? tf.add(product, bias) : product, [...x.shape.slice(0, -1), out]) as T;
}

/**
 * Layer normalisation over the last dimension (Ba et al. 2016), variance without Bessel's correction.
 * @param x [..., hidden]
 */
export function layerNorm<T extends Tensor>(x: T, { weight, bias }: LayerNormParams, epsilon: number): T {
  const normalise = tf.customGrad((...args) => {
    const [input, scale, offset, save] = args as unknown as [T, Tensor1D, Tensor1D, tf.GradSaveFunc];
    const inputs = { x: input, scale, offset };
    const [value, normal, inverse] = runFused(fusedKernels.layerNorm, inputs, { epsilon }, () =>
      composedNorm(input, scale, offset, epsilon),
    ) as [Tensor, Tensor, Tensor];
    save([normal, inverse, scale]);
    return { value, gradFunc: (dy: Tensor, saved: Tensor[]) => layerNormGradient(dy, saved) };
  });
  return normalise(x, weight, bias ?? tf.zeros(weight.shape)) as T;
}

function composedNorm(x: Tensor, scale: Tensor1D, offset: Tensor1D, epsilon: number): Tensor[] {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon)); // [..., 1]
  const normal = tf.mul(centred, inverse);
  return [tf.add(tf.mul(normal, scale), offset), normal, inverse];
}

function layerNormGradient(dy: Tensor, saved: readonly Tensor[]): Tensor[] {
  const [normalised, inverse, scale] = saved as [Tensor, Tensor, Tensor];
  return runFused(fusedKernels.layerNormGradient, { dy, normalised, inverse, scale }, {}, () => {
    const product = tf.mul(dy, normalised);
    const dNormal = tf.mul(dy, scale);
    const along = tf.mean(tf.mul(product, scale), -1, true);
    const dx = tf.mul(tf.sub(tf.sub(dNormal, tf.mean(dNormal, -1, true)), tf.mul(normalised, along)), inverse);
    const rows = dy.shape.slice(1).map((_, axis) => axis);
    return [dx, tf.sum(product, rows), tf.sum(dy, rows)];
  });
}

/**
 * Tensors side by side on the last axis. tfjs's own gradient is a split, of which a compiled graph has no node for every
 * engine; this one is a slice for each.
 */
export function sideBySide<T extends Tensor>(parts: readonly T[]): T {
  const join = tf.customGrad((...args) => {
    const given = args.slice(0, parts.length) as T[];
    const value = tf.concat<Tensor>(given, -1);
    const lead = value.shape.slice(1);
    const gradFunc = (dy: Tensor) => {
      let at = 0;
      return given.map((part) => {
        const width = part.shape.at(-1) as number;
        const slice = tf.slice(dy, [...lead.map(() => 0), at], [...lead.map(() => -1), width]);
        at += width;
        return slice;
      });
    };
    return { value, gradFunc };
  });
  return join(...(parts as T[])) as T;
}

/** x Phi(x) with the exact normal distribution (Hendrycks and Gimpel 2016), as BERT has it; not the tanh form. */
export function gelu<T extends Tensor>(x: T): T {
  const activate = tf.customGrad((...args) => {
    const [input, save] = args as unknown as [T, tf.GradSaveFunc];
    save([input]);
    const [value] = runFused(fusedKernels.gelu, { x: input }, {}, () => [tf.mul(input, cumulative(input))]);
    return { value: value as Tensor, gradFunc: (dy: Tensor, saved: Tensor[]) => geluGradient(dy, saved[0] as Tensor) };
  });
  return activate(x) as T;
}

/** Phi(x), the standard normal distribution. */
const cumulative = (x: Tensor): Tensor => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);

function geluGradient(dy: Tensor, x: Tensor): Tensor[] {
  return runFused(fusedKernels.geluGradient, { dy, x }, {}, () => {
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [tf.mul(dy, tf.add(cumulative(x), tf.mul(x, density)))];
  });
}
