// Inputs of the train step that its number alone decides, beside the batch: AdamW's scalars and the dropout masks.

import type { EncoderConfig } from "../../model/config";
import { type DropoutSite, dropoutSites } from "../../model/dropout";
import { type HeadForward, pooledHeadOf } from "../../model/heads";
import type { Place } from "../../model/place";
import { type Reads, topPositions } from "../../model/recorder";
import { bitTensor, float32, type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import { dropoutMask, keptValue } from "../../random/draws";
import { drawBits } from "../../random/mask-threads";
import { type Key, Purpose, streamKey } from "../../random/threefry";
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
  readonly config: EncoderConfig;
  readonly place: Place;
  readonly seed: number;
  /** What the loss reads beside the logits; absent: nothing. */
  readonly reads?: Reads | undefined;
  /** Of the task's kind; absent: the pooled one. */
  readonly head?: HeadForward | undefined;
}

/** The masks of a step's batch of [rows, length]; none where dropout is off. */
export function dropoutInputs(
  { config, place, seed, reads = {}, head = pooledHeadOf(config) }: DropoutSettings,
  rows: number,
  length: number,
  step: number,
): HostTensors {
  const masks = dropoutSites(config, place, rows, length, topPositions(place, reads, head), head.perToken).map(
    (site) => {
      const key = streamKey(seed, Purpose.dropout, step, site.id);
      return [maskInput(site.name), maskOf(site, key)];
    },
  );
  return Object.fromEntries(masks);
}

/** Drawn when an engine takes it, in the form that it takes. */
function maskOf({ shape, rate }: DropoutSite, key: Key): HostTensor {
  const size = sizeOf(shape);
  const bits = { value: keptValue(rate), bytes: () => drawBits(key, size, rate) };
  return bitTensor(shape, bits, () => dropoutMask(key, size, rate));
}
