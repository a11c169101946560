// What rows cost on the way through layers and ramps, by which exits are predicted to pay or not.

import { layerCost } from "../../batches/layer-cost";
import type { StopCosts } from "../../exits/stops";
import type { EncoderConfig } from "../../model/config";
import type { WeightForm } from "../../settings/engine";

/** How much less of int8's products than of float32's a call takes: ramps, attention and starting a piece stay what they are. */
const INT8_PRODUCTS = 2;

/** @param lengthOf tokens of a row */
export function rowCosts(config: EncoderConfig, form: WeightForm, lengthOf: (row: number) => number): StopCosts {
  const { cell, call, start } = layerCost(config, "cpu");
  const dearer = form === "int8" ? INT8_PRODUCTS : 1;
  return {
    layer(row: number) {
      const length = lengthOf(row);
      return length + dearer * cell * length * length + call;
    },
    /** The stretch that ends there, and the ramp. */
    stop: 2 * dearer * start,
  };
}
