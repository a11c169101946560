// Embeddings and encoder of any family over padded rows, as pure functions over a parameter tree: what a family's file
// describes, run on [batch, length, hidden]. packed.ts runs the same descriptions without padding.

import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionProbabilities, attentionScores, type Masking, placesUpTo, rotated, scoreBias } from "./attention";
import type { EncoderConfig } from "./config";
import { attentionProbabilitiesSite, type Dropout, layerSite } from "./dropout";
import { familyOf } from "./families/families";
import type { LayerOperations } from "./families/family";
import { embeddingOperations, operationsOn } from "./operations";
import { sideBySide } from "./ops";
import { parameter, type Tensors } from "./parameters";
import { firstPosition, type Positions, type Recorder } from "./recorder";

/**
 * Token ids as the family embeds them.
 * @param ids [batch, length] int32
 * @param typeIds [batch, length] int32, 0 or 1; absent for a family whose calls have none
 * @param mask [batch, length] int32, 1 for tokens: where neighbours are read, padding is none; absent: all are tokens
 * @returns [batch, length, hidden]
 */
export function embed(
  tensors: Tensors,
  ids: Tensor2D,
  typeIds: Tensor2D | undefined,
  config: EncoderConfig,
  dropout?: Dropout,
  mask?: Tensor2D,
): Tensor3D {
  const length = ids.shape[1];
  const { inputs, ...family } = familyOf(config);
  const take = (words: string, of: Tensor) => tf.gather<Tensor>(parameter(tensors, words), of as Tensor2D);
  const types = (table: string) => typeRows(parameter(tensors, table), typeIds);
  const positions = (table: string) =>
    tf.slice(parameter(tensors, table), [inputs.firstPosition(config), 0], [length, -1]); // [length, width]
  const ops = embeddingOperations(tensors, dropout, {
    words: (table) => take(table, ids),
    trigrams(words) {
      const [after, before] = neighbours(ids, mask, config);
      const [next, previous] = [after, before].map(({ ids, holds }) => tf.mul(take(words, ids), holds));
      return sideBySide([next as Tensor, take(words, ids), previous as Tensor]);
    },
    positions,
    types,
  });
  return family.embed<Tensor>(ops, config) as Tensor3D; // [batch, length, hidden]
}

/**
 * Of every position the id of the next and of the one before it, and whether there is one, [batch or 1, length, 1]. Ids are
 * looked up and no rows are moved: a length less one would be no size of a graph that holds for every length.
 */
function neighbours(ids: Tensor2D, mask: Tensor2D | undefined, { maxPositionEmbeddings: most }: EncoderConfig) {
  const at = placesUpTo(ids.shape[1], most);
  const last = tf.max(at);
  const next = tf.minimum(tf.add(at, tf.scalar(1, "int32")), last) as Tensor1D;
  const previous = tf.maximum(tf.sub(at, tf.scalar(1, "int32")), tf.scalar(0, "int32")) as Tensor1D;
  const column = (holds: Tensor) => tf.expandDims(tf.cast(holds, "float32"), -1);
  const inside = column(tf.less(at, last));
  const isToken = mask && column(tf.gather(mask, next, 1)); // [batch, length, 1]
  return [
    { ids: tf.gather(ids, next, 1), holds: isToken ? tf.mul(isToken, inside) : inside },
    { ids: tf.gather(ids, previous, 1), holds: column(tf.greater(at, tf.scalar(0, "int32"))) },
  ] as const;
}

/** A row a token; the first for all where they have no types. */
export const typeRows = (table: Tensor, typeIds: Tensor | undefined): Tensor =>
  typeIds ? tf.gather<Tensor>(table, typeIds as Tensor1D) : tf.slice(table, [0, 0], [1, -1]);

/**
 * One encoder layer.
 * @param hidden [batch, length, hidden]
 * @param index the layer's number in the base
 * @returns [batch, length, hidden], or [batch, 1, hidden] of the first position: keys and values are made of all
 */
export function encoderLayer(
  tensors: Tensors,
  hidden: Tensor3D,
  masked: Masking,
  config: EncoderConfig,
  index: number,
  dropout?: Dropout,
  positions: Positions = "all",
  record?: Recorder,
): Tensor3D {
  const ops: LayerOperations<Tensor> = {
    ...operationsOn(tensors, dropout, (name) => layerSite(index, name)),
    asking: (x) => (positions === "all" ? x : firstPosition(x)),
    attend({ query, key, value }, form = {}) {
      const heads = config.numAttentionHeads;
      const split = (x: Tensor) => splitHeads(x as Tensor3D, heads);
      const [asked, keys, v] = [split(query()), split(key()), split(value())];
      const [q, k] = rotated(asked, keys, masked, form, positions, config);
      const scores = attentionScores(q, k);
      const probabilities = attentionProbabilities(scores, scoreBias(masked, form, positions, tensors, config));
      record?.("scores", index, scores);
      record?.("attention", index, probabilities);
      record?.("values", index, v);
      const dropped = dropout ? dropout(attentionProbabilitiesSite(index), probabilities) : probabilities;
      const context = tf.transpose(tf.matMul(dropped, v), [0, 2, 1, 3]); // [batch, n, heads, size]
      const [batch, n, , size] = context.shape as [number, number, number, number];
      return tf.reshape(context, [batch, n, heads * size]);
    },
  };
  return familyOf(config).layer<Tensor>(ops, hidden, index, config) as Tensor3D;
}

/** [batch, n, heads x size] to [batch, heads, n, size] */
function splitHeads(x: Tensor3D, heads: number): Tensor4D {
  const [batch, n, width] = x.shape;
  return tf.transpose(tf.reshape(x, [batch, n, heads, width / heads]) as Tensor4D, [0, 2, 1, 3]);
}

/**
 * Encoder layers `from` to `to`, without the last.
 * @param hidden [batch, length, hidden]
 * @param top which positions the topmost of them computes: the first is all that a pooled head reads, and costs the
 *   layer its keys and values and little else
 * @returns [batch, length, hidden], or [batch, 1, hidden] of the first position
 */
export function encoderLayers(
  tensors: Tensors,
  hidden: Tensor3D,
  masked: Masking,
  config: EncoderConfig,
  [from, to]: readonly [number, number],
  dropout?: Dropout,
  top: Positions = "all",
  record?: Recorder,
): Tensor3D {
  let above = hidden;
  record?.("hidden", from, above);
  for (let index = from; index < to; index++) {
    const positions = index === to - 1 ? top : "all";
    above = encoderLayer(tensors, above, masked, config, index, dropout, positions, record);
    record?.("hidden", index + 1, above);
  }
  return from === to && top === "first" ? firstPosition(above) : above;
}
