// What padded rows and packed tokens have in common of attention: scores are [rows, heads, asking, length] in both, and
// positions of a row are counted from 0.

import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import type { AttentionForm, RelativeBias } from "./families/family";
import { parameter, type Tensors } from "./parameters";
import type { Positions } from "./recorder";

/** Added to the scores of padding: its probability underflows to 0 exactly. */
const MASKED = -1e9;

/** What is added to the scores of a call, made once for all of its layers. */
export interface Masking {
  /** [rows, 1, 1, length] */
  readonly padding: Tensor4D;
  /** Padding with what else is added, by the table that it comes from. */
  readonly sums: Map<Tensor, Map<Positions, Tensor4D>>;
}

/** @param mask [rows, length], 1 for tokens and 0 for padding */
export const masking = (mask: Tensor2D): Masking => ({ padding: attentionBias(mask), sums: new Map() });

/**
 * 0 where a token is, a large negative number where padding is.
 * @returns [rows, 1, 1, length], to add to attention scores
 */
export function attentionBias(mask: Tensor2D): Tensor4D {
  const padding = tf.sub(1, tf.cast(mask, "float32"));
  return tf.expandDims(tf.expandDims(tf.mul(padding, MASKED), 1), 1) as Tensor4D;
}

/**
 * All that is added to the scores of a layer.
 * @param asking which positions attend
 * @returns [rows, 1 or heads, 1 or asking, length]
 */
export function scoreBias(
  { padding, sums }: Masking,
  { relative }: AttentionForm,
  asking: Positions,
  tensors: Tensors,
  config: EncoderConfig,
): Tensor4D {
  if (!relative) return padding;
  const table = parameter(tensors, relative.table);
  const known = sums.get(table) ?? new Map<Positions, Tensor4D>();
  sums.set(table, known);
  const found = known.get(asking);
  if (found) return found;
  const byDistance = relativeBias(table as Tensor2D, relative, padding.shape[3], asking, config);
  const sum = tf.add(padding, byDistance) as Tensor4D;
  known.set(asking, sum);
  return sum;
}

/**
 * The table's values by distance, of any length: a slice of constants that reach as far as there are positions.
 * @returns [heads, asking, length]
 */
function relativeBias(
  table: Tensor2D,
  { bucket }: RelativeBias,
  length: number,
  asking: Positions,
  { maxPositionEmbeddings: most, numAttentionHeads: heads }: EncoderConfig,
): Tensor {
  const places = tf.slice(tf.tensor1d(range(most), "int32"), [0], [length]);
  const keys = tf.reshape(places, [1, 1, length]);
  const queries = asking === "first" ? null : tf.reshape(places, [1, length, 1]);
  // Distances from -most + 1 to most - 1 as places in a constant, whose size no symbolic size divides: a power of two.
  const buckets = new Int32Array(2 ** Math.ceil(Math.log2(2 * most)));
  for (let at = 0; at < 2 * most - 1; at++) buckets[at] = bucket(at - most + 1);
  const distances = tf.add(queries ? tf.sub(keys, queries) : keys, tf.scalar(most - 1, "int32"));
  const rows = tf.gather<Tensor>(tf.tensor1d(buckets, "int32"), tf.cast(distances, "int32") as tf.Tensor1D);
  const columns = tf.tensor3d(range(heads), [heads, 1, 1], "int32");
  const cells = tf.add(tf.mul(rows, tf.scalar(heads, "int32")), columns); // [heads, asking, length]
  // Flat, so that no transpose brings heads forward; and a table of so few rows is no int8 one (compile/onnx/packed.ts).
  return tf.gather<Tensor>(tf.reshape(table, [-1]), tf.cast(cells, "int32") as tf.Tensor1D);
}

const range = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);

/**
 * @param query [rows, heads, asking, size]
 * @param key [rows, heads, length, size]
 * @param bias of {@link scoreBias}
 * @returns [rows, heads, asking, length]
 */
export function attentionProbabilities(query: Tensor4D, key: Tensor4D, bias: Tensor4D): Tensor4D {
  // The scale stands at the product, where a compiled step makes it the product's factor.
  const products = tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(query.shape[3]));
  return tf.softmax(tf.add(products, bias)) as Tensor4D;
}
