// Inputs of the train step that its number alone decides, beside the batch: AdamW's scalars and the dropout masks.

import type { BertConfig } from "../../model/config";
import { dropoutSites } from "../../model/dropout";
import type { BranchShape } from "../../model/parameters";
import { float32, type HostTensors, sizeOf } from "../../model/tensors";
import { dropoutMask } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";
import { stepScalars } from "./adamw";
import { maskInput } from "./step";

export const scalarInputs = (learningRate: number, weightDecay: number, step: number): HostTensors =>
  Object.fromEntries(
    Object.entries(stepScalars(learningRate, weightDecay, step)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]),
  );

/** The masks of a step's batch of [rows, length]; none where dropout is off. */
export function dropoutInputs(
  { config, shape, seed }: { readonly config: BertConfig; readonly shape: BranchShape; readonly seed: number },
  rows: number,
  length: number,
  step: number,
): HostTensors {
  const masks = dropoutSites(config, shape, rows, length).map((site) => {
    const key = streamKey(seed, Purpose.dropout, step, site.id);
    return [maskInput(site.name), float32(site.shape, dropoutMask(key, sizeOf(site.shape), site.rate))];
  });
  return Object.fromEntries(masks);
}
