// What the parts of a pass cost beside products with weights, for who decides what runs together.

import type { EncoderConfig } from "../model/config";
import { layerFlops } from "../model/flops";
import type { LayerCost as GroupCost } from "./packed";

export interface LayerCost extends GroupCost {
  /** Starting a piece of a model, whatever it computes. */
  readonly start: number;
}

/**
 * What an operation of attention takes, its products being small and the rest passes over memory, in operations of products with weights;
 * and a call in tokens: of a processor the reading of the weights, of a GPU the starting of kernels.
 */
const COSTS = { cpu: { attention: 10, call: 20 }, gpu: { attention: 1, call: 500 } } as const;

/** Operations in the place of what a call takes whatever the model: starting its kernels, packing, the objects around tensors. */
const START = 5e6;

export function layerCost(config: EncoderConfig, device: "cpu" | "gpu"): LayerCost {
  const products = layerFlops(config, 1, 0);
  const { attention, call } = COSTS[device];
  return {
    cell: (attention * (layerFlops(config, 1, 1) - products)) / products,
    call: call + START / products,
    start: START / products,
  };
}
