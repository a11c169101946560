// A task's way cut where its texts may leave, over padded rows: from the ids or the states of the stop before to those of the next, with
// what the ramp there says; above the last stop the rest of the way, with its head. For runtimes that are not flexbert's own, which packs rows.

import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type BranchInputs, branchLogits } from "./branch";
import type { EncoderConfig } from "./config";
import type { EntryPoint } from "./entry-point";
import type { HeadForward } from "./heads";
import { restTensors, stretchTensors } from "./parameters";
import { isRampOf, withoutRamps } from "./ramp-names";
import { rampLogits } from "./ramps";
import { firstPosition } from "./recorder";
import { layersEntry, trunkEntry } from "./trunk";

/** Encoder layers `from` to `to`, without the last; over the embeddings where `from` is 0. */
export interface Stage {
  readonly from: number;
  readonly to: number;
  /** Whether no ramp stands at its end: it has the head. */
  readonly last: boolean;
}

/** @param top encoder layers of the way */
export const stagesOf = (stops: readonly number[], top: number): Stage[] =>
  [...stops, top].map((to, i) => ({ from: stops[i - 1] ?? 0, to, last: to === top }));

/** Outputs of a stage: logits [batch, outputs], and but for the last what the next takes as `hidden`, [batch, length, hidden]. */
export const STAGE_STATES = "next_hidden";

export const stageEntry =
  (config: EncoderConfig, { from, to, last }: Stage, head: HeadForward): EntryPoint =>
  (state, inputs) => {
    if (last) {
      const place = { fork: from, layers: to - from };
      return { outputs: { logits: branchLogits(state, inputs as unknown as BranchInputs, place, config, head) } };
    }
    const layers = from === 0 ? trunkEntry(config, to) : layersEntry(config, from, to);
    const hidden = layers(state, inputs).outputs["hidden"] as Tensor3D;
    const first = tf.reshape(firstPosition<Tensor>(hidden), [-1, config.hiddenSize]) as Tensor2D;
    return { outputs: { logits: rampLogits(state, first, to, head), [STAGE_STATES]: hidden } };
  };

/** What of a whole task's tensors, with its ramps, under their own names, a stage reads. */
export function stageTensors<T>(tensors: Readonly<Record<string, T>>, { from, to, last }: Stage): Record<string, T> {
  const model = withoutRamps(tensors);
  if (last) return restTensors(model, { fork: from, layers: to - from });
  const ramp = Object.entries(tensors).filter(([name]) => isRampOf(name, to));
  return { ...stretchTensors(model, { from, to, bottom: from === 0 }), ...Object.fromEntries(ramp) };
}
