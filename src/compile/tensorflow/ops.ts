// One rule an op: the TensorFlow nodes that compute it. Our own kernels (fused.ts of the model) are in kernels.ts: XLA
// makes one loop of what is elementwise there, so they are spelled out.

import { type Node, only, type Value } from "../graph/graph";
import type { Emitter, Lowering } from "./emitter";
import { kernelLowerings } from "./kernels";
import type { NodeAttributes, Ref, TensorType } from "./saved-model";

const inputRefs = (node: Node, emitter: Emitter): Ref[] => node.inputs.map(emitter.ref);

const direct =
  (op: string): Lowering =>
  (node, emitter) => {
    emitter.node(op, inputRefs(node, emitter), {}, only(node));
  };

const reduce =
  (op: string): Lowering =>
  (node, emitter) => {
    const [x] = node.inputs as [Value];
    const ref = op === "Mean" ? cast(emitter.ref(x), "float32", emitter) : emitter.ref(x);
    const axes = emitter.integers(node.attributes["axes"] as readonly number[]);
    emitter.node(op, [ref, axes], { keep_dims: { bool: Boolean(node.attributes["keepDims"]) } }, only(node));
  };

export function cast(x: Ref, type: TensorType, emitter: Emitter, as?: Value): Ref {
  if (x.type === type && !as) return x;
  return emitter.node("Cast", [x], { DstT: { type } }, as);
}

/**
 * A product, its operands rounded to the emitter's type and its result of float32 again. Of matrices it is a MatMul,
 * which TensorFlow fuses with a bias; of more dimensions a batched one.
 */
export function product(node: Node, emitter: Emitter, as?: Value): Ref {
  const [a, b] = node.inputs as [Value, Value];
  const { transposeA, transposeB } = node.attributes;
  const rounded = emitter.products === "rounded" && a.dtype === "float32";
  const type = a.dtype === "float32" && emitter.products !== "rounded" ? emitter.products : a.dtype;
  const round = (x: Ref) => (rounded ? cast(cast(x, "float16", emitter), "float32", emitter) : cast(x, type, emitter));
  const operands = [a, b].map((value) => round(emitter.ref(value)));
  const flags = [{ bool: Boolean(transposeA) }, { bool: Boolean(transposeB) }] as const;
  const lowered = rounded || type !== a.dtype;
  const matrices = a.shape.length === 2 && b.shape.length === 2;
  const attributes: NodeAttributes = matrices
    ? { transpose_a: flags[0], transpose_b: flags[1] }
    : { adj_x: flags[0], adj_y: flags[1] };
  const made = emitter.node(matrices ? "MatMul" : "BatchMatMulV2", operands, attributes, lowered ? undefined : as);
  if (!lowered) return made;
  return cast(rounded ? cast(made, "float16", emitter) : made, "float32", emitter, as);
}

const scaledProduct: Lowering = (node, emitter) => {
  const alpha = node.attributes["alpha"] as number | undefined;
  if (alpha === undefined) {
    product(node, emitter, only(node));
    return;
  }
  emitter.node("Mul", [product(node, emitter), emitter.scalar(alpha, "float32")], {}, only(node));
};

const affine: Lowering = (node, emitter) => {
  emitter.node("BiasAdd", [product(node, emitter), emitter.ref(node.inputs[2] as Value)], {}, only(node));
};

const slice: Lowering = (node, emitter) => {
  const { begin, size } = node.attributes as { begin: readonly number[]; size: readonly number[] };
  const inputs = [emitter.ref(node.inputs[0] as Value), emitter.integers(begin), emitter.shape(size)];
  emitter.node("Slice", inputs, {}, only(node));
};

/** What follows is the new shape less what stood before and the old shape; of them any may be symbolic. */
const pad: Lowering = (node, emitter) => {
  const { before, value } = node.attributes as { before: readonly number[]; value: number };
  const x = node.inputs[0] as Value;
  const front = emitter.integers(before);
  const added = emitter.node("Sub", [emitter.shape(only(node).shape), emitter.shape(x.shape)]);
  const widths = [front, emitter.node("Sub", [added, front])];
  const paddings = emitter.node("Pack", widths, { N: { int: 2 }, axis: { int: 1 } }); // [rank, 2]
  emitter.node("PadV2", [emitter.ref(x), paddings, emitter.scalar(value, x.dtype)], {}, only(node));
};

const oneHot: Lowering = (node, emitter) => {
  const { depth, onValue, offValue } = node.attributes as { depth: number; onValue: number; offValue: number };
  const { dtype } = only(node);
  const values = [emitter.scalar(onValue, dtype), emitter.scalar(offValue, dtype)];
  const inputs = [emitter.ref(node.inputs[0] as Value), emitter.scalar(depth, "int32"), ...values];
  emitter.node("OneHot", inputs, { axis: { int: -1 } }, only(node));
};

