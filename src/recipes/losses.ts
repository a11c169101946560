// What trials are trained towards, as the kind of their task measures it.

import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Head } from "../model/heads";
import { type Loss, rowWeights } from "../training/step/step";

/** What the labels say: cross-entropy, say, or the squared error of a regression. */
export const labelLoss =
  (head: Head): Loss =>
  ({ logits }, inputs) =>
    head.loss(logits, inputs["labels"] as Tensor, rowWeights(inputs));

/**
 * alpha T^2 KL + (1 - alpha) cross-entropy, or alpha MSE(student, teacher) + (1 - alpha) MSE(student, label), or what
 * else the kind of the task measures. Reads teacher_logits and labels from the step's inputs.
 */
export function distillationLoss(
  head: Head,
  { alpha, temperature }: { readonly alpha: number; readonly temperature: number },
): Loss {
  return ({ logits }, inputs) => {
    const weights = rowWeights(inputs);
    const soft = head.distillationLoss(logits, inputs["teacher_logits"] as Tensor2D, weights, temperature);
    const hard = head.loss(logits, inputs["labels"] as Tensor, weights);
    return tf.add(tf.mul(soft, alpha), tf.mul(hard, 1 - alpha));
  };
}
