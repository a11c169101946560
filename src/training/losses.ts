// Losses over one batch. Each is the weighted mean over real rows: filler rows have weight 0.

import type { Scalar, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";

/** Weighted mean of [batch] values. */
function weightedMean(values: Tensor1D, weights: Tensor1D): Scalar {
  return tf.div(tf.sum(tf.mul(values, weights)), tf.sum(weights));
}

/**
 * Softmax cross-entropy with class ids.
 * @param logits [batch, labels]
 * @param labels [batch] int32
 */
export function crossEntropy(logits: Tensor2D, labels: Tensor1D, weights: Tensor1D): Scalar {
  // Cast afterwards: the wasm backend's OneHot of dtype float32 writes the integer's bits.
  const targets = tf.cast(tf.oneHot(labels, logits.shape[1]), "float32");
  return weightedMean(tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), 1)), weights);
}

/**
 * T^2 KL(softmax(teacher / T) || softmax(student / T)), summed over labels. The factor T^2 keeps the gradient's
 * size independent of T (Hinton et al. 2015, section 2).
 * @param student logits [batch, labels]
 * @param teacher logits [batch, labels], no gradient flows into them
 */
export function softTargetLoss(student: Tensor2D, teacher: Tensor2D, weights: Tensor1D, temperature: number): Scalar {
  const logTargets = tf.logSoftmax(tf.div(teacher, temperature) as Tensor2D);
  const logOutputs = tf.logSoftmax(tf.div(student, temperature) as Tensor2D);
  const divergence = tf.sum(tf.mul(tf.exp(logTargets), tf.sub(logTargets, logOutputs)), 1) as Tensor1D;
  return tf.mul(weightedMean(divergence, weights), temperature * temperature);
}

/**
 * Mean squared error of a regression.
 * @param outputs [batch, 1]
 * @param targets [batch] or [batch, 1]
 */
export function meanSquaredError(outputs: Tensor2D, targets: Tensor1D | Tensor2D, weights: Tensor1D): Scalar {
  const flat = tf.reshape(outputs, [-1]) as Tensor1D;
  return weightedMean(tf.squaredDifference(flat, tf.reshape(targets, [-1])) as Tensor1D, weights);
}
