// The merged model as one graph, the shared layers in it once: traced from the function that serving runs, with batch
// and length symbolic. Files for other runtimes are lowered from it.

import { tokenInputNames } from "../batches/token-inputs";
import { inputPrefix, outputPrefix, statePrefix, traceEntry, unprefixed, type ValueTypes } from "../compile/entry";
import { optimise } from "../compile/passes/passes";
import { branchAxes } from "../model/branch";
import type { EncoderConfig } from "../model/config";
import { multiHeadLogits, type TaskHead, type TokenInputs } from "../model/multi-head";
import type { HostTensors } from "../model/tensors";

/** Rows and tokens of the call for which the graph is traced beside the symbols; it holds for all. */
const EXAMPLE = [2, 3];

/**
 * Inputs are the weights, under the names of `state`, and the {@link tokenInputNames} of the family, int32 [batch, length]. Outputs are the
 * tasks' logits, [batch, labels] or [batch, 1], under the tasks' names and in their order.
 */
export function traceMerged(state: ValueTypes, tasks: readonly TaskHead[], config: EncoderConfig) {
  const names = tokenInputNames(config);
  const inputs = Object.fromEntries(names.map((name) => [name, { shape: EXAMPLE, dtype: "int32" as const }]));
  const axes = Object.fromEntries(names.map((name) => [name, branchAxes[name]]));
  const { graph, symbols } = traceEntry(
    (tensors, call) => ({ outputs: multiHeadLogits(tensors, call as unknown as TokenInputs, tasks, config) }),
    state,
    inputs,
    axes,
  );
  const { nodes, inputs: traced, outputs } = optimise(graph);
  const named = { ...unprefixed(traced, statePrefix), ...unprefixed(traced, inputPrefix) };
  const ordered = unprefixed(outputs, outputPrefix);
  return {
    graph: {
      nodes,
      inputs: new Map(Object.entries(named)),
      // The trace has them by fork.
      outputs: new Map(tasks.map(({ name }) => [name, ordered[name] as (typeof ordered)[string]])),
    },
    symbols,
  };
}

/** The types of weights, for a trace. */
export const typesOf = (weights: HostTensors): ValueTypes =>
  Object.fromEntries(Object.entries(weights).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]));
