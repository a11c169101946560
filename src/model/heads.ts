// Heads: what of a kind of task is made of tensors. Which positions of the topmost layer it reads, the logits that it makes
// of them, and what those cost against labels and against a teacher's. Kinds load this file (src/tasks/kinds).

import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import type { Dropout } from "./dropout";
import { familyOf } from "./families/families";
import {
  binaryCrossEntropy,
  binarySoftTargetLoss,
  crossEntropy,
  meanSquaredError,
  softTargetLoss,
  tokenCrossEntropy,
  tokenSoftTargetLoss,
} from "./losses";
import { headOperations } from "./operations";
import type { Positions } from "./recorder";

type Named = Readonly<Record<string, Tensor>>;

/** The part of a head that serving runs. */
export interface HeadForward {
  readonly positions: Positions;
  /**
   * It reads every position alone, of all: its logits are [batch, length, outputs], and it may be given tokens of several rows
   * one after another as one row. Absent: its logits are a row's.
   */
  readonly perToken?: true;
  /**
   * @param tensors holds the head's
   * @param hidden [batch, length, hidden], what leaves the topmost layer; [batch, 1, hidden] where it reads the first
   * @param onPooled of a head with a pooled output: takes note of what its last product reads [batch, hidden], before dropout
   * @param mask [batch, length] int32, 1 for tokens: for a head that reads all positions
   * @returns [batch, outputs], or what {@link perToken} says
   */
  logits(
    tensors: Named,
    hidden: Tensor3D,
    dropout?: Dropout,
    onPooled?: (pooled: Tensor2D) => void,
    mask?: Tensor2D,
  ): Tensor2D;
}

export interface Head extends HeadForward {
  /**
   * Mean over real rows, or over labelled tokens. @param labels [batch, ...target shape] as the kind has it, or [batch, length]
   * of tokens, -1 without one; weights [batch], 0 for filler rows
   */
  loss(logits: Tensor2D, labels: Tensor, weights: Tensor1D): Scalar;
  /** As `loss`, against a teacher's logits of the same shape; no gradient flows into them. Labels say which tokens count. */
  distillationLoss(logits: Tensor2D, teacher: Tensor2D, weights: Tensor1D, temperature: number, labels: Tensor): Scalar;
}

/** What of a head the family decides: what is made of the first position, or of all. Tensors are the family's head's. */
export function pooledHeadOf(base: Pick<EncoderConfig, "family">): HeadForward {
  const config = base as EncoderConfig;
  const { head } = familyOf(config);
  const positions = head.positions?.(config) ?? "first";
  return {
    positions,
    logits(tensors, hidden, dropout, onPooled, mask) {
      const [batch, , width] = hidden.shape;
      const take = onPooled as ((pooled: Tensor) => void) | undefined;
      const states = positions === "first" ? tf.reshape(hidden, [batch, width]) : hidden;
      return head.logits<Tensor>(headOperations(tensors, dropout, take, mask), states, config) as Tensor2D;
    },
  };
}

/** BERT's: tanh pooler over [CLS], then the classifier. Tensors are bert.pooler.dense.* and classifier.*. */
export const pooledHead: HeadForward = pooledHeadOf({});

/** What of a head over every token the family decides. */
export function tokenHeadOf(base: Pick<EncoderConfig, "family">): HeadForward {
  const config = base as EncoderConfig;
  const { tokenHead } = familyOf(config);
  return {
    positions: "all",
    perToken: true,
    // Of tokens [batch, length, outputs], which only its own losses read.
    logits: (tensors, hidden, dropout) =>
      tokenHead.logits<Tensor>(headOperations(tensors, dropout, undefined, undefined), hidden, config) as Tensor2D,
  };
}

/** What outputs cost, by the names of kinds. */
const losses = {
  classification: {
    loss: (logits, labels, weights) => crossEntropy(logits, labels as Tensor1D, weights),
    distillationLoss: softTargetLoss,
  },
  regression: {
    loss: (logits, labels, weights) => meanSquaredError(logits, labels as Tensor1D, weights),
    distillationLoss: meanSquaredError,
  },
  multilabel: {
    loss: (logits, labels, weights) => binaryCrossEntropy(logits, labels as Tensor2D, weights),
    distillationLoss: binarySoftTargetLoss,
  },
  tagging: {
    loss: (logits, labels) => tokenCrossEntropy(logits as Tensor as Tensor3D, labels as Tensor2D),
    distillationLoss: (logits, teacher, _, temperature, labels) =>
      tokenSoftTargetLoss(logits as Tensor as Tensor3D, teacher as Tensor as Tensor3D, labels as Tensor2D, temperature),
  },
} as const satisfies Readonly<Record<string, Pick<Head, "loss" | "distillationLoss">>>;

/** The head of a kind over a base of this config. */
export const headFor = (kind: keyof typeof losses, config: Pick<EncoderConfig, "family">): Head => ({
  ...(kind === "tagging" ? tokenHeadOf(config) : pooledHeadOf(config)),
  ...losses[kind],
});

/** Over BERT, by the names of kinds. */
export const heads = {
  classification: headFor("classification", {}),
  regression: headFor("regression", {}),
  multilabel: headFor("multilabel", {}),
  tagging: headFor("tagging", {}),
};
