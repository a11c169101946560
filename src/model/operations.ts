// The operations that a family's description is written in (families/family.ts), as far as rows and packed tokens have them
// in common: over the last axis, whatever stands before it.

import type { Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { activate } from "./activations";
import type { Dropout } from "./dropout";
import type { HeadOperations, Operations } from "./families/family";
import { dense, layerNorm } from "./ops";
import { denseParameters, normParameters, type Tensors } from "./parameters";

/**
 * @param dropout at sites by whole name; absent: none
 * @param site the whole name of a family's own
 */
export const operationsOn = (
  tensors: Tensors,
  dropout: Dropout | undefined,
  site: (name: string) => string,
): Operations<Tensor> => ({
  dense: (x, name) => dense(x, denseParameters(tensors, name)),
  norm: (x, name, epsilon) => layerNorm(x, normParameters(tensors, name), epsilon),
  add: (a, b) => tf.add(a, b),
  activate(x, activation) {
    if (activation === "tanh") return tf.tanh(x);
    return activate(x, activation === "gelu" ? undefined : activation);
  },
  drop: (x, name) => (dropout ? dropout(site(name), x) : x),
});

/** @param onPooled takes note of what the last product reads */
export const headOperations = (
  tensors: Tensors,
  dropout: Dropout | undefined,
  onPooled: ((pooled: Tensor) => void) | undefined,
): HeadOperations<Tensor> => ({
  ...operationsOn(tensors, dropout, (name) => name),
  pooled(x) {
    onPooled?.(x);
    return x;
  },
});
