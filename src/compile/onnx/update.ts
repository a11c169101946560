// The ONNX nodes of an optimizer's step, where it is computed on a device with everything else.

import { sizeOf } from "../../model/tensors";
import { type Node, only, type Value } from "../graph/graph";
import { CUT, FLATTEN } from "../passes/group-updates";
import { type Emitter, inputNames, type Lowering } from "./lowering";

/** The root of the sum of all squares, and the factor that brings it to at most clipNorm; as clipByGlobalNorm composes it. */
const globalNorm: Lowering = (node, emitter) => {
  const [norm, factor] = node.outputs as [Value, Value];
  const squares = node.inputs.map((gradient) => sumOfSquares(gradient, emitter));
  const total = squares.reduce((sum, next) => emitter.node("Add", [sum, next]));
  emitter.node("Sqrt", [total], {}, norm);
  const clipNorm = node.attributes["clipNorm"] as number;
  const scalar = (value: number) => emitter.scalar(value, "float32");
  if (!(clipNorm > 0)) {
    emitter.node("Identity", [scalar(1)], {}, factor);
    return;
  }
  const divisor = emitter.node("Add", [emitter.name(norm), scalar(1e-6)]);
  // Not Min: of NaN it may give 1, and a diverged step must not look like a clipped one.
  const share = emitter.node("Div", [scalar(clipNorm), divisor]);
  const clips = emitter.node("Not", [emitter.node("GreaterOrEqual", [share, scalar(1)])]);
  emitter.node("Where", [clips, share, scalar(1)], {}, factor);
};

/** Row by row, and then the rows' sums: reductions over one long dimension have little to run side by side. */
function sumOfSquares(value: Value, emitter: Emitter): string {
  const name = emitter.name(value);
  const squares = emitter.node("Mul", [name, name]);
  const kept = { keepdims: { int: 0 } };
  if (value.shape.length < 2) return emitter.node("ReduceSum", [squares], kept);
  const rows = emitter.node("ReduceSum", [squares, emitter.integers([value.shape.length - 1])], kept);
  return emitter.node("ReduceSum", [rows], kept);
}

/** In the order of training/step/adamw.ts. */
const adamW: Lowering = (node, emitter) => {
  const [parameter, m, v, gradient, factor, stepSize, correction, decay] = inputNames(node, emitter) as string[] as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  const [next, nextM, nextV] = node.outputs as [Value, Value, Value];
  const { beta1, beta2, epsilon } = node.attributes as Record<string, number> & { beta1: number; beta2: number };
  const mul = (a: string, b: string) => emitter.node("Mul", [a, b]);
  const scalar = (value: number) => emitter.scalar(value, "float32");
  const clipped = mul(gradient, factor);
  emitter.node("Add", [mul(m, scalar(beta1)), mul(clipped, scalar(1 - beta1))], {}, nextM);
  emitter.node("Add", [mul(v, scalar(beta2)), mul(mul(clipped, clipped), scalar(1 - beta2))], {}, nextV);
  const root = mul(emitter.node("Sqrt", [emitter.name(nextV)]), correction);
  const denominator = emitter.node("Add", [root, scalar(epsilon as number)]);
  const step = mul(emitter.node("Div", [emitter.name(nextM), denominator]), stepSize);
  emitter.node("Sub", [decay === undefined ? parameter : mul(parameter, decay), step], {}, next);
};

const flatten: Lowering = (node, emitter) => {
  const matrix = emitter.integers([-1, node.attributes["width"] as number]);
  const parts = node.inputs.map((value) => emitter.node("Reshape", [emitter.name(value), matrix]));
  emitter.node("Concat", parts, { axis: { int: 0 } }, only(node));
};

const cut: Lowering = (node, emitter) => {
  for (const [at, part] of cutParts(node, emitter).entries()) {
    const output = node.outputs[at] as Value;
    emitter.node("Reshape", [part, emitter.shape(output.shape)], {}, output);
  }
};

function cutParts(node: Node, emitter: Emitter): readonly string[] {
  const [matrix] = inputNames(node, emitter) as [string];
  const sizes = node.outputs.map(({ shape }) => sizeOf(shape) / (node.attributes["width"] as number)); // rows
  if (!emitter.webgpu) {
    return emitter.parts("Split", [matrix, emitter.integers(sizes)], { axis: { int: 0 } }, sizes.length);
  }
  let start = 0; // WebGPU's Split has a buffer for every output, and a shader has few
  return sizes.map((size) => {
    const range = [emitter.integers([start]), emitter.integers([start + size])];
    start += size;
    return emitter.node("Slice", [matrix, ...range]);
  });
}

export const updateLowerings: Readonly<Record<string, Lowering>> = {
  AdamW: adamW,
  [CUT]: cut,
  [FLATTEN]: flatten,
  GlobalNorm: globalNorm,
};
