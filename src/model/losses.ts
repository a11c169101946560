// Losses over one batch. Each is the weighted mean over real rows: filler rows have weight 0.

import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionBias, attentionProbabilities, attentionScores } from "./attention";
import { fusedKernels, runFused } from "./fused";

/** Weighted mean of [batch] values. */
function weightedMean(values: Tensor1D, weights: Tensor1D): Scalar {
  return tf.div(tf.sum(tf.mul(values, weights)), tf.sum(weights));
}

/**
 * -sum(targets log softmax(logits)) of each row.
 * @param logits [rows, labels]
 * @param targets [rows, labels], a distribution a row; no gradient flows into it
 * @returns [rows]
 */
function softmaxCrossEntropy(logits: Tensor2D, targets: Tensor2D): Tensor1D {
  const compute = tf.customGrad((...args) => {
    const [z, save] = args as unknown as [Tensor2D, tf.GradSaveFunc];
    save([z, targets]);
    const [value] = runFused(fusedKernels.crossEntropy, { logits: z, targets }, {}, () => [
      tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(z)), 1)),
    ]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => crossEntropyGradient(dy, saved);
    return { value: value as Tensor, gradFunc };
  });
  return compute(logits) as Tensor1D;
}

function crossEntropyGradient(dy: Tensor, saved: readonly Tensor[]): Tensor[] {
  const [logits, targets] = saved as [Tensor2D, Tensor2D];
  return runFused(fusedKernels.crossEntropyGradient, { dy, logits, targets }, {}, () => [
    tf.mul(tf.sub(tf.softmax(logits), targets), tf.expandDims(dy, 1)),
  ]);
}

/**
 * Softmax cross-entropy with class ids.
 * @param logits [batch, labels]
 * @param labels [batch] int32
 */
export const crossEntropy = (logits: Tensor2D, labels: Tensor1D, weights: Tensor1D): Scalar =>
  weightedMean(classCrossEntropy(logits, labels), weights);

/** Of each row: [rows] */
function classCrossEntropy(logits: Tensor2D, labels: Tensor1D): Tensor1D {
  // Cast afterwards: the wasm backend's OneHot of dtype float32 writes the integer's bits.
  const targets = tf.cast(tf.oneHot(labels, logits.shape[1]), "float32") as Tensor2D;
  return softmaxCrossEntropy(logits, targets);
}

/**
 * T^2 KL(softmax(teacher / T) || softmax(student / T)), summed over labels. The factor T^2 keeps the gradient's
 * size independent of T (Hinton et al. 2015, section 2).
 * @param student logits [batch, labels]
 * @param teacher logits [batch, labels], no gradient flows into them
 */
export const softTargetLoss = (student: Tensor2D, teacher: Tensor2D, weights: Tensor1D, temperature: number): Scalar =>
  tf.mul(weightedMean(softDivergence(student, teacher, temperature), weights), temperature * temperature);

/** KL(softmax(teacher / T) || softmax(student / T)) of each row: [rows] */
function softDivergence(student: Tensor2D, teacher: Tensor2D, temperature: number): Tensor1D {
  const logTargets = tf.logSoftmax(tf.div(teacher, temperature) as Tensor2D);
  const targets = tf.exp(logTargets) as Tensor2D;
  const negativeEntropy = tf.sum(tf.mul(targets, logTargets), 1) as Tensor1D;
  return tf.add(softmaxCrossEntropy(tf.div(student, temperature), targets), negativeEntropy) as Tensor1D;
}

/**
 * Softmax cross-entropy of tokens: mean over those of the batch that have a label, as PyTorch's
 * CrossEntropyLoss(ignore_index=-100) has it over a flattened batch.
 * @param logits [batch, length, labels]
 * @param labels [batch, length] int32; -1: none
 */
export function tokenCrossEntropy(logits: Tensor3D, labels: Tensor2D): Scalar {
  const { ids, weights } = labelledTokens(labels);
  return meanOfSome(classCrossEntropy(byToken(logits), ids), weights);
}

