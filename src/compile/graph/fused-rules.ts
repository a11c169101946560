// Our own kernels: each is one node of a graph, whatever an eager backend makes it of (fused.ts of the model).

import { type FusedKernel, fusedKernels } from "../../model/fused";
import type { Attributes, Value, ValueType } from "./graph";
import { type Inputs, input, type KernelRule, type RecordedOp, result } from "./kernel-rule";

const several = (
  op: string,
  inputs: readonly Value[],
  types: readonly ValueType[],
  attributes: Attributes = {},
): RecordedOp => ({ op, inputs, attributes, types });

/** Inputs in the order of their names in {@link fusedKernels}' documentation. */
const ordered = (inputs: Inputs, names: readonly string[]): Value[] => names.map((name) => input(inputs, name));

export const fusedRules: Readonly<Record<FusedKernel, KernelRule>> = {
  [fusedKernels.layerNorm]: (inputs, { epsilon }) => {
    const [x, scale, offset] = ordered(inputs, ["x", "scale", "offset"]) as [Value, Value, Value];
    const rows = { shape: [...x.shape.slice(0, -1), 1], dtype: x.dtype };
    return several("LayerNorm", [x, scale, offset], [x, x, rows], { epsilon: epsilon as number });
  },
  [fusedKernels.layerNormGradient]: (inputs) => {
    const [dy, normalised, inverse, scale] = ordered(inputs, ["dy", "normalised", "inverse", "scale"]) as Value[];
    const types = [dy, scale, scale] as ValueType[];
    return several("LayerNormGradient", [dy, normalised, inverse, scale] as Value[], types);
  },
  [fusedKernels.gelu]: (inputs) => {
    const x = input(inputs, "x");
    return result("Gelu", [x], x.shape, x.dtype);
  },
  [fusedKernels.geluGradient]: (inputs) => {
    const [dy, x] = ordered(inputs, ["dy", "x"]) as [Value, Value];
    return result("GeluGradient", [dy, x], x.shape, x.dtype);
  },
  [fusedKernels.crossEntropy]: (inputs) => {
    const [logits, targets] = ordered(inputs, ["logits", "targets"]) as [Value, Value];
    return result("SoftmaxCrossEntropy", [logits, targets], logits.shape.slice(0, 1), logits.dtype);
  },
  [fusedKernels.crossEntropyGradient]: (inputs) => {
    const [dy, logits, targets] = ordered(inputs, ["dy", "logits", "targets"]) as [Value, Value, Value];
    return result("SoftmaxCrossEntropyGradient", [dy, logits, targets], logits.shape, logits.dtype);
  },
  [fusedKernels.globalNorm]: (inputs, { clipNorm }) => {
    const scalar: ValueType = { shape: [], dtype: "float32" };
    return several("GlobalNorm", Object.values(inputs), [scalar, scalar], { clipNorm: clipNorm as number });
  },
  [fusedKernels.adamW]: (inputs, { beta1, beta2, epsilon }) => {
    const names = ["parameter", "m", "v", "gradient", "factor", "step_size", "second_correction"];
    const all = ordered(inputs, "decay" in inputs ? [...names, "decay"] : names);
    const attributes = { beta1: beta1 as number, beta2: beta2 as number, epsilon: epsilon as number };
    return several("AdamW", all, all.slice(0, 3), attributes);
  },
};
