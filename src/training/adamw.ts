// AdamW (Loshchilov and Hutter 2019) with bias correction, and clipping by global norm. The state is the moments
// alone: bias corrections are functions of the step number, so a restored run continues bit for bit.

import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensors } from "../engines/engine";
import { float32, type HostTensors } from "../model/tensors";

export const BETA1 = 0.9;
export const BETA2 = 0.999;
export const EPSILON = 1e-6;

export const firstMoment = (name: string) => `adam.m/${name}`;
export const secondMoment = (name: string) => `adam.v/${name}`;
const isMoment = (name: string) => name.startsWith("adam.");

/** The branch with moments of zero beside it: the state of a training program. */
export function withMoments(branch: HostTensors): HostTensors {
  const state: HostTensors = { ...branch };
  for (const [name, { shape, data }] of Object.entries(branch)) {
    state[firstMoment(name)] = float32(shape, new Float32Array(data.length));
    state[secondMoment(name)] = float32(shape, new Float32Array(data.length));
  }
  return state;
}

/** The branch without its moments. */
export function withoutMoments<T>(state: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(state).filter(([name]) => !isMoment(name)));
}

/** Weight decay leaves biases and layer norms alone (BERT's practice). */
export const isDecayed = (name: string) => !name.endsWith(".bias") && !name.includes("LayerNorm");

/** Scalars of step `step` (1 is the first), computed in double precision on the host. */
export function stepScalars(learningRate: number, weightDecay: number, step: number): Record<string, number> {
  return {
    step_size: learningRate / (1 - BETA1 ** step),
    second_correction: 1 / Math.sqrt(1 - BETA2 ** step),
    decay: 1 - learningRate * weightDecay,
  };
}

/** sqrt of the sum of all squared gradients. */
export function globalNorm(gradients: readonly Tensor[]): Scalar {
  return tf.sqrt(tf.addN(gradients.map((gradient) => tf.sum(tf.square(gradient))))) as Scalar;
}

/** The factor that brings gradients of this norm to at most `clipNorm`; as in PyTorch, norm + 1e-6 divides. */
export function clipFactor(norm: Scalar, clipNorm: number): Scalar {
  return tf.minimum(tf.div(clipNorm, tf.add(norm, 1e-6)), 1) as Scalar;
}

/** One parameter's update. `scalars` are those of {@link stepScalars} as tensors. */
export function update(state: Tensors, name: string, gradient: Tensor, scalars: Tensors): Tensors {
  const parameter = state[name] as Tensor;
  const m = tf.add(tf.mul(state[firstMoment(name)] as Tensor, BETA1), tf.mul(gradient, 1 - BETA1));
  const v = tf.add(tf.mul(state[secondMoment(name)] as Tensor, BETA2), tf.mul(tf.square(gradient), 1 - BETA2));
  const denominator = tf.add(tf.mul(tf.sqrt(v), scalars["second_correction"] as Tensor), EPSILON);
  const decayed = isDecayed(name) ? tf.mul(parameter, scalars["decay"] as Tensor) : parameter;
  const next = tf.sub(decayed, tf.mul(tf.div(m, denominator), scalars["step_size"] as Tensor));
  return { [name]: next, [firstMoment(name)]: m, [secondMoment(name)]: v };
}
