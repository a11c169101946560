// The encoder over packed tokens: the rows of a batch stand one after another, [tokens, hidden], and no padding among them.
// Products with weights, GELU and layer norms run on real tokens alone. Attention alone needs rows: two gathers, which
// take the place of the transposes that bring heads forward, lay a batch's heads out by row and put them back.

import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionProbabilities, attentionScores, masking, rotated, scoreBias } from "./attention";
import type { EncoderConfig } from "./config";
import { typeRows } from "./encoder";
import { familyOf } from "./families/families";
import type { LayerOperations } from "./families/family";
import { embeddingOperations, operationsOn } from "./operations";
import { sideBySide } from "./ops";
import { parameter, type Tensors } from "./parameters";
import type { Positions } from "./recorder";

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
  neighbours: ["tokens", null],
  attention_mask: ["rows", "length"],
  to_rows: ["rows", null, "length"],
  to_tokens: ["tokens", null],
  first: ["rows"],
} as const;

/**
 * Packed tokens as the family embeds them.
 * @returns [tokens, hidden]
 */
export function embedPacked(
  tensors: Tensors,
  { ids, types: typeIds, positions: at, neighbours }: PackedIds,
  config: EncoderConfig,
): Tensor2D {
  const { inputs, ...family } = familyOf(config);
  const take = (words: string, of: Tensor) => tf.gather<Tensor>(parameter(tensors, words), of as Tensor1D);
  const types = (table: string) => typeRows(parameter(tensors, table), typeIds);
  const positions = (table: string) => {
    const first = inputs.firstPosition(config);
    const rows = first === 0 ? at : tf.add(at as Tensor1D, tf.scalar(first, "int32"));
    return tf.gather<Tensor>(parameter(tensors, table), rows as Tensor1D);
  };
  const ops = embeddingOperations(tensors, undefined, {
    words: (table) => take(table, ids),
    trigrams(words) {
      const neighbour = (which: number) => {
        const there = tf.reshape(tf.slice(neighbours as Tensor2D, [0, which], [-1, 1]), [-1]); // [tokens], -1 for none
        const taken = take(words, tf.gather(ids, tf.maximum(there, tf.scalar(0, "int32"))));
        const holds = tf.cast(tf.greaterEqual(there, tf.scalar(0, "int32")), "float32");
        return tf.mul(taken, tf.expandDims(holds, 1));
      };
      return sideBySide([neighbour(0), take(words, ids), neighbour(1)]);
    },
    positions,
    types,
  });
  return family.embed<Tensor>(ops, config) as Tensor2D;
}

/** What packed tokens are beside where they lie, each [tokens] int32. A family's calls may lack all but the ids. */
export interface PackedIds {
  readonly ids: Tensor;
  readonly types: Tensor | undefined;
  readonly positions: Tensor | undefined;
  /** [tokens, 2]: places of the next token and of the one before it in the token's text, -1 where it has none */
  readonly neighbours: Tensor | undefined;
}

/**
 * Encoder layers `from` to `to`, without the last.
 * @param hidden [tokens, hidden]
 * @param first [rows] int32, the place of each row's first token; given, the topmost layer computes these alone
 * @returns [tokens, hidden], or [rows, hidden] of the first tokens
 */
export function packedLayers(
  tensors: Tensors,
  hidden: Tensor2D,
  packing: Packing,
  config: EncoderConfig,
  [from, to]: readonly [number, number],
  top: Positions = "all",
  first?: Tensor,
): Tensor2D {
  if (from === to) return top === "first" ? tf.gather(hidden, first as Tensor1D) : hidden;
  const masked = masking(packing.attention_mask);
  const family = familyOf(config);
  let above = hidden;
  for (let index = from; index < to; index++) {
    const positions = index === to - 1 ? top : "all";
    const ops: LayerOperations<Tensor> = {
      ...operationsOn(tensors, undefined, (name) => name),
      asking: (x) => (positions === "first" ? tf.gather<Tensor>(x, first as Tensor1D) : x),
      attend: ({ query, key, value }, form = {}) => {
        const heads = config.numAttentionHeads;
        const asked = query();
        const ofRows = positions === "first" ? alone(asked, heads) : byRow(asked, packing.to_rows, heads);
        const [keys, v] = [byRow(key(), packing.to_rows, heads), byRow(value(), packing.to_rows, heads)];
        const [q, k] = rotated(ofRows, keys, masked, form, positions, config);
        const bias = scoreBias(masked, form, positions, tensors, config);
        const context = tf.matMul(attentionProbabilities(attentionScores(q, k), bias), v); // [rows, heads, n, size]
        const width = heads * (context.shape[3] as number);
        if (positions === "first") return tf.reshape(context, [-1, width]);
        return tf.reshape(gathered(context, packing.to_tokens, width / heads), [-1, width]); // from [tokens, heads, size]
      },
    };
    above = family.layer<Tensor>(ops, above, index, config) as Tensor2D;
  }
  return above;
}

/** Packed states by row, [rows, length, hidden]: what a head reads that wants more than first positions. Padding repeats the first. */
export function rowsOf(x: Tensor2D, { to_rows }: Packing, { numAttentionHeads: heads }: EncoderConfig): Tensor3D {
  const [, width] = x.shape;
  const [rows, , length] = to_rows.shape;
  return tf.reshape(tf.transpose(byRow(x, to_rows, heads), [0, 2, 1, 3]), [rows, length, width]);
}

/** [..., size] of the places `at` among vectors of `size` */
const gathered = (x: Tensor, at: Tensor, size: number) => tf.gather<Tensor>(tf.reshape(x, [-1, size]), at as Tensor1D);

/** [tokens, heads x size] to [rows, heads, length, size] */
const byRow = (x: Tensor, toRows: Tensor, heads: number) =>
  gathered(x, toRows, (x.shape[1] as number) / heads) as Tensor4D;

/** [rows, heads x size], one token a row, to [rows, heads, 1, size] */
const alone = (x: Tensor, heads: number) => tf.reshape(x, [-1, heads, 1, (x.shape[1] as number) / heads]) as Tensor4D;
