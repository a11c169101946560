// What padded rows and packed tokens have in common of attention: scores are [rows, heads, asking, length] in both, and
// positions of a row are counted from 0. What depends on them (buckets of distances, windows, rotary turns) is cut from
// constants, so that a graph holds for every length.

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import type { AttentionForm, RelativeBias } from "./families/family";
import { sideBySide } from "./ops";
import { parameter, type Tensors } from "./parameters";
import type { Positions } from "./recorder";

/** Added to the scores of padding: its probability underflows to 0 exactly. */
const MASKED = -1e9;

/** What is added to the scores of a call, and what turns its queries and keys, made once for all of its layers. */
export interface Masking {
  /** [rows, 1, 1, length] */
  readonly padding: Tensor4D;
  /** Padding with what else is added, by what that is. */
  readonly sums: Map<string, Tensor4D>;
  /** Cosines and sines of rotary positions, each [length, size / 2], by theta. */
  readonly turns: Map<number, readonly [Tensor, Tensor]>;
}

/** @param mask [rows, length], 1 for tokens and 0 for padding */
export const masking = (mask: Tensor2D): Masking => ({
  padding: attentionBias(mask),
  sums: new Map(),
  turns: new Map(),
});

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
  { relative, window }: AttentionForm,
  asking: Positions,
  tensors: Tensors,
  config: EncoderConfig,
): Tensor4D {
  const table = relative && (parameter(tensors, relative.table) as Tensor2D);
  if (!table && window === undefined) return padding;
  const key = `${asking} ${table?.id} ${window}`;
  const found = sums.get(key);
  if (found) return found;
  const length = padding.shape[3];
  let sum: Tensor = padding;
  if (table) sum = tf.add(sum, relativeBias(table, relative, length, asking, config));
  if (window !== undefined) sum = tf.add(sum, windowBias(window, length, asking, config));
  sums.set(key, sum as Tensor4D);
  return sum as Tensor4D;
}

/** @returns [1, asking, length], large and negative where a key is farther than `window` from the query */
function windowBias(window: number, length: number, asking: Positions, config: EncoderConfig): Tensor {
  const [keys, queries] = axes(length, asking, config);
  const distance = tf.abs(queries ? tf.sub(keys, queries) : keys);
  return tf.mul(tf.cast(tf.greater(distance, tf.scalar(window, "int32")), "float32"), MASKED);
}

/** Positions of keys [1, 1, length] and of queries [1, length, 1]; null where the first attends alone, which is 0. */
function axes(length: number, asking: Positions, { maxPositionEmbeddings: most }: EncoderConfig) {
  const places = placesUpTo(length, most);
  const keys = tf.reshape(places, [1, 1, length]);
  return [keys, asking === "first" ? null : tf.reshape(places, [1, length, 1])] as const;
}

/** A size that no symbolic size divides, for constants that reach as far as there are positions, and their padding: a power of two, at least four. */
const reaching = (most: number): number => Math.max(4, 2 ** Math.ceil(Math.log2(most)));

/**
 * 0, 1, ... of any length up to `most`: a slice of a constant.
 * @returns [length] int32
 */
export const placesUpTo = (length: number, most: number): Tensor1D =>
  tf.slice(tf.tensor1d(range(reaching(most)), "int32"), [0], [length]);

/**
 * The table's values by distance, of any length: a slice of constants that reach as far as there are positions.
 * @returns [heads, asking, length]
 */
function relativeBias(
  table: Tensor2D,
  { bucket }: RelativeBias,
  length: number,
  asking: Positions,
  config: EncoderConfig,
): Tensor {
  const { maxPositionEmbeddings: most, numAttentionHeads: heads } = config;
  const [keys, queries] = axes(length, asking, config);
  // Distances from -most + 1 to most - 1 as places in a constant.
  const buckets = new Int32Array(reaching(2 * most));
  for (let at = 0; at < 2 * most - 1; at++) buckets[at] = bucket(at - most + 1);
  const distances = tf.add(queries ? tf.sub(keys, queries) : keys, tf.scalar(most - 1, "int32"));
  const rows = tf.gather<Tensor>(tf.tensor1d(buckets, "int32"), tf.cast(distances, "int32") as Tensor1D);
  const columns = tf.tensor3d(range(heads), [heads, 1, 1], "int32");
  const cells = tf.add(tf.mul(rows, tf.scalar(heads, "int32")), columns); // [heads, asking, length]
  // Flat, so that no transpose brings heads forward; and a table of so few rows is no int8 one (compile/onnx/packed.ts).
  return tf.gather<Tensor>(tf.reshape(table, [-1]), tf.cast(cells, "int32") as Tensor1D);
}

