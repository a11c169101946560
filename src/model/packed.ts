// The encoder over packed tokens: the rows of a batch stand one after another, [tokens, hidden], and no padding among them.
// Products with weights, GELU and layer norms run on real tokens alone. Attention alone needs rows: two gathers, which
// take the place of the transposes that bring heads forward, lay a batch's heads out by row and put them back.

import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { BertConfig } from "./config";
import { aboveAttention, attentionBias, attentionProbabilities, embedSum } from "./encoder";
import { dense, layerNorm } from "./ops";
import { embeddingParameters, type LayerParams, layerParameters } from "./parameters";
import type { Positions } from "./recorder";

type Named = Readonly<Record<string, Tensor>>;

/** Where the rows of a batch lie among its packed tokens. All int32. */
export interface Packing {
  /** [rows, length], 1 for tokens, 0 for padding */
  readonly attention_mask: Tensor2D;
  /** [rows, heads, length]: of a row's position and head the place among [tokens x heads]; of padding the row's first */
  readonly to_rows: Tensor3D;
  /** [tokens, heads]: of a token's head the place among [rows x heads x length] */
  readonly to_tokens: Tensor2D;
}

/** The axes of a packed call whose sizes differ between calls. `source` are the tokens of the piece below. */
export const packedAxes = {
  below: ["source", null],
  tokens: ["tokens"],
  input_ids: ["tokens"],
  token_type_ids: ["tokens"],
  position_ids: ["tokens"],
  attention_mask: ["rows", "length"],
  to_rows: ["rows", null, "length"],
  to_tokens: ["tokens", null],
  first: ["rows"],
} as const;

/**
 * Word, position and segment embeddings of packed tokens, normalised.
 * @param ids [tokens] int32, as are typeIds and positions
 * @returns [tokens, hidden]
 */
export function embedPacked(tensors: Named, ids: Tensor, typeIds: Tensor, positions: Tensor, config: BertConfig) {
  const params = embeddingParameters(tensors);
  const words = tf.gather<Tensor>(params.word, ids as tf.Tensor1D);
  const types = tf.gather<Tensor>(params.tokenType, typeIds as tf.Tensor1D);
  const places = tf.gather<Tensor>(params.position, positions as tf.Tensor1D);
  return layerNorm(embedSum(words, types, places) as Tensor2D, params.norm, config.layerNormEps);
}

/**
 * Encoder layers `from` to `to`, without the last.
 * @param hidden [tokens, hidden]
 * @param first [rows] int32, the place of each row's first token; given, the topmost layer computes these alone
 * @returns [tokens, hidden], or [rows, hidden] of the first tokens
 */
export function packedLayers(
  tensors: Named,
  hidden: Tensor2D,
  packing: Packing,
  config: BertConfig,
  [from, to]: readonly [number, number],
  top: Positions = "all",
  first?: Tensor,
): Tensor2D {
  const bias = attentionBias(packing.attention_mask);
  let above = hidden;
  for (let index = from; index < to; index++) {
    const asking = top === "first" && index === to - 1 ? tf.gather<Tensor2D>(above, first as tf.Tensor1D) : above;
    const params = layerParameters(tensors, index);
    above = aboveAttention(params, packedAttention(params, asking, above, packing, bias, config), asking, config);
  }
  return above;
}

/** Packed states by row, [rows, length, hidden]: what a head reads that wants more than first positions. Padding repeats the first. */
export function rowsOf(x: Tensor2D, { to_rows }: Packing, { numAttentionHeads: heads }: BertConfig): Tensor3D {
  const [, width] = x.shape;
  const [rows, , length] = to_rows.shape;
  const byHead = tf.gather<Tensor>(tf.reshape(x, [-1, width / heads]), to_rows as unknown as tf.Tensor1D);
  return tf.reshape(tf.transpose(byHead, [0, 2, 1, 3]), [rows, length, width]);
}

/** @param asking the tokens that attend: all of `hidden`, or each row's first. @returns the same shape */
function packedAttention(
  params: LayerParams,
  asking: Tensor2D,
  hidden: Tensor2D,
  packing: Packing,
  bias: Tensor4D,
  config: BertConfig,
): Tensor2D {
  const [, width] = hidden.shape;
  const heads = config.numAttentionHeads;
  const size = width / heads;
  // [rows, heads, length, size]
  const gathered = (x: Tensor, at: Tensor) => tf.gather<Tensor>(tf.reshape(x, [-1, size]), at as tf.Tensor1D);
  const byRow = (x: Tensor2D) => gathered(x, packing.to_rows) as Tensor4D;
  const all = asking === hidden;
  const asked = dense(asking, params.query);
  const query = all ? byRow(asked) : (tf.reshape(asked, [-1, heads, 1, size]) as Tensor4D);
  const key = byRow(dense(hidden, params.key));
  const value = byRow(dense(hidden, params.value));
  const context = tf.matMul(attentionProbabilities(query, key, bias), value); // [rows, heads, n, size]
  if (!all) return tf.reshape(context, [-1, width]) as Tensor2D;
  return tf.reshape(gathered(context, packing.to_tokens), [-1, width]) as Tensor2D; // from [tokens, heads, size]
}
