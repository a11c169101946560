// Embeddings and encoder of any family over padded rows, as pure functions over a parameter tree: what a family's file
// describes, run on [batch, length, hidden]. packed.ts runs the same descriptions without padding.

import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionProbabilities, type Masking, scoreBias } from "./attention";
import type { EncoderConfig } from "./config";
import { attentionProbabilitiesSite, type Dropout, layerSite } from "./dropout";
import { familyOf } from "./families/families";
import type { LayerOperations } from "./families/family";
import { operationsOn } from "./operations";
import { parameter, type Tensors } from "./parameters";
import { firstPosition, type Positions, type Recorder } from "./recorder";

/**
 * Token ids as the family embeds them.
 * @param ids [batch, length] int32
 * @param typeIds [batch, length] int32, 0 or 1; absent for a family whose calls have none
 * @returns [batch, length, hidden]
 */
export function embed(
  tensors: Tensors,
  ids: Tensor2D,
  typeIds: Tensor2D | undefined,
  config: EncoderConfig,
  dropout?: Dropout,
): Tensor3D {
  const length = ids.shape[1];
  const { inputs, ...family } = familyOf(config);
  const embedded = family.embed<Tensor>(
    {
      ...operationsOn(tensors, dropout, (name) => name),
      lookUp({ words, positions, types }) {
        const taken = tf.gather<Tensor>(parameter(tensors, words), ids);
        const first = inputs.firstPosition(config);
        const places = tf.slice(parameter(tensors, positions), [first, 0], [length, -1]); // [length, hidden]
        if (types === undefined) return tf.add(taken, places);
        return tf.add(tf.add(taken, typeRows(parameter(tensors, types), typeIds)), places);
      },
    },
    config,
  );
  return embedded as Tensor3D; // [batch, length, hidden]
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
      const [q, k, v] = [split(query()), split(key()), split(value())];
      const probabilities = attentionProbabilities(q, k, scoreBias(masked, form, positions, tensors, config));
      record?.("attention", index, probabilities);
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
  return above;
}
