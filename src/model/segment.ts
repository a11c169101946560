// The merged model in pieces that run alone: the trunk between two cut points, and each branch. A piece takes packed tokens
// (packed.ts) of the rows that need it, chosen from those of the piece below, and knows of no other piece.

import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import type { EntryPoint, Tensors } from "./entry-point";
import { familyOf } from "./families/families";
import type { HeadForward } from "./heads";
import { embedPacked, type Packing, packedLayers, rowsOf } from "./packed";
import { ownLayers, type Place } from "./place";
import { rampLogits } from "./ramps";
import type { Stretch } from "./stretches";

/** Shapes of one call, for tracing: batch sizes are arbitrary, and none equals another. */
const EXAMPLE = { source: 7, tokens: 5, rows: 2, length: 3 } as const;

type CallTypes = Readonly<Record<string, { readonly shape: readonly number[]; readonly dtype: "float32" | "int32" }>>;

/** Gives hidden [tokens, hidden], what leaves its topmost layer. Its state has the tensors of its layers. */
export const stretchEntry = (config: EncoderConfig, { from, to, bottom }: Stretch): EntryPoint => {
  return (state, inputs) => {
    const below = bottom ? embedded(state, inputs, config) : chosen(inputs);
    return { outputs: { hidden: packedLayers(state, below, packing(inputs), config, [from, to]) } };
  };
};

/**
 * Gives logits [rows, outputs], or [tokens, outputs] of a head that reads each alone. Its state has the branch's own tensors
 * under their own names.
 */
export const branchEntry = (config: EncoderConfig, place: Place, head: HeadForward): EntryPoint => {
  return (state, inputs) => {
    const below = place.fork === null ? embedded(state, inputs, config) : chosen(inputs);
    const [first, laid] = [inputs["first"], packing(inputs)];
    const top = packedLayers(state, below, laid, config, ownLayers(place), head.positions, first as Tensor1D);
    const [rows, width] = top.shape;
    if (head.perToken) {
      // Padding is not computed here either: all tokens are one row to such a head.
      const logits = head.logits(state, tf.reshape(top, [1, rows, width]));
      return { outputs: { logits: tf.reshape(logits, [rows, -1]) } };
    }
    const byRow = head.positions === "all" ? rowsOf(top, laid, config) : tf.reshape(top, [rows, 1, width]);
    const logits = head.logits(state, byRow as Tensor3D, undefined, undefined, laid.attention_mask);
    return { outputs: { logits } };
  };
};

/** Gives logits [rows, outputs] of the ramp on `layer`, from what left the piece below it. Its state has the ramp's own tensors. */
export const rampEntry = (layer: number, head: HeadForward): EntryPoint => {
  return (state, inputs) => {
    const states = tf.gather(inputs["below"] as Tensor2D, inputs["first"] as Tensor1D); // [rows, hidden]
    return { outputs: { logits: rampLogits(state, states, layer, head) } };
  };
};

/** Types of a ramp's inputs in one call. */
export const rampCall = (config: EncoderConfig): CallTypes => {
  const { below, first } = callTypes(config, false, ["first"]);
  return { below, first } as CallTypes;
};

/** Types of a stretch's inputs in one call. */
export const stretchCall = (config: EncoderConfig, { bottom }: Stretch): CallTypes =>
  callTypes(config, bottom, ["attention_mask", "to_rows", "to_tokens"]);

/** Types of a branch's inputs in one call: those that it reads, which compiled programs take no more of. */
export function branchCall(
  config: EncoderConfig,
  { fork, layers }: Place,
  { positions, perToken }: HeadForward,
): CallTypes {
  if (layers === 0) {
    const read = positions === "first" ? ["first"] : perToken ? [] : ["attention_mask", "to_rows"];
    return callTypes(config, false, read);
  }
  const inner = positions === "all" || layers > 1;
  const names = [
    "attention_mask",
    "to_rows",
    ...(inner ? ["to_tokens"] : []),
    ...(positions === "first" ? ["first"] : []),
  ];
  return callTypes(config, fork === null, names);
}

function callTypes(config: EncoderConfig, bottom: boolean, others: readonly string[]): CallTypes {
  const { source, tokens, rows, length } = EXAMPLE;
  const heads = config.numAttentionHeads;
  const shapes: Readonly<Record<string, readonly number[]>> = {
    below: [source, config.hiddenSize],
    tokens: [tokens],
    ...{ input_ids: [tokens], token_type_ids: [tokens], position_ids: [tokens] },
    attention_mask: [rows, length],
    to_rows: [rows, heads, length],
    to_tokens: [tokens, heads],
    neighbours: [tokens, 2],
    first: [rows],
  };
  const family = familyOf(config).inputs;
  const ids = [
    "input_ids",
    ...(family.types ? ["token_type_ids"] : []),
    ...(family.positions ? ["position_ids"] : []),
    ...(family.neighbours?.(config) ? ["neighbours"] : []),
  ];
  const names = [...(bottom ? ids : ["below", "tokens"]), ...others];
  return Object.fromEntries(
    names.map((name) => [
      name,
      { shape: shapes[name] as readonly number[], dtype: name === "below" ? "float32" : "int32" },
    ]),
  );
}

const packing = (inputs: Tensors): Packing => inputs as unknown as Packing;

function embedded(state: Tensors, inputs: Tensors, config: EncoderConfig): Tensor2D {
  const [ids, types, positions, neighbours] = ["input_ids", "token_type_ids", "position_ids", "neighbours"].map(
    (name) => inputs[name],
  );
  return embedPacked(state, { ids: ids as Tensor, types, positions, neighbours }, config);
}

/** The tokens of the rows that run here, of all that left the piece below. */
const chosen = (inputs: Tensors): Tensor2D => tf.gather(inputs["below"] as Tensor2D, inputs["tokens"] as Tensor1D);