/**
 * {@link softTargetLoss} of the tokens that have a label: mean over them.
 * @param student logits [batch, length, labels]
 * @param teacher of the same shape, no gradient flows into them
 */
export function tokenSoftTargetLoss(
  student: Tensor3D,
  teacher: Tensor3D,
  labels: Tensor2D,
  temperature: number,
): Scalar {
  const divergence = softDivergence(byToken(student), byToken(teacher), temperature);
  return tf.mul(meanOfSome(divergence, labelledTokens(labels).weights), temperature * temperature);
}

/** As {@link weightedMean}, and 0 where nothing has weight: texts may have no word that is a token. */
const meanOfSome = (values: Tensor1D, weights: Tensor1D): Scalar =>
  tf.div(tf.sum(tf.mul(values, weights)), tf.maximum(tf.sum(weights), 1));

const byToken = (logits: Tensor3D) => tf.reshape(logits, [-1, logits.shape[2]]) as Tensor2D;

/** Of all tokens in a row: an id, 0 without one, and 1 where there is one. */
function labelledTokens(labels: Tensor2D): { ids: Tensor1D; weights: Tensor1D } {
  const flat = tf.cast(tf.reshape(labels, [-1]), "float32");
  return {
    ids: tf.cast(tf.relu(flat), "int32") as Tensor1D,
    weights: tf.cast(tf.greaterEqual(flat, 0), "float32") as Tensor1D,
  };
}

/**
 * Binary cross-entropy of each label alone, mean over labels: PyTorch's BCEWithLogitsLoss.
 * max(z, 0) - z y + log(1 + exp(-|z|)) overflows nowhere; its gradient is sigmoid(z) - y, also where z = 0.
 * @param logits [batch, labels]
 * @param targets [batch, labels], probabilities; no gradient flows into them
 */
export function binaryCrossEntropy(logits: Tensor2D, targets: Tensor2D, weights: Tensor1D): Scalar {
  const compute = tf.customGrad((...args) => {
    const [z, save] = args as unknown as [Tensor2D, tf.GradSaveFunc];
    save([z, targets]);
    const rest = tf.log(tf.add(1, tf.exp(tf.neg(tf.abs(z)))));
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [at, wanted] = saved as [Tensor2D, Tensor2D];
      return tf.mul(tf.sub(tf.sigmoid(at), wanted), dy);
    };
    return { value: tf.add(tf.sub(tf.relu(z), tf.mul(z, targets)), rest), gradFunc };
  });
  return weightedMean(tf.mean(compute(logits), 1) as Tensor1D, weights);
}

/**
 * T^2 KL(Bernoulli(sigmoid(teacher / T)) || Bernoulli(sigmoid(student / T))) of each label alone, mean over labels: the
 * labels as so many binary problems (Yang et al. 2023, Multi-Label Knowledge Distillation, its loss on logits), with
 * Hinton's temperature.
 * @param student logits [batch, labels]
 * @param teacher logits [batch, labels], no gradient flows into them
 */
export function binarySoftTargetLoss(
  student: Tensor2D,
  teacher: Tensor2D,
  weights: Tensor1D,
  temperature: number,
): Scalar {
  const softened = tf.div(teacher, temperature) as Tensor2D;
  const targets = tf.sigmoid(softened);
  const crossEntropy = binaryCrossEntropy(tf.div(student, temperature) as Tensor2D, targets, weights);
  const entropy = binaryCrossEntropy(softened, targets, weights);
  return tf.mul(tf.sub(crossEntropy, entropy), temperature * temperature);
}

/**
 * Squared error of states with a teacher's: mean over the last axis, then over the positions that have weight. So a student's
 * last layer is drawn to its teacher's beside its outputs: hints (Romero et al. 2015, FitNets), of a transformer's [CLS] (Sun
 * et al. 2019, Patient Knowledge Distillation, which compares several layers' and normalises them) and of all its tokens (Jiao
 * et al. 2020, TinyBERT, the hidden states of its transformer-layer distillation).
 * @param student [batch, positions, width]
 * @param teacher of the same shape; no gradient flows into it
 * @param weights [batch, positions], 0 for padding and for filler rows
 */
