// The pooler and the head: logits for classification, one value for regression, from the first token.

import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type Dropout, pooledSite } from "./dropout";
import { dense } from "./ops";
import { classifierParameters, poolerParameters } from "./parameters";

/**
 * tanh pooler over [CLS], then the classifier.
 * @param tensors holds bert.pooler.dense.* and classifier.*
 * @param hidden [batch, length, hidden]
 * @returns [batch, labels], or [batch, 1] for regression
 */
export function classify(tensors: Readonly<Record<string, Tensor>>, hidden: Tensor3D, dropout?: Dropout): Tensor2D {
  const [batch, , width] = hidden.shape;
  const first = tf.reshape(tf.slice(hidden, [0, 0, 0], [batch, 1, width]), [batch, width]);
  const pooled = tf.tanh(dense(first as Tensor2D, poolerParameters(tensors)));
  return dense(dropout ? dropout(pooledSite, pooled) : pooled, classifierParameters(tensors));
}
