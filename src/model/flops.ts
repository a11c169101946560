// Floating-point work of BERT's matrix products, counted from shapes; a multiply-add counts as two. Elementwise work
// (layer norm, GELU, softmax, dropout, AdamW) and look-ups are left out: they are bound by memory, not by arithmetic.

import type { BertConfig } from "./config";
import type { Place } from "./place";

type Sizes = Pick<BertConfig, "hiddenSize" | "intermediateSize">;

/**
 * Forward products of one encoder layer over `tokens` positions in rows of `length`: with hidden size h and
 * intermediate size f, 2 (4 h^2 + 2 h f) a token for the weights (query, key, value, attention output; two of the
 * feed-forward part) and 4 length h a token for scores and context, whatever the number of heads.
 */
export function layerFlops({ hiddenSize: h, intermediateSize: f }: Sizes, tokens: number, length: number): number {
  return tokens * (2 * (4 * h * h + 2 * h * f) + 4 * length * h);
}

/**
 * Forward products of a branch's layers. The topmost computes keys and values of every position, 4 h^2 a token, and all
 * else of the first position of each row alone (see encoderLayers).
 */
export function branchFlops(sizes: Sizes, layers: number, tokens: number, length: number): number {
  const { hiddenSize: h, intermediateSize: f } = sizes;
  const rows = tokens / length;
  const top = tokens * 4 * h * h + rows * (2 * (2 * h * h + 2 * h * f) + 4 * length * h);
  return (layers - 1) * layerFlops(sizes, tokens, length) + top;
}

/** Forward products of pooler and classifier, which see one position a row: 2 (h^2 + h outputs) a row. */
export function headFlops({ hiddenSize: h }: Sizes, batch: number, outputs: number): number {
  return 2 * batch * (h * h + h * outputs);
}

/** All layers and the head, forward. */
export function inferenceFlops(
  config: Sizes & Pick<BertConfig, "numHiddenLayers">,
  batch: number,
  length: number,
  outputs: number,
): number {
  return branchFlops(config, config.numHiddenLayers, batch * length, length) + headFlops(config, batch, outputs);
}

export interface StepFlops {
  /** Forward through the layers under the fork. */
  readonly frozen: number;
  /** Forward and gradients of the trained layers and the head. */
  readonly branch: number;
}

/**
 * A train step of the top k layers that runs the frozen ones too. Each product Y = X W has two products of its size for
 * gradients, X^T dY and dY W^T, so a trained layer costs three times its forward pass. The one exception: nothing needs
 * the gradient of what enters the bottom trained layer, which spares the second of its query, key and value: 2 h^2 each
 * for every position that they are made of (a query of the first position alone where it is the topmost layer too).
 *
 *     frozen = fork layer
 *     branch = 3 (layers + head) - 2 h^2 (queries + keys + values)
 */
export function trainStepFlops(
  config: Sizes,
  { fork, layers }: Place,
  batch: number,
  length: number,
  outputs: number,
): StepFlops {
  const tokens = batch * length;
  const forward = branchFlops(config, layers, tokens, length) + headFlops(config, batch, outputs);
  const queries = layers === 1 ? batch : tokens;
  return {
    frozen: (fork ?? 0) * layerFlops(config, tokens, length),
    branch: 3 * forward - 2 * config.hiddenSize ** 2 * (queries + 2 * tokens),
  };
}
