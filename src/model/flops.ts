// Floating-point work of an encoder's matrix products, counted from shapes; a multiply-add counts as two. Elementwise work
// (layer norm, GELU, softmax, dropout, AdamW) and look-ups are left out: they are bound by memory, not by arithmetic.

import type { EncoderConfig } from "./config";
import { familyOf } from "./families/families";
import { headUnder, type Reading } from "./families/head";
import type { Place } from "./place";
import { sizeOf } from "./tensors";

type Sizes = Pick<EncoderConfig, "family" | "hiddenSize" | "intermediateSize">;

const productsOf = (sizes: Sizes, index?: number) => familyOf(sizes).products(sizes as EncoderConfig, index);

/** Forward products of the embeddings: of families whose words have a width of their own. */
const embeddingFlops = (sizes: Sizes, tokens: number): number =>
  2 * tokens * (familyOf(sizes).embeddingProducts?.(sizes as EncoderConfig) ?? 0);

/**
 * Forward products of one encoder layer over `tokens` positions in rows of `length`. Of BERT's, with hidden size h and
 * intermediate size f, 2 (4 h^2 + 2 h f) a token for the weights (query, key, value, attention output; two of the
 * feed-forward part) and 4 length h a token for scores and context, whatever the number of heads.
 */
export function layerFlops(sizes: Sizes, tokens: number, length: number): number {
  const { every, asking, attention } = productsOf(sizes);
  return tokens * (2 * (every + asking) + 4 * length * attention);
}

/** Positions of the topmost layer that the head reads: the first of each row, or all. */
function readPositions(sizes: Sizes, tokens: number, length: number, { perWord }: Reading): number {
  const all = perWord || familyOf(sizes).head.positions?.(sizes as EncoderConfig) === "all";
  return all ? tokens : tokens / length;
}

/**
 * Forward products of a branch's layers. The topmost computes keys and values of every position, 4 h^2 a token of BERT's, and
 * all else of the positions that the head reads: of the first of each row alone (see encoderLayers), unless it labels words.
 */
export function branchFlops(
  sizes: Sizes,
  layers: number,
  tokens: number,
  length: number,
  reading: Reading = {},
): number {
  if (layers === 0) return 0;
  const { every, asking, attention } = productsOf(sizes);
  const read = readPositions(sizes, tokens, length, reading);
  const top = tokens * 2 * every + read * (2 * asking + 4 * length * attention);
  return (layers - 1) * layerFlops(sizes, tokens, length) + top;
}

/**
 * Forward products of the head over so many positions, one a row, or where it labels words every token: of BERT's pooler and
 * classifier 2 (h^2 + h outputs) a row.
 */
export function headFlops(sizes: Sizes, positions: number, outputs: number, reading: Reading = {}): number {
  const matrices = headUnder(sizes as EncoderConfig, reading)
    .parameters(sizes as EncoderConfig, outputs)
    .filter(({ shape }) => shape.length === 2);
  return 2 * positions * matrices.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** Embeddings, all layers and the head, forward. */
export function inferenceFlops(
  config: Sizes & Pick<EncoderConfig, "numHiddenLayers">,
  batch: number,
  length: number,
  outputs: number,
  reading: Reading = {},
): number {
  const tokens = batch * length;
  const layers = branchFlops(config, config.numHiddenLayers, tokens, length, reading);
  return (
    embeddingFlops(config, tokens) + layers + headFlops(config, reading.perWord ? tokens : batch, outputs, reading)
  );
}

export interface StepFlops {
  /** Forward through embeddings and layers under the fork. */
  readonly frozen: number;
  /** Forward and gradients of the trained layers and the head. */
  readonly branch: number;
}

/**
 * A train step of the top k layers that runs the frozen ones too. Each product Y = X W has two products of its size for
 * gradients, X^T dY and dY W^T, so a trained layer costs three times its forward pass. The one exception: nothing needs
 * the gradient of what enters the bottom trained layer, which spares the second of its query, key and value, of BERT's
 * 2 h^2 each for every position that they are made of (a query of the first position alone where it is the topmost too).
 *
 *     frozen = embeddings + fork layer
 *     branch = 3 (layers + head) - 2 (entering products of queries + of keys and values)
 */
export function trainStepFlops(
  config: Sizes,
  { fork, layers }: Place,
  batch: number,
  length: number,
  outputs: number,
  reading: Reading = {},
): StepFlops {
  const tokens = batch * length;
  const head = headFlops(config, reading.perWord ? tokens : batch, outputs, reading);
  const forward = branchFlops(config, layers, tokens, length, reading) + head;
  const queries = layers === 1 ? readPositions(config, tokens, length, reading) : tokens;
  const { entering } = productsOf(config, fork ?? 0);
  const embeddings = embeddingFlops(config, tokens);
  return {
    frozen: fork === null ? 0 : embeddings + fork * layerFlops(config, tokens, length),
    branch:
      3 * (forward + (fork === null ? embeddings : 0)) - 2 * (entering.asking * queries + entering.every * tokens),
  };
}
