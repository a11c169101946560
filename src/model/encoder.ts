// BERT's embeddings and encoder (Devlin et al. 2019) as pure functions over a parameter tree.
// Post-layer-norm, absolute positions; no decoder, no cross attention.

import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { activate } from "./activations";
import type { BertConfig } from "./config";
import { attentionOutputSite, attentionProbabilitiesSite, type Dropout, embeddingSite, outputSite } from "./dropout";
import { dense, layerNorm } from "./ops";
import { type EmbeddingParams, type LayerParams, layerParameters } from "./parameters";
import { firstPosition, type Positions, type Recorder } from "./recorder";

/** Added to the scores of padding: its probability underflows to 0 exactly. */
const MASKED = -1e9;

/**
 * Word, position and segment embeddings, normalised.
 * @param ids [batch, length] int32
 * @param typeIds [batch, length] int32, 0 or 1
 * @returns [batch, length, hidden]
 */
export function embed(
  params: EmbeddingParams,
  ids: Tensor2D,
  typeIds: Tensor2D,
  config: BertConfig,
  dropout?: Dropout,
): Tensor3D {
  const length = ids.shape[1];
  const words = tf.gather<Tensor>(params.word, ids);
  const positions = tf.slice(params.position, [0, 0], [length, -1]); // [length, hidden]
  const types = tf.gather<Tensor>(params.tokenType, typeIds);
  const sum = embedSum(words, types, positions) as Tensor3D; // [batch, length, hidden]
  const normal = layerNorm(sum, params.norm, config.layerNormEps);
  return dropout ? dropout(embeddingSite, normal) : normal;
}

/** In this order wherever it is computed: another one rounds otherwise. */
export const embedSum = (words: Tensor, types: Tensor, positions: Tensor): Tensor =>
  tf.add(tf.add(words, types), positions);

/**
 * 0 where a token is, a large negative number where padding is.
 * @param mask [batch, length], 1 for tokens and 0 for padding
 * @returns [batch, 1, 1, length], to add to attention scores
 */
export function attentionBias(mask: Tensor2D): Tensor4D {
  const padding = tf.sub(1, tf.cast(mask, "float32"));
  return tf.expandDims(tf.expandDims(tf.mul(padding, MASKED), 1), 1) as Tensor4D;
}

/**
 * One encoder layer.
 * @param hidden [batch, length, hidden]
 * @param bias [batch, 1, 1, length] from {@link attentionBias}
 * @param index the layer's number in the base, which names its dropout sites
 * @returns [batch, length, hidden], or [batch, 1, hidden] of the first position: keys and values are made of all
 */
export function encoderLayer(
  params: LayerParams,
  hidden: Tensor3D,
  bias: Tensor4D,
  config: BertConfig,
  index: number,
  dropout?: Dropout,
  positions: Positions = "all",
  record?: Recorder,
): Tensor3D {
  const drop: Dropout = dropout ?? ((_, x) => x);
  const asking = positions === "all" ? hidden : firstPosition(hidden);
  const context = selfAttention(params, asking, hidden, bias, config, index, drop, record);
  const onAttended = (x: Tensor3D) => drop(attentionOutputSite(index), x);
  return aboveAttention(params, context, asking, config, onAttended, (x) => drop(outputSite(index), x));
}

/**
 * What a layer makes of its attention.
 * @param context [..., hidden], of the positions that attend
 * @param asking the same positions before, which go around attention
 * @param onAttended dropout of attention's output, as `onOutput` is of the layer's
 */
export function aboveAttention<T extends Tensor>(
  params: LayerParams,
  context: T,
  asking: T,
  config: BertConfig,
  onAttended = (x: T): T => x,
  onOutput = (x: T): T => x,
): T {
  const attended = onAttended(dense(context, params.attentionOutput));
  const middle = layerNorm(tf.add<T>(attended, asking), params.attentionNorm, config.layerNormEps);
  const expanded = activate(dense(middle, params.intermediate), config.hiddenAct);
  const output = onOutput(dense(expanded, params.output));
  return layerNorm(tf.add<T>(output, middle), params.outputNorm, config.layerNormEps);
}

/**
 * Encoder layers `from` to `to`, without the last.
 * @param hidden [batch, length, hidden]
 * @param bias [batch, 1, 1, length] from {@link attentionBias}
 * @param top which positions the topmost of them computes: the first is all that a pooled head reads, and costs the
 *   layer its keys and values and little else
 * @returns [batch, length, hidden], or [batch, 1, hidden] of the first position
 */
export function encoderLayers(
  tensors: Readonly<Record<string, Tensor>>,
  hidden: Tensor3D,
  bias: Tensor4D,
  config: BertConfig,
  [from, to]: readonly [number, number],
  dropout?: Dropout,
  top: Positions = "all",
  record?: Recorder,
): Tensor3D {
  let above = hidden;
  record?.("hidden", from, above);
  for (let index = from; index < to; index++) {
    const positions = index === to - 1 ? top : "all";
    above = encoderLayer(layerParameters(tensors, index), above, bias, config, index, dropout, positions, record);
    record?.("hidden", index + 1, above);
  }
  return above;
}

/** @param asking [batch, n, hidden]: the positions that attend, to all of `hidden`. @returns the same shape */
function selfAttention(
  params: LayerParams,
  asking: Tensor3D,
  hidden: Tensor3D,
  bias: Tensor4D,
  config: BertConfig,
  index: number,
  drop: Dropout,
  record?: Recorder,
): Tensor3D {
  const [batch, , width] = hidden.shape;
  const heads = config.numAttentionHeads;
  const size = width / heads;
  // [batch, heads, n or length, size]
  const split = (x: Tensor3D) =>
    tf.transpose(tf.reshape(x, [batch, x.shape[1], heads, size]) as Tensor4D, [0, 2, 1, 3]);
  const query = split(dense(asking, params.query));
  const key = split(dense(hidden, params.key));
  const value = split(dense(hidden, params.value));
  const probabilities = attentionProbabilities(query, key, bias);
  record?.("attention", index, probabilities);
  const dropped = drop(attentionProbabilitiesSite(index), probabilities);
  const context = tf.transpose(tf.matMul(dropped, value), [0, 2, 1, 3]); // [batch, n, heads, size]
  return tf.reshape(context, [batch, asking.shape[1], width]) as Tensor3D;
}

/**
 * @param query [batch, heads, n, size]
 * @param key [batch, heads, length, size]
 * @returns [batch, heads, n, length]
 */
export function attentionProbabilities(query: Tensor4D, key: Tensor4D, bias: Tensor4D): Tensor4D {
  // The scale stands at the product, where a compiled step makes it the product's factor.
  const products = tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(query.shape[3]));
  return tf.softmax(tf.add(products, bias)) as Tensor4D;
}
