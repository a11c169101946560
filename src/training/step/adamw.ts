// AdamW (Loshchilov and Hutter 2019) with bias correction, and clipping by global norm. The state is the moments
// alone: bias corrections are functions of the step number, so a restored run continues bit for bit.

import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensors } from "../../model/entry-point";
import { fusedKernels, runFused } from "../../model/fused";
import { float32, type HostTensors } from "../../model/tensors";

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-6;

const firstMoment = (name: string) => `adam.m/${name}`;
const secondMoment = (name: string) => `adam.v/${name}`;
export const isMoment = (name: string) => name.startsWith("adam.");

/** Tensors to train with moments of zero beside them: the state of a training program. */
export function withMoments(trained: HostTensors): HostTensors {
  const state: HostTensors = { ...trained };
  for (const [name, { shape, data }] of Object.entries(trained)) {
    state[firstMoment(name)] = float32(shape, new Float32Array(data.length));
    state[secondMoment(name)] = float32(shape, new Float32Array(data.length));
  }
  return state;
}

/** Weight decay leaves biases and layer norms alone (BERT's practice), however a family calls these: LayerNorm, attn_norm, head.norm. */
const isDecayed = (name: string) => !name.endsWith(".bias") && !/(layer_?norm|[._]norm)\.weight$/i.test(name);

/** Scalars of step `step` (1 is the first), computed in double precision on the host. */
export function stepScalars(learningRate: number, weightDecay: number, step: number): Record<string, number> {
  return {
    step_size: learningRate / (1 - BETA1 ** step),
    second_correction: 1 / Math.sqrt(1 - BETA2 ** step),
    decay: 1 - learningRate * weightDecay,
  };
}

export interface Clipping {
  /** Norm of all gradients together, before clipping. */
  readonly norm: Scalar;
  /** What clipping multiplies gradients by, at most 1. */
  readonly factor: Scalar;
}

/**
 * The global norm of gradients, and the factor that brings it to at most `clipNorm`; as in PyTorch, norm + 1e-6
 * divides. A clipNorm of 0 clips nothing: the factor is 1.
 */
export function clipByGlobalNorm(gradients: readonly Tensor[], clipNorm: number): Clipping {
  const inputs = Object.fromEntries(gradients.map((gradient, i) => [`g${i}`, gradient]));
  const [norm, factor] = runFused(fusedKernels.globalNorm, inputs, { clipNorm }, () => {
    const total = tf.sqrt(tf.addN(gradients.map((gradient) => tf.sum(tf.square(gradient)))));
    return [total, clipNorm > 0 ? tf.minimum(tf.div(clipNorm, tf.add(total, 1e-6)), 1) : tf.scalar(1)];
  });
  return { norm: norm as Scalar, factor: factor as Scalar };
}

/**
 * One parameter's update.
 * @param factor of the gradient, from {@link clipByGlobalNorm}
 * @param scalars those of {@link stepScalars} as tensors
 */
export function update(state: Tensors, name: string, gradient: Tensor, factor: Scalar, scalars: Tensors): Tensors {
  const inputs: Tensors = {
    parameter: state[name] as Tensor,
    m: state[firstMoment(name)] as Tensor,
    v: state[secondMoment(name)] as Tensor,
    gradient,
    factor,
    step_size: scalars["step_size"] as Tensor,
    second_correction: scalars["second_correction"] as Tensor,
    ...(isDecayed(name) ? { decay: scalars["decay"] as Tensor } : {}),
  };
  const constants = { beta1: BETA1, beta2: BETA2, epsilon: EPSILON };
  const [next, m, v] = runFused(fusedKernels.adamW, inputs, constants, () => composedUpdate(inputs)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return { [name]: next, [firstMoment(name)]: m, [secondMoment(name)]: v };
}

function composedUpdate(inputs: Tensors): Tensor[] {
  const { parameter, m, v, gradient, factor, step_size, second_correction, decay } = inputs as Record<
    string,
    Tensor
  > & {
    parameter: Tensor;
  };
  const clipped = tf.mul(gradient as Tensor, factor as Tensor);
  const first = tf.add(tf.mul(m as Tensor, BETA1), tf.mul(clipped, 1 - BETA1));
  const second = tf.add(tf.mul(v as Tensor, BETA2), tf.mul(tf.square(clipped), 1 - BETA2));
  const denominator = tf.add(tf.mul(tf.sqrt(second), second_correction as Tensor), EPSILON);
  const decayed = decay ? tf.mul(parameter, decay) : parameter;
  return [tf.sub(decayed, tf.mul(tf.div(first, denominator), step_size as Tensor)), first, second];
}
