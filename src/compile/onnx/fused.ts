// The ONNX nodes of the ops that stand for a whole function of the model or for its gradient: layer norm, GELU, softmax
// cross-entropy (model/fused.ts), and a product with its bias (the passes).

import { only, type Value } from "../graph/graph";
import { ATTENTION } from "../passes/attention";
import { type Emitter, inputNames, type Lowering, roundedProduct, sumRows } from "./lowering";
import { quantisedProduct } from "./quantised";

/** x Phi(x), exact (opset 20). */
const gelu: Lowering = (node, emitter) => {
  emitter.node("Gelu", inputNames(node, emitter), { approximate: { text: "none" } }, only(node));
};

/** Where a gradient needs the normalised values they come out with a scale of one, and the scale follows. */
const layerNorm: Lowering = (node, emitter) => {
  const [y, normalised, inverse] = node.outputs as [Value, Value, Value];
  const [x, scale, offset] = inputNames(node, emitter) as [string, string, string];
  const attributes = { axis: { int: -1 }, epsilon: { float: node.attributes["epsilon"] as number } };
  if (!emitter.isUsed(normalised) && !emitter.isUsed(inverse)) {
    emitter.node("LayerNormalization", [x, scale, offset], attributes, y);
    return;
  }
  const width = y.shape.at(-1) as number;
  const ones = emitter.constant(new Float32Array(width).fill(1), [width], "float32");
  emitter.nodes("LayerNormalization", [x, ones], attributes, [normalised, null, inverse]);
  emitter.node("Add", [emitter.node("Mul", [emitter.name(normalised), scale]), offset], {}, y);
};

/** dx = inverse (dy scale - mean(dy scale) - normalised mean(dy scale normalised)), means over the last axis. */
const layerNormGradient: Lowering = (node, emitter) => {
  const [dx, dScale, dOffset] = node.outputs as [Value, Value, Value];
  const [dy, normalised, inverse, scale] = inputNames(node, emitter) as [string, string, string, string];
  const last = emitter.integers([dx.shape.length - 1]);
  const mean = (x: string) => emitter.node("ReduceMean", [x, last], { keepdims: { int: 1 } });
  const product = emitter.node("Mul", [dy, normalised]);
  const dNormal = emitter.node("Mul", [dy, scale]);
  const along = emitter.node("Mul", [normalised, mean(emitter.node("Mul", [product, scale]))]);
  const across = emitter.node("Sub", [emitter.node("Sub", [dNormal, mean(dNormal)]), along]);
  emitter.node("Mul", [across, inverse], {}, dx);
  sumRows(product, dx.shape, emitter, dScale);
  sumRows(dy, dx.shape, emitter, dOffset);
};

/**
 * dy (Phi(x) + x phi(x)) = dy (1 + erf(u) + 2 / sqrt(pi) u exp(-u^2)) / 2 with u = x / sqrt(2); the factor of the
 * second term goes into the exponent. HardSigmoid is (erf + 1) / 2 in one pass; its limits are those of erf.
 */
const geluGradient: Lowering = (node, emitter) => {
  const [dy, x] = inputNames(node, emitter) as [string, string];
  const scalar = (value: number) => emitter.scalar(value, "float32");
  const u = emitter.node("Mul", [x, scalar(Math.SQRT1_2)]);
  const exponent = emitter.node("Sub", [scalar(Math.log(1 / Math.sqrt(Math.PI))), emitter.node("Mul", [u, u])]);
  const density = emitter.node("Mul", [emitter.node("Exp", [exponent]), u]); // x phi(x)
  const half = { alpha: { float: 0.5 }, beta: { float: 0.5 } };
  const cumulative = emitter.node("HardSigmoid", [emitter.node("Erf", [u])], half); // Phi(x)
  const [dx, again] = node.outputs as [Value, Value?];
  emitter.node("Mul", [emitter.node("Add", [cumulative, density]), dy], {}, dx);
  if (again && emitter.isUsed(again)) emitter.node("Mul", [x, cumulative], {}, again);
};

/** x - max(x) - log(sum exp(x - max(x))), over two dimensions' last. */
function logSoftmax(x: string, emitter: Emitter): string {
  if (!emitter.webgpu) return emitter.node("LogSoftmax", [x], { axis: { int: -1 } });
  const last = emitter.integers([1]);
  const kept = { keepdims: { int: 1 } };
  const shifted = emitter.node("Sub", [x, emitter.node("ReduceMax", [x, last], kept)]);
  const sum = emitter.node("ReduceSum", [emitter.node("Exp", [shifted]), last], kept);
  return emitter.node("Sub", [shifted, emitter.node("Log", [sum])]);
}

const crossEntropy: Lowering = (node, emitter) => {
  const [logits, targets] = inputNames(node, emitter) as [string, string];
  const terms = emitter.node("Mul", [targets, logSoftmax(logits, emitter)]);
  const sums = emitter.node("ReduceSum", [terms, emitter.integers([1])], { keepdims: { int: 0 } });
  emitter.node("Neg", [sums], {}, only(node));
};

const crossEntropyGradient: Lowering = (node, emitter) => {
  const [dy, logits, targets] = inputNames(node, emitter) as [string, string, string];
  const difference = emitter.node("Sub", [emitter.node("Softmax", [logits], { axis: { int: -1 } }), targets]);
  const column = emitter.node("Unsqueeze", [dy, emitter.integers([1])]);
  emitter.node("Mul", [difference, column], {}, only(node));
};

/** x W + b of two-dimensional operands: the bias costs no pass of its own. */
const affine: Lowering = (node, emitter) => {
  if (quantisedProduct(node, emitter)) return;
  const { transposeA, transposeB } = node.attributes;
  const attributes = { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } };
  const [a, b, bias] = inputNames(node, emitter) as [string, string, string];
  if (emitter.products === "float32") {
    emitter.node("Gemm", [a, b, bias], attributes, only(node));
    return;
  }
  const product = roundedProduct("Gemm", [a, b], attributes, emitter);
  emitter.node("Add", [product, bias], {}, only(node)); // a bias is not rounded
};

/** Biases of the operands are in them already; of padding the bias tells. */
const attention: Lowering = (node, emitter) => {
  const [query, key, value, bias] = inputNames(node, emitter) as [string, string, string, string];
  const { heads, scale } = node.attributes as Record<string, number> & { heads: number; scale: number };
  const attributes = { num_heads: { int: heads }, scale: { float: scale } };
  emitter.node("MultiHeadAttention", [query, key, value, "", "", bias], attributes, only(node));
};

export const fusedLowerings: Readonly<Record<string, Lowering>> = {
  Affine: affine,
  [ATTENTION]: attention,
  Gelu: gelu,
  GeluGradient: geluGradient,
  LayerNorm: layerNorm,
  LayerNormGradient: layerNormGradient,
  SoftmaxCrossEntropy: crossEntropy,
  SoftmaxCrossEntropyGradient: crossEntropyGradient,
};
