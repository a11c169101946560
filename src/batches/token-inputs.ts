// A batch as models take it: ids, segment ids where the family has them and mask, or activations and mask. All int32 [rows, length], mask 1 for tokens.

import type { EncoderConfig } from "../model/config";
import { familyOf } from "../model/families/families";
import type { TokenInputs } from "../model/multi-head";
import { float32, int32, sizeOf } from "../model/tensors";
import type { Batch } from "./batches";
import { attentionMask, padBatch, type TokenRows } from "./rows";

/** Names of the inputs of a model that takes token ids, in the order in which Hugging Face's exports have them. */
export const tokenInputNames = (config: Pick<EncoderConfig, "family">): readonly (keyof TokenInputs)[] => [
  "input_ids",
  "attention_mask",
  ...(familyOf(config).inputs.types ? (["token_type_ids"] as const) : []),
];

/** Token ids of a batch, filled up to `size` rows. */
export function tokenInputs(rows: TokenRows, batch: Batch, size: number, config: Pick<EncoderConfig, "family">) {
  const shape = [size, batch.length];
  const { ids, typeIds, mask } = padBatch(rows, batch, size);
  return {
    input_ids: int32(shape, ids),
    ...(familyOf(config).inputs.types ? { token_type_ids: int32(shape, typeIds) } : {}),
    attention_mask: int32(shape, mask),
  };
}

/** Activations [size, length, width] of a batch. */
export function hiddenInputs(hidden: Float32Array, width: number, { lengths }: TokenRows, batch: Batch, size: number) {
  const shape = [size, batch.length];
  const mask = attentionMask(lengths, batch, size);
  return { hidden: float32([...shape, width], hidden), attention_mask: int32(shape, mask) };
}

/** Ids of rows that have every token of the length, all of them of a first text. */
export const unpaddedInputs = (
  shape: readonly [batch: number, length: number],
  ids: Int32Array,
  config: Pick<EncoderConfig, "family">,
) => ({
  input_ids: int32(shape, ids),
  ...(familyOf(config).inputs.types ? { token_type_ids: int32(shape, new Int32Array(sizeOf(shape))) } : {}),
  attention_mask: int32(shape, new Int32Array(sizeOf(shape)).fill(1)),
});
