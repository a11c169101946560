// What a row costs on its way through layers and ramps, alone, by which exits are predicted to pay or not.

import { layerCost } from "../../batches/layer-cost";
import type { StopCosts } from "../../exits/stops";
import type { EncoderConfig } from "../../model/config";
import { layerFlops } from "../../model/flops";
import type { WeightForm } from "../../settings/engine";

/**
 * What a stop takes beside the starting of a ramp and of one more piece, in operations of products with weights: that neither's code nor
 * weights are in the caches, which layers' weights have passed through; and what lies between two pieces, by token and number of it.
 * bench/exits.mjs measures them (`bench/RESULTS.md`).
 */
const STOP = { cold: 65e6, number: 1100 };

/** Of a layer's weights a ramp has so many, and as long it takes to read them. */
const RAMP_SHARE = 1 / 12;

/** How much less of int8's products than of float32's another operation takes: ramps, attention and starting a piece stay what they are. */
const INT8_PRODUCTS = 2;

/** @param lengthOf tokens of a row */
export function rowCosts(config: EncoderConfig, form: WeightForm, lengthOf: (row: number) => number): StopCosts {
  const { cell, call, start } = layerCost(config, "cpu");
  const products = layerFlops(config, 1, 0);
  const dearer = form === "int8" ? INT8_PRODUCTS : 1;
  const reading = call - start; // of a layer's weights
  // Layers that the caches hold make nothing cold.
  const cold = Math.min(STOP.cold / products, reading);
  return {
    layer(row) {
      const length = lengthOf(row);
      return length + dearer * cell * length * length + call;
    },
    stop(row) {
      const moved = (STOP.number * config.hiddenSize * lengthOf(row)) / products;
      return dearer * (2 * start + cold + moved + RAMP_SHARE * reading);
    },
  };
}
