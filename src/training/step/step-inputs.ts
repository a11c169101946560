// Inputs of the train step that its number alone decides, beside the batch: AdamW's scalars and the dropout masks.

import type { BertConfig } from "../../model/config";
import { dropoutSites } from "../../model/dropout";
import { type HeadForward, pooledHead } from "../../model/heads";
import type { Place } from "../../model/place";
import { type Reads, topPositions } from "../../model/recorder";
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

export interface DropoutSettings {
  readonly config: BertConfig;
  readonly place: Place;
  readonly seed: number;
  /** What the loss reads beside the logits; absent: nothing. */
  readonly reads?: Reads | undefined;
  /** Of the task's kind; absent: the pooled one. */
  readonly head?: HeadForward | undefined;
}

/** The masks of a step's batch of [rows, length]; none where dropout is off. */
export function dropoutInputs(
  { config, place, seed, reads = {}, head = pooledHead }: DropoutSettings,
  rows: number,
  length: number,
  step: number,
): HostTensors {
  const masks = dropoutSites(config, place, rows, length, topPositions(place, reads, head)).map((site) => {
    const key = streamKey(seed, Purpose.dropout, step, site.id);
    return [maskInput(site.name), float32(site.shape, dropoutMask(key, sizeOf(site.shape), site.rate))];
  });
  return Object.fromEntries(masks);
}