/**
 * Queries and keys with their rotary positions, where the family has these.
 * @param query [rows, heads, asking, size]
 * @param key [rows, heads, length, size]
 */
export function rotated(
  query: Tensor4D,
  key: Tensor4D,
  { turns }: Masking,
  { rotary }: AttentionForm,
  asking: Positions,
  { maxPositionEmbeddings: most }: EncoderConfig,
): readonly [Tensor4D, Tensor4D] {
  if (!rotary) return [query, key];
  const [, , length, size] = key.shape;
  const turn = turns.get(rotary.theta) ?? turnTables(rotary.theta, size, length, most);
  turns.set(rotary.theta, turn);
  // The first position is turned by nothing.
  return [asking === "first" ? query : turned(query, turn), turned(key, turn)];
}

/** @param x [rows, heads, length, size] */
function turned(x: Tensor4D, [cosine, sine]: readonly [Tensor, Tensor]): Tensor4D {
  const half = x.shape[3] / 2;
  const [a, b] = [0, half].map((at) => tf.slice(x, [0, 0, 0, at], [-1, -1, -1, half])) as [Tensor4D, Tensor4D];
  const parts = [tf.sub(tf.mul(a, cosine), tf.mul(b, sine)), tf.add(tf.mul(b, cosine), tf.mul(a, sine))];
  return sideBySide(parts) as Tensor4D;
}

/**
 * Cosines and sines are constants of all positions and not computed by a graph: a GPU's of large angles may be wrong in the
 * third decimal (WGSL promises them between -pi and pi alone).
 * @returns each [length, size / 2]
 */
function turnTables(theta: number, size: number, length: number, most: number): readonly [Tensor, Tensor] {
  const [rows, half] = [reaching(most), size / 2];
  const key = `${theta} ${size} ${rows}`;
  const tables = hostTurns.get(key) ?? hostTables(theta, half, rows);
  hostTurns.set(key, tables);
  const sliced = (values: Float32Array) => tf.slice(tf.tensor2d(values, [rows, half]), [0, 0], [length, -1]);
  return [sliced(tables[0]), sliced(tables[1])];
}

const hostTurns = new Map<string, readonly [Float32Array, Float32Array]>();

/** Angles are rounded to float32 at every step, as PyTorch's are: far positions turn by the rounding too. */
function hostTables(theta: number, half: number, rows: number): readonly [Float32Array, Float32Array] {
  const [cosines, sines] = [new Float32Array(rows * half), new Float32Array(rows * half)];
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround(i / half)));
    for (let position = 0; position < rows; position++) {
      const angle = Math.fround(position * frequency);
      cosines[position * half + i] = Math.cos(angle);
      sines[position * half + i] = Math.sin(angle);
    }
  }
  return [cosines, sines];
}

const range = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);

/**
 * Products of queries and keys, or of values and values, over the root of a head's size.
 * @param query [rows, heads, asking, size]
 * @param key [rows, heads, length, size]
 * @returns [rows, heads, asking, length]
 */
export const attentionScores = (query: Tensor4D, key: Tensor4D): Tensor4D =>
  // The scale stands at the product, where a compiled step makes it the product's factor.
  tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(query.shape[3]));

/** @param bias of {@link scoreBias} @returns of the scores' shape */
export const attentionProbabilities = (scores: Tensor4D, bias: Tensor4D): Tensor4D =>
  tf.softmax(tf.add(scores, bias)) as Tensor4D;
