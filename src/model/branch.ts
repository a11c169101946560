// A branch end to end: from the trunk's activations (or from token ids when it is full) to logits, and to what else is
// read of its layers.

import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { masking } from "./attention";
import type { EncoderConfig } from "./config";
import type { Dropout } from "./dropout";
import { embed, encoderLayers } from "./encoder";
import { familyOf } from "./families/families";
import { type HeadForward, pooledHeadOf } from "./heads";
import { ownLayers, type Place } from "./place";
import { firstPosition, type Outputs, openRecorder, type Reads, topPositions } from "./recorder";

type Named = Readonly<Record<string, Tensor>>;

/** Names of a branch's inputs. A full branch reads ids and, in a family that has them, types; any other reads hidden. */
export interface BranchInputs {
  /** [batch, length, hidden] float32: activations of the layer under the fork. */
  readonly hidden?: Tensor3D;
  /** [batch, length] int32 */
  readonly input_ids?: Tensor2D;
  /** [batch, length] int32 */
  readonly token_type_ids?: Tensor2D;
  /** [batch, length] int32, 1 for tokens */
  readonly attention_mask: Tensor2D;
}

/** The axes of a branch's inputs whose sizes differ between batches. */
export const branchAxes = {
  hidden: ["batch", "length", null],
  input_ids: ["batch", "length"],
  token_type_ids: ["batch", "length"],
  attention_mask: ["batch", "length"],
} as const;

/** Logits [batch, outputs] of a branch. */
export const branchLogits = (
  tensors: Named,
  inputs: BranchInputs,
  place: Place,
  config: EncoderConfig,
  head?: HeadForward,
): Tensor2D => branchOutputs(tensors, inputs, place, config, {}, undefined, head).logits;

/**
 * Logits [batch, outputs] of a branch, and what is read of its layers: from what enters the bottom one on.
 * @param head of the branch's kind; without one, the pooled one
 */
export function branchOutputs(
  tensors: Named,
  inputs: BranchInputs,
  place: Place,
  config: EncoderConfig,
  reads: Reads,
  dropout?: Dropout,
  head: HeadForward = pooledHeadOf(config),
): Outputs {
  const masked = masking(inputs.attention_mask);
  const from = place.fork === null ? embedInputs(tensors, inputs, config, dropout) : required(inputs.hidden, "hidden");
  const { record, outputs } = openRecorder(reads);
  const positions = topPositions(place, reads, head);
  const layers = ownLayers(place);
  const [, above] = layers;
  const top = encoderLayers(tensors, from, masked, config, layers, dropout, positions, record);
  const onPooled = (pooled: Tensor2D) => record("pooled", above, tf.expandDims(pooled, 1) as Tensor3D);
  const read = head.positions === "first" ? firstPosition(top) : top;
  const take = reads.pooled?.[above] === undefined ? undefined : onPooled;
  return outputs(head.logits(tensors, read, dropout, take, inputs.attention_mask));
}

/** Its token ids as its own embeddings have them: [batch, length, hidden]. */
export function embedInputs(tensors: Named, inputs: BranchInputs, config: EncoderConfig, dropout?: Dropout): Tensor3D {
  const ids = required(inputs.input_ids, "input_ids");
  const types = familyOf(config).inputs.types ? required(inputs.token_type_ids, "token_type_ids") : undefined;
  return embed(tensors, ids, types, config, dropout, inputs.attention_mask);
}

function required<T>(input: T | undefined, name: string): T {
  if (input === undefined) throw new Error(`a branch was run without its input ${name}`);
  return input;
}
