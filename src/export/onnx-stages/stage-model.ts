// The ONNX file of one stage of a task's way: standard operators, batch and length open, weights inside.

import { tokenInputNames } from "../../batches/token-inputs";
import { inputPrefix, outputPrefix, statePrefix, traceEntry, unprefixed, type ValueTypes } from "../../compile/entry";
import { toOnnxModel } from "../../compile/onnx/onnx";
import { modelChunks } from "../../compile/onnx/proto";
import { optimise } from "../../compile/passes/passes";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { HeadForward } from "../../model/heads";
import { type Stage, stageEntry } from "../../model/stages";
import type { HostTensors } from "../../model/tensors";
import { typesOf } from "../traced";

/** Rows and tokens of the call for which it is traced; it holds for all. */
const EXAMPLE = [2, 3];

/** @param tensors that the stage reads, under their own names */
export async function stageModelFile(
  config: EncoderConfig,
  stage: Stage,
  head: HeadForward,
  tensors: HostTensors,
): Promise<readonly Uint8Array[]> {
  const names = stage.from === 0 ? tokenInputNames(config) : (["attention_mask"] as const);
  const call: Record<string, ValueTypes[string]> = {};
  if (stage.from > 0) call["hidden"] = { shape: [...EXAMPLE, config.hiddenSize], dtype: "float32" };
  for (const name of names) call[name] = { shape: EXAMPLE, dtype: "int32" };
  const axes = Object.fromEntries(Object.keys(call).map((name) => [name, branchAxes[name as keyof typeof branchAxes]]));
  const { graph, symbols } = traceEntry(stageEntry(config, stage, head), typesOf(tensors), call, axes);
  const { nodes, inputs, outputs } = optimise(graph);
  const named = { ...unprefixed(inputs, statePrefix), ...unprefixed(inputs, inputPrefix) };
  const model = toOnnxModel(
    {
      nodes,
      inputs: new Map(Object.entries(named)),
      outputs: new Map(Object.entries(unprefixed(outputs, outputPrefix))),
    },
    { constants: tensors, symbols, standard: true, wideInputs: true },
  );
  return modelChunks(model);
}
