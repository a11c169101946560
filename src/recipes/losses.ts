// What trials are trained towards, as the kind of their task measures it.

import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Head } from "../model/heads";
import { stateError } from "../model/losses";
import { dense } from "../model/ops";
import type { Outputs, Reads } from "../model/recorder";
import { float32, type HostTensors } from "../model/tensors";
import { normals } from "../random/draws";
import { Purpose, streamKey } from "../random/threefry";
import { type Loss, reading, rowWeights } from "../training/step/step";

/** What the labels say: cross-entropy, say, or the squared error of a regression. */
export const labelLoss =
  (head: Head): Loss =>
  ({ logits }, inputs) =>
    head.loss(logits, inputs["labels"] as Tensor, rowWeights(inputs));

/** Which state of its last layer a student is drawn to: the pooler's output, that of [CLS], or that of every token. */
export type Matched = "pooled" | "cls" | "tokens";

export interface Teaching {
  /** Weight of the teacher's outputs against the labels; "scheduled" reads the step's input alpha. */
  readonly alpha: number | "scheduled";
  readonly temperature: number;
  /** Which rows have labels. "some": the step's input label_weights is 1 for those that have. Absent: all. */
  readonly labelled?: "all" | "some" | "none" | undefined;
  /** What else is compared, with its weight; `layer` counts as hidden states do. */
  readonly match?: { readonly state: Matched; readonly weight: number; readonly layer: number } | undefined;
}

/**
 * alpha T^2 KL + (1 - alpha) cross-entropy, or alpha MSE(student, teacher) + (1 - alpha) MSE(student, label), or what
 * else the kind of the task measures. Means over all rows, or over all words' tokens: one without a label adds nothing to the second part. With
 * `match` its weight times {@link stateError} besides. Reads teacher_logits, labels and teacher_state from the step's
 * inputs.
 */
export function distillationLoss(head: Head, { alpha, temperature, labelled = "all", match }: Teaching): Loss {
  const outputsLoss: Loss = ({ logits }, inputs) => {
    const weights = rowWeights(inputs);
    const teacher = inputs["teacher_logits"] as Tensor2D;
    const soft = head.distillationLoss(logits, teacher, weights, temperature, inputs["labels"] as Tensor);
    const share = alpha === "scheduled" ? (inputs["alpha"] as Scalar) : alpha;
    if (labelled === "none") return tf.mul(soft, share);
    const hard = labelled === "all" ? labelLoss(head) : head.perToken ? someTokensLoss(head) : someLabelsLoss(head);
    const rest = typeof share === "number" ? 1 - share : tf.sub(1, share);
    return tf.add(tf.mul(soft, share), tf.mul(hard({ logits } as Outputs, inputs, { frozen: {}, loss: {} }), rest));
  };
  if (!match) return outputsLoss;
  const { reads, student, weights } = matchedState(match.state, match.layer);
  return reading(reads, (outputs, inputs, beside) => {
    const own = projected(student(outputs), beside.loss);
    const error = stateError(own, inputs["teacher_state"] as Tensor3D, weights(inputs));
    return tf.add(outputsLoss(outputs, inputs, beside), tf.mul(error, match.weight));
  });
}

/** The labels' loss of the rows that have one, over the number of all rows. At least one has. */
const someLabelsLoss =
  (head: Head): Loss =>
  ({ logits }, inputs) => {
    const labelled = inputs["label_weights"] as Tensor1D;
    const share = tf.div(tf.sum(labelled), tf.sum(rowWeights(inputs)));
    return tf.mul(head.loss(logits, inputs["labels"] as Tensor, labelled), share);
  };

/** The same where words have labels: of the tokens of rows that have labels, over the number of all that the loss reads. */
const someTokensLoss =
  (head: Head): Loss =>
  ({ logits }, inputs) => {
    const labelled = tf.expandDims(inputs["label_weights"] as Tensor1D, 1);
    const read = tf.cast(inputs["labels"] as Tensor, "float32");
    const own = tf.sub(tf.mul(tf.add(read, 1), labelled), 1) as Tensor2D; // -1 in rows without labels
    const count = (ids: Tensor) => tf.sum(tf.cast(tf.greaterEqual(ids, 0), "float32"));
    const share = tf.div(count(own), tf.maximum(count(read), 1));
    return tf.mul(head.loss(logits, tf.cast(own, "int32"), rowWeights(inputs)), share);
  };

interface MatchedState {
  readonly reads: Reads;
  /** [batch, positions, hidden] */
  student(outputs: Outputs): Tensor3D;
  /** [batch, positions] */
  weights(inputs: Readonly<Record<string, Tensor>>): Tensor2D;
}

/** What is read of a branch for a match of its states. @param layer of the hidden states: that which leaves the top */
export function matchedState(state: Matched, layer: number): MatchedState {
  const ofRows = (inputs: Readonly<Record<string, Tensor>>) => tf.expandDims(rowWeights(inputs), 1) as Tensor2D;
  if (state === "pooled") {
    return { reads: { pooled: { [layer]: "all" } }, student: ({ pooled }) => pooled(layer), weights: ofRows };
  }
  if (state === "cls") {
    return { reads: { hidden: { [layer]: "first" } }, student: ({ hidden }) => hidden(layer), weights: ofRows };
  }
  return {
    reads: { hidden: { [layer]: "all" } },
    student: ({ hidden }) => hidden(layer),
    weights: (inputs) => tf.mul(tf.cast(inputs["attention_mask"] as Tensor, "float32"), ofRows(inputs)),
  };
}

const PROJECTION = { weight: "projection.weight", bias: "projection.bias" } as const;

/**
 * Parameters of the loss that take a student's states to the width of its teacher's, as the papers of {@link stateError} do
 * it; none where both are as wide. They are trained with the student and are no part of it.
 */
export function projectionBetween(hidden: number, width: number, deviation: number, seed: number): HostTensors {
  if (hidden === width) return {};
  const key = streamKey(seed, Purpose.initialisation, 0, PROJECTION_SITE);
  return {
    [PROJECTION.weight]: float32([width, hidden], normals(key, width * hidden, deviation)),
    [PROJECTION.bias]: float32([width], new Float32Array(width)),
  };
}

/** Of the generator; heads of flexbert's own take 0 and 1. Part of the format of runs: never renumber. */
const PROJECTION_SITE = 1000;

function projected(student: Tensor3D, parameters: Readonly<Record<string, Tensor>>): Tensor3D {
  const weight = parameters[PROJECTION.weight] as Tensor2D | undefined;
  if (!weight) return student;
  return dense(student, { weight, bias: parameters[PROJECTION.bias] as Tensor1D });
}