export function stateError(student: Tensor3D, teacher: Tensor3D, weights: Tensor2D): Scalar {
  const errors = tf.mean(tf.squaredDifference(student, teacher), 2); // [batch, positions]
  return tf.div(tf.sum(tf.mul(errors, weights)), tf.sum(weights));
}

/**
 * 1 - cosine of the angle between states, mean over the positions that have weight: PyTorch's CosineEmbeddingLoss of pairs that
 * belong together (Sanh et al. 2019, DistilBERT, section 3).
 * @param student [batch, positions, width]
 * @param teacher of the same shape; no gradient flows into it
 * @param weights [batch, positions]
 */
export function cosineError(student: Tensor3D, teacher: Tensor3D, weights: Tensor2D): Scalar {
  const cosines = tf.sum(tf.mul(unitLength(student), unitLength(teacher)), 2); // [batch, positions]
  return tf.div(tf.sum(tf.mul(tf.sub(1, cosines), weights)), tf.sum(weights));
}

/** States divided by their length. @param states [batch, positions, width] */
export function unitLength(states: Tensor3D): Tensor3D {
  const squares = tf.sum(tf.square(states), 2, true); // [batch, positions, 1]
  return tf.div(states, tf.sqrt(tf.add(squares, TINY)));
}

/** Keeps roots and quotients of what may be 0 finite, and changes nothing else. */
const TINY = 1e-12;

/**
 * KL(teacher || student) of what each position attends to, summed over keys, mean over heads and over the positions that have
 * weight (Wang et al. 2020, MiniLM, section 3).
 * @param student [batch, heads, length, length], distributions over the last axis, 0 for padding
 * @param teacher of the same shape; no gradient flows into it
 * @param weights [batch, length] of positions that attend
 */
export function relationDivergence(student: Tensor4D, teacher: Tensor4D, weights: Tensor2D): Scalar {
  const heads = student.shape[1];
  // A probability that is 0, as padding's are, has a teacher's of 0 beside it or no logarithm: neither adds anything.
  const logOf = (x: Tensor) => tf.log(tf.maximum(x, LEAST_PROBABILITY));
  const divergence = tf.sum(tf.mul(teacher, tf.sub(logOf(teacher), logOf(student))), 3); // [batch, heads, length]
  return tf.div(tf.sum(tf.mul(divergence, tf.expandDims(weights, 1))), tf.mul(tf.sum(weights), heads));
}

const LEAST_PROBABILITY = 1e-30;

/**
 * What the values of each position are to those of the others: a distribution by head, as attention is one of queries and keys.
 * @param values [batch, heads, length, size]
 * @param keys [batch, length], 1 for tokens
 * @returns [batch, heads, length, length]
 */
export const valueRelations = (values: Tensor4D, keys: Tensor2D): Tensor4D =>
  attentionProbabilities(attentionScores(values, values), attentionBias(keys));

/**
 * Squared error of attention scores before their softmax, mean over heads and over pairs of positions that have weight and keys that
 * are no padding (Jiao et al. 2020, TinyBERT, section 3).
 * @param student [batch, heads, length, length]
 * @param teacher of the same shape; no gradient flows into it
 * @param weights [batch, length] of positions that attend
 * @param keys [batch, length], 1 for tokens
 */
export function scoreError(student: Tensor4D, teacher: Tensor4D, weights: Tensor2D, keys: Tensor2D): Scalar {
  const heads = student.shape[1];
  const pairs = tf.mul(tf.expandDims(weights, 2), tf.expandDims(keys, 1)); // [batch, length, length]
  const errors = tf.mul(tf.squaredDifference(student, teacher), tf.expandDims(pairs, 1));
  return tf.div(tf.sum(errors), tf.mul(tf.sum(pairs), heads));
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
