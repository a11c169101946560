// How many numbers a trial's branch has: those that training changes, and those that its run folder keeps.

import { adapterOf, ownLayerParameters, storedBeside } from "../../model/adapters/adapters";
import type { EncoderConfig } from "../../model/config";
import { headParameterCount } from "../../model/head-parameters";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import type { Place } from "../../model/place";
import { sizeOf } from "../../model/tensors";
import { headOf, type Task } from "../../tasks/task";

export interface TrialParameters {
  readonly trained: number;
  /** Of a branch of frozen layers these too, and its adapters where they stay beside. */
  readonly stored: number;
}

/** Throws modelError (4) for a method of frozen layers on a family whose layers take no small tensors. */
export function trialParameters(
  config: EncoderConfig,
  place: Place,
  task: Task,
  options: Readonly<Record<string, unknown>>,
): TrialParameters {
  const head = headParameterCount(headOf(task, config));
  const embeddings = place.fork === null ? embeddingParameterCount(config) : 0;
  const whole = embeddings + place.layers * layerParameterCount(config) + head;
  const adapter = adapterOf(options);
  if (!adapter) return { trained: whole, stored: whole };
  const beside = [...storedBeside(config, place, options).values()].reduce((sum, shape) => sum + sizeOf(shape), whole);
  return { trained: ownLayerParameters(adapter, config, place, options) + head, stored: beside };
}
