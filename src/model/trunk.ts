// The frozen bottom of the base as entry points: embeddings, layers, and both in one pass.

import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { masking } from "./attention";
import type { EncoderConfig } from "./config";
import { embed, encoderLayers } from "./encoder";
import type { EntryPoint } from "./entry-point";

/** Token ids to the embeddings; the mask is for families whose embeddings read neighbours. */
export const embedEntry = (config: EncoderConfig): EntryPoint => {
  return (state, inputs) => {
    const ids = inputs["input_ids"] as Tensor2D;
    const types = inputs["token_type_ids"] as Tensor2D | undefined;
    const mask = inputs["attention_mask"] as Tensor2D | undefined;
    return { outputs: { hidden: embed(state, ids, types, config, undefined, mask) } };
  };
};

/** Activations under layer `from` to those under layer `to`. */
export const layersEntry = (config: EncoderConfig, from: number, to: number): EntryPoint => {
  return (state, inputs) => {
    const masked = masking(inputs["attention_mask"] as Tensor2D);
    return { outputs: { hidden: encoderLayers(state, inputs["hidden"] as Tensor3D, masked, config, [from, to]) } };
  };
};

/** Token ids to the activations of the layer under `fork`: what the frozen layers compute, in one pass. */
export const trunkEntry = (config: EncoderConfig, fork: number): EntryPoint => {
  return (state, inputs) => {
    const { outputs } = embedEntry(config)(state, inputs);
    return layersEntry(config, 0, fork)(state, { ...inputs, ...outputs });
  };
};