/** TensorFlow's softmax is over the last axis. */
const softmax: Lowering = (node, emitter) => {
  const { shape } = only(node);
  const axis = node.attributes["axis"] as number;
  const x = cast(emitter.ref(node.inputs[0] as Value), "float32", emitter);
  if (axis === shape.length - 1) {
    emitter.node("Softmax", [x], {}, only(node));
    return;
  }
  const order = shape.map((_, i) => (i === axis ? shape.length - 1 : i === shape.length - 1 ? axis : i));
  const perm = emitter.integers(order); // swaps two axes, so it is its own inverse
  const turned = emitter.node("Softmax", [emitter.node("Transpose", [x, perm])]);
  emitter.node("Transpose", [turned, perm], {}, only(node));
};

const select: Lowering = (node, emitter) => {
  const [condition, ...choices] = inputRefs(node, emitter) as [Ref, Ref, Ref];
  const { dtype } = only(node);
  emitter.node("SelectV2", [condition, ...choices.map((x) => cast(x, dtype, emitter))], {}, only(node));
};

const count = (node: Node): NodeAttributes => ({ N: { int: node.inputs.length } });

const general: Readonly<Record<string, Lowering>> = {
  Abs: direct("Abs"),
  Add: direct("AddV2"),
  AddN: (node, emitter) => {
    emitter.node("AddN", inputRefs(node, emitter), count(node), only(node));
  },
  Affine: affine,
  BatchMatMul: scaledProduct,
  BroadcastTo: (node, emitter) => {
    const output = only(node);
    emitter.node("BroadcastTo", [...inputRefs(node, emitter), emitter.shape(output.shape)], {}, output);
  },
  Cast: (node, emitter) => {
    cast(emitter.ref(node.inputs[0] as Value), only(node).dtype, emitter, only(node));
  },
  Concat: (node, emitter) => {
    const axis = emitter.scalar(node.attributes["axis"] as number, "int32");
    emitter.node("ConcatV2", [...inputRefs(node, emitter), axis], count(node), only(node));
  },
  Equal: direct("Equal"),
  Erf: direct("Erf"),
  Exp: direct("Exp"),
  Fill: (node, emitter) => {
    const output = only(node);
    const scalar = emitter.scalar(node.attributes["value"] as number, output.dtype);
    emitter.node("Fill", [emitter.shape(output.shape), scalar], {}, output);
  },
  GatherV2: (node, emitter) => {
    const axis = emitter.scalar(node.attributes["axis"] as number, "int32");
    emitter.node("GatherV2", [...inputRefs(node, emitter), axis], {}, only(node));
  },
  Greater: direct("Greater"),
  GreaterEqual: direct("GreaterEqual"),
  Less: direct("Less"),
  LessEqual: direct("LessEqual"),
  Log: direct("Log"),
  LogicalAnd: direct("LogicalAnd"),
  LogicalNot: direct("LogicalNot"),
  LogicalOr: direct("LogicalOr"),
  Max: reduce("Max"),
  Maximum: direct("Maximum"),
  Mean: reduce("Mean"),
  Min: reduce("Min"),
  Minimum: direct("Minimum"),
  Multiply: direct("Mul"),
  Neg: direct("Neg"),
  NotEqual: direct("NotEqual"),
  OneHot: oneHot,
  PadV2: pad,
  Pow: direct("Pow"),
  RealDiv: direct("RealDiv"),
  Reciprocal: direct("Reciprocal"),
  Relu: direct("Relu"),
  Reshape: (node, emitter) => {
    const output = only(node);
    emitter.node("Reshape", [...inputRefs(node, emitter), emitter.targetShape(output.shape)], {}, output);
  },
  Rsqrt: direct("Rsqrt"),
  Select: select,
  Sigmoid: direct("Sigmoid"),
  Sign: direct("Sign"),
  Slice: slice,
  Softmax: softmax,
  Sqrt: direct("Sqrt"),
  Square: direct("Square"),
  SquaredDifference: direct("SquaredDifference"),
  Sub: direct("Sub"),
  Sum: reduce("Sum"),
  Tanh: direct("Tanh"),
  Tile: (node, emitter) => {
    const reps = emitter.integers(node.attributes["reps"] as readonly number[]);
    emitter.node("Tile", [...inputRefs(node, emitter), reps], {}, only(node));
  },
  Transpose: (node, emitter) => {
    const perm = emitter.integers(node.attributes["perm"] as readonly number[]);
    emitter.node("Transpose", [...inputRefs(node, emitter), perm], {}, only(node));
  },
  UnsortedSegmentSum: (node, emitter) => {
    const segments = emitter.scalar(node.attributes["numSegments"] as number, "int32");
    emitter.node("UnsortedSegmentSum", [...inputRefs(node, emitter), segments], {}, only(node));
  },
};

export const lowerings: Readonly<Record<string, Lowering>> = { ...general, ...kernelLowerings };
