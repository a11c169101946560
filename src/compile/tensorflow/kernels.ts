// Our own kernels as TensorFlow nodes, everything in float32. The formulas are those of model/ops.ts and
// training/step/adamw.ts.

import { type Node, only, type Shape, type Value } from "../graph/graph";
import type { Emitter, Lowering } from "./emitter";
import type { Ref } from "./saved-model";

const refs = (node: Node, emitter: Emitter): Ref[] => node.inputs.map(emitter.ref);

/** Short names for what most rules are made of. */
function arithmetic(emitter: Emitter) {
  const binary =
    (op: string) =>
    (a: Ref, b: Ref, as?: Value): Ref =>
      emitter.node(op, [a, b], {}, as);
  const reduce = (op: string) => (x: Ref, axes: readonly number[], keep: boolean, as?: Value) =>
    emitter.node(op, [x, emitter.integers(axes)], { keep_dims: { bool: keep } }, as);
  return {
    number: (value: number) => emitter.scalar(value, "float32"),
    unary: (op: string, x: Ref, as?: Value) => emitter.node(op, [x], {}, as),
    add: binary("AddV2"),
    sub: binary("Sub"),
    mul: binary("Mul"),
    div: binary("RealDiv"),
    least: binary("Minimum"),
    mean: reduce("Mean"),
    sum: reduce("Sum"),
  };
}

const leading = (shape: Shape): number[] => shape.slice(0, -1).map((_, axis) => axis);

const layerNorm: Lowering = (node, emitter) => {
  const { number, unary, add, sub, mul, mean } = arithmetic(emitter);
  const [y, normalised, inverse] = node.outputs as [Value, Value, Value];
  const [x, scale, offset] = refs(node, emitter) as [Ref, Ref, Ref];
  const last = [y.shape.length - 1];
  const centred = sub(x, mean(x, last, true));
  const variance = mean(unary("Square", centred), last, true);
  const deviation = unary("Rsqrt", add(variance, number(node.attributes["epsilon"] as number)), inverse);
  const normal = mul(centred, deviation, normalised);
  add(mul(normal, scale), offset, y);
};

/** dx = inverse (dy scale - mean(dy scale) - normalised mean(dy scale normalised)), means over the last axis. */
const layerNormGradient: Lowering = (node, emitter) => {
  const { sub, mul, mean, sum } = arithmetic(emitter);
  const [dx, dScale, dOffset] = node.outputs as [Value, Value, Value];
  const [dy, normalised, inverse, scale] = refs(node, emitter) as [Ref, Ref, Ref, Ref];
  const last = [dx.shape.length - 1];
  const product = mul(dy, normalised);
  const dNormal = mul(dy, scale);
  const along = mul(normalised, mean(mul(product, scale), last, true));
  mul(sub(sub(dNormal, mean(dNormal, last, true)), along), inverse, dx);
  sum(product, leading(dx.shape), false, dScale);
  sum(dy, leading(dx.shape), false, dOffset);
};

/** x Phi(x), in the form that TensorFlow's optimizer knows as exact GELU. */
const gelu: Lowering = (node, emitter) => {
  const { number, unary, add, mul } = arithmetic(emitter);
  const [x] = refs(node, emitter) as [Ref];
  const erf = unary("Erf", mul(x, number(Math.SQRT1_2)));
  mul(mul(add(erf, number(1)), number(0.5)), x, only(node));
};

/** dy (Phi(x) + x phi(x)) */
const geluGradient: Lowering = (node, emitter) => {
  const { number, unary, add, mul } = arithmetic(emitter);
  const [dy, x] = refs(node, emitter) as [Ref, Ref];
  const cumulative = mul(add(unary("Erf", mul(x, number(Math.SQRT1_2))), number(1)), number(0.5));
  const density = mul(unary("Exp", mul(unary("Square", x), number(-0.5))), number(1 / Math.sqrt(2 * Math.PI)));
  const [dx, again] = node.outputs as [Value, Value?];
  mul(dy, add(cumulative, mul(x, density)), dx);
  if (again && emitter.isUsed(again)) mul(x, cumulative, again); // GELU's output, for users after the loss
};

const crossEntropy: Lowering = (node, emitter) => {
  const { unary, mul, sum } = arithmetic(emitter);
  const [logits, targets] = refs(node, emitter) as [Ref, Ref];
  const terms = mul(targets, unary("LogSoftmax", logits));
  unary("Neg", sum(terms, [1], false), only(node));
};

const crossEntropyGradient: Lowering = (node, emitter) => {
  const { unary, sub, mul } = arithmetic(emitter);
  const [dy, logits, targets] = refs(node, emitter) as [Ref, Ref, Ref];
  const rows = node.inputs[0] as Value;
  const column = emitter.node("Reshape", [dy, emitter.targetShape([...rows.shape, 1])]);
  mul(sub(unary("Softmax", logits), targets), column, only(node));
};

/** L2Loss is half the sum of squares, in one pass and pairwise: it loses nothing of many small squares. */
const globalNorm: Lowering = (node, emitter) => {
  const { number, unary, add, mul, div, least } = arithmetic(emitter);
  const [norm, factor] = node.outputs as [Value, Value];
  const halves = node.inputs.map((value) => unary("L2Loss", emitter.ref(value)));
  const squares = mul(emitter.node("AddN", halves, { N: { int: halves.length } }), number(2));
  const total = unary("Sqrt", squares, norm);
  const clipNorm = node.attributes["clipNorm"] as number;
  if (clipNorm > 0) least(div(number(clipNorm), add(total, number(1e-6))), number(1), factor);
  else emitter.node("Identity", [number(1)], {}, factor);
};

const adamW: Lowering = (node, emitter) => {
  const { number, unary, add, sub, mul, div } = arithmetic(emitter);
  const { beta1, beta2, epsilon } = node.attributes as { beta1: number; beta2: number; epsilon: number };
  const [next, nextM, nextV] = node.outputs as [Value, Value, Value];
  const [parameter, m, v, gradient, clip, stepSize, correction, decay] = refs(node, emitter) as Ref[];
  const clipped = mul(gradient as Ref, clip as Ref);
  const first = add(mul(m as Ref, number(beta1)), mul(clipped, number(1 - beta1)), nextM);
  const square = mul(unary("Square", clipped), number(1 - beta2));
  const second = add(mul(v as Ref, number(beta2)), square, nextV);
  const denominator = add(mul(unary("Sqrt", second), correction as Ref), number(epsilon));
  const decayed = decay ? mul(parameter as Ref, decay) : (parameter as Ref);
  sub(decayed, mul(div(first, denominator), stepSize as Ref), next);
};

export const kernelLowerings: Readonly<Record<string, Lowering>> = {
  AdamW: adamW,
  Gelu: gelu,
  GeluGradient: geluGradient,
  GlobalNorm: globalNorm,
  LayerNorm: layerNorm,
  LayerNormGradient: layerNormGradient,
  SoftmaxCrossEntropy: crossEntropy,
  SoftmaxCrossEntropyGradient: crossEntropyGradient,
};
