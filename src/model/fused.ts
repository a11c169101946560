// Kernels of our own in tfjs's registry: work that a compiler or a backend does best in one piece. A backend that
// registers one runs it; on every other the op is composed of tfjs's own. The tracer registers all of them, so each is
// one node of a compiled step (src/compile/graph/kernel-rules.ts).

import type { NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";

/** Names of our kernels and what they take and give; [..., n] is any shape whose last dimension is n. */
export const fusedKernels = {
  /** x [..., n], scale [n], offset [n]; epsilon -> y, x normalised [..., n], 1 / deviation [..., 1] */
  layerNorm: "FlexbertLayerNorm",
  /** dy, normalised [..., n], inverse [..., 1], scale [n] -> dx [..., n], dscale [n], doffset [n] */
  layerNormGradient: "FlexbertLayerNormGradient",
  /** x -> x Phi(x) */
  gelu: "FlexbertGelu",
  /** dy, x -> dy (Phi(x) + x phi(x)) */
  geluGradient: "FlexbertGeluGradient",
  /** logits [rows, labels], targets [rows, labels] -> -sum(targets log softmax(logits)) [rows] */
  crossEntropy: "FlexbertSoftmaxCrossEntropy",
  /** dlosses [rows], logits, targets -> dlogits [rows, labels] */
  crossEntropyGradient: "FlexbertSoftmaxCrossEntropyGradient",
  /** gradients g0, g1, ...; clipNorm -> norm, the factor that clips to clipNorm: two scalars */
  globalNorm: "FlexbertGlobalNorm",
  /** parameter, m, v, gradient, factor, step_size, second_correction and, where it decays, decay; beta1, beta2, epsilon -> parameter, m, v */
  adamW: "FlexbertAdamW",
} as const;

export type FusedKernel = (typeof fusedKernels)[keyof typeof fusedKernels];

/**
 * Runs one of our kernels where the current backend has it, and `composed` elsewhere. tfjs's tape sees no kernel of
 * ours: an op that needs a gradient calls this inside its own `tf.customGrad`.
 */
export function runFused(
  kernel: FusedKernel,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: Readonly<Record<string, number>>,
  composed: () => Tensor[],
): Tensor[] {
  if (!tf.getKernel(kernel, tf.getBackend())) return composed();
  const outputs: Tensor | Tensor[] = tf
    .engine()
    .runKernel(kernel, inputs as unknown as NamedTensorMap, attributes as tf.NamedAttrMap);
  return Array.isArray(outputs) ? outputs : [outputs];
}
