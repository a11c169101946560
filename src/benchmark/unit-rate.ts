// Units of work (layers times tokens) that an engine trains a second: what turns a search's hours into units.

import type { Engine } from "../engines/engine";
import type { EncoderConfig } from "../model/config";
import { familyHead } from "../model/families/head";
import { placeOf } from "../model/place";
import { median } from "../predict/median";
import { branchOfBase } from "../recipes/trial/initial-branch";
import { benchmarkWeights } from "./benchmark-weights";
import { BENCHMARK_OUTPUTS, openTrainStep } from "./step-benchmark";

/** Steps that are timed, after one that compiles. Their median counts. */
const STEPS = 5;

const SEED = 1;

/**
 * Of train steps of half the base's layers, on random weights of its sizes. The frozen layers are not in it.
 * @param length tokens of a row
 */
export async function measureUnitRate(
  engine: Engine,
  config: EncoderConfig,
  { batchSize, length }: { readonly batchSize: number; readonly length: number },
): Promise<number> {
  const layers = Math.ceil(config.numHiddenLayers / 2);
  const weights = benchmarkWeights(config, SEED);
  const head = familyHead(config, BENCHMARK_OUTPUTS);
  const branch = branchOfBase({ config, tensors: weights }, placeOf(config.numHiddenLayers, layers), head, SEED);
  const step = await openTrainStep(engine, {
    config,
    tensors: { ...weights, ...branch },
    layers,
    batchSize,
    seed: SEED,
  });
  try {
    await step.run(length);
    const seconds: number[] = [];
    for (let i = 0; i < STEPS; i++) {
      const { ms, frozenMs } = await step.run(length);
      seconds.push((ms - frozenMs) / 1000);
    }
    // Forward, and twice as much back.
    return (3 * layers * batchSize * length) / median(seconds);
  } finally {
    step.dispose();
  }
}
