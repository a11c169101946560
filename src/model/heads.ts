// Heads: what of a kind of task is made of tensors. Which positions of the topmost layer it reads, the logits that it makes
// of them, and what those cost against labels and against a teacher's. Kinds load this file (src/tasks/kinds).

import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type Dropout, pooledSite } from "./dropout";
import { binaryCrossEntropy, binarySoftTargetLoss, crossEntropy, meanSquaredError, softTargetLoss } from "./losses";
import { dense } from "./ops";
import { classifierParameters, poolerParameters } from "./parameters";
import type { Positions } from "./recorder";

type Named = Readonly<Record<string, Tensor>>;

/** The part of a head that serving runs. */
export interface HeadForward {
  readonly positions: Positions;
  /**
   * @param tensors holds the head's
   * @param hidden [batch, length, hidden], what leaves the topmost layer; [batch, 1, hidden] where it reads the first
   * @param onPooled of a head with BERT's pooler: takes note of its output [batch, hidden], before dropout
   * @returns [batch, outputs]
   */
  logits(tensors: Named, hidden: Tensor3D, dropout?: Dropout, onPooled?: (pooled: Tensor2D) => void): Tensor2D;
}

export interface Head extends HeadForward {
  /** Mean over real rows. @param labels [batch, ...target shape] as the kind has it; weights [batch], 0 for filler rows */
  loss(logits: Tensor2D, labels: Tensor, weights: Tensor1D): Scalar;
  /** As `loss`, against a teacher's logits [batch, outputs]; no gradient flows into them. */
  distillationLoss(logits: Tensor2D, teacher: Tensor2D, weights: Tensor1D, temperature: number): Scalar;
}

/** tanh pooler over [CLS], then the classifier. Tensors are bert.pooler.dense.* and classifier.*. */
export const pooledHead: HeadForward = {
  positions: "first",
  logits(tensors, first, dropout, onPooled) {
    const [batch, , width] = first.shape;
    const pooled = tf.tanh(dense(tf.reshape(first, [batch, width]) as Tensor2D, poolerParameters(tensors)));
    onPooled?.(pooled);
    return dense(dropout ? dropout(pooledSite, pooled) : pooled, classifierParameters(tensors));
  },
};

/** By the names of kinds. */
export const heads = {
  classification: {
    ...pooledHead,
    loss: (logits, labels, weights) => crossEntropy(logits, labels as Tensor1D, weights),
    distillationLoss: softTargetLoss,
  },
  regression: {
    ...pooledHead,
    loss: (logits, labels, weights) => meanSquaredError(logits, labels as Tensor1D, weights),
    distillationLoss: meanSquaredError,
  },
  multilabel: {
    ...pooledHead,
    loss: (logits, labels, weights) => binaryCrossEntropy(logits, labels as Tensor2D, weights),
    distillationLoss: binarySoftTargetLoss,
  },
} as const satisfies Readonly<Record<string, Head>>;
