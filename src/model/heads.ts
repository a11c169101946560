// The pooler and the head: logits for classification, one value for regression, from the first position.

import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type Dropout, pooledSite } from "./dropout";
import { dense } from "./ops";
import { classifierParameters, poolerParameters } from "./parameters";

/**
 * tanh pooler over [CLS], then the classifier.
 * @param tensors holds bert.pooler.dense.* and classifier.*
 * @param first [batch, 1, hidden], the top layer's output at [CLS]
 * @returns [batch, labels], or [batch, 1] for regression
 */
export function classify(tensors: Readonly<Record<string, Tensor>>, first: Tensor3D, dropout?: Dropout): Tensor2D {
  const [batch, , width] = first.shape;
  const pooled = tf.tanh(dense(tf.reshape(first, [batch, width]) as Tensor2D, poolerParameters(tensors)));
  return dense(dropout ? dropout(pooledSite, pooled) : pooled, classifierParameters(tensors));
}
