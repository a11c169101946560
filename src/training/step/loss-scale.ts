// Dynamic loss scaling (Micikevicius et al. 2018) for float16 products: small gradients would round to zero, so the
// loss is multiplied before they are taken. A step whose gradients overflow changes nothing and halves the scale.

import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensors } from "../../model/entry-point";
import { float32, type HostTensors } from "../../model/tensors";

const SCALE = "loss_scale.scale";
const STEPS = "loss_scale.steps";
/** PyTorch's and TensorFlow's: 2^16 at first, doubled after 2,000 steps without overflow. */
const FIRST_SCALE = 65_536;
const GROWTH_STEPS = 2000;
const LARGEST = 3.4e38;

/** The state beside a branch and its moments. */
export const initialLossScale = (): HostTensors => ({
  [SCALE]: float32([], Float32Array.of(FIRST_SCALE)),
  [STEPS]: float32([], new Float32Array(1)),
});

export const isLossScale = (name: string) => name.startsWith("loss_scale.");

/** The factor of the loss, or null where the state has none: the step is then as it is without scaling. */
export const lossScale = (state: Tensors): Scalar | null => (state[SCALE] as Scalar | undefined) ?? null;

/**
 * What becomes of a step's results: everything stays where the norm is not finite.
 * @param next the new branch and moments
 * @param norm of the gradients, unscaled
 * @returns the state with the next scale, and the norm: 0 for a step that was skipped, unless the scale can fall no
 * further, so that a run that has diverged is seen
 */
export function keepFinite(state: Tensors, next: Tensors, norm: Scalar): { state: Tensors; norm: Tensor } {
  const [scale, steps] = [state[SCALE] as Scalar, state[STEPS] as Scalar];
  const finite = tf.less(norm, LARGEST);
  const kept: Tensors = {};
  for (const [name, value] of Object.entries(next)) kept[name] = tf.where(finite, value, state[name] as Tensor);
  const counted = tf.add(steps, 1);
  const grows = tf.greaterEqual(counted, GROWTH_STEPS);
  const [one, none] = [tf.onesLike(scale), tf.zerosLike(scale)];
  kept[SCALE] = tf.where(finite, tf.where(grows, tf.mul(scale, 2), scale), tf.maximum(tf.mul(scale, 0.5), one));
  kept[STEPS] = tf.where(tf.logicalAnd(finite, tf.logicalNot(grows)), counted, none);
  const skipped = tf.logicalAnd(tf.logicalNot(finite), tf.greater(scale, 1));
  return { state: kept, norm: tf.where(skipped, none, norm) };
}
