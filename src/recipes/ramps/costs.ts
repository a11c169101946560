// What a row costs on its way through layers and ramps, alone, by which exits are predicted to pay or not.

import { layerCost } from "../../batches/layer-cost";
import type { StopCosts } from "../../exits/stops";
import type { EncoderConfig } from "../../model/config";
import { layerFlops } from "../../model/flops";
import type { WeightForm } from "../../settings/engine";

/**
 * What a stop takes, in operations of products with weights: a ramp and one more piece, whatever the model, each over weights that no cache
 * holds; what lies between two pieces, by token and number of it; and a ramp's own weights, which are read as a layer's are.
 * bench/exits.mjs measures them (`bench/RESULTS.md`).
 */
const STOP = { calls: 75e6, number: 1100, ofLayer: 1 / 12 };

/** How much less of int8's products than of float32's another operation takes: ramps, attention and starting a piece stay what they are. */
const INT8_PRODUCTS = 2;

/** @param lengthOf tokens of a row */
export function rowCosts(config: EncoderConfig, form: WeightForm, lengthOf: (row: number) => number): StopCosts {
  const { cell, call } = layerCost(config, "cpu");
  const products = layerFlops(config, 1, 0) / (form === "int8" ? INT8_PRODUCTS : 1);
  const dearer = layerFlops(config, 1, 0) / products;
  return {
    layer(row) {
      const length = lengthOf(row);
      return length + dearer * cell * length * length + call;
    },
    stop(row) {
      const moved = STOP.number * config.hiddenSize * lengthOf(row);
      return (STOP.calls + moved) / products + dearer * STOP.ofLayer * call;
    },
  };
}
