// One rule an op: the ONNX nodes that compute it. Standard operators (opset 20) where they serve; com.microsoft's
// FusedMatMul where a product has a transposed operand or a factor, because ONNX's own MatMul has neither.

import { type DType, type Elements, type Node, only, type Shape, type Value } from "./graph";
import { ElementType, type OnnxAttribute } from "./onnx-proto";

/** What a rule writes into. Names stand for values. */
export interface Emitter {
  /** The name of a value of the graph. */
  name(value: Value): string;
  /** Adds a node and returns its first output. `as` gives the output the name of a value of the graph. */
  node(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>, as?: Value): string;
  /** Adds a node with several outputs; null leaves one out. */
  nodes(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    outputs: readonly (Value | null)[],
  ): void;
  /** The name of a scalar constant. */
  scalar(value: number, dtype: DType | "int64"): string;
  /** The name of a constant. */
  constant(elements: Elements, shape: Shape, dtype: DType): string;
  /** The name of a one-dimensional int64 constant: axes, pads. */
  integers(values: readonly number[]): string;
  /** The name of a one-dimensional int64 value that holds a shape, computed where a size is symbolic. */
  shape(sizes: Shape): string;
  /** Whether any node or output needs a value. */
  isUsed(value: Value): boolean;
  /** Whether the nodes must all be of the standard. */
  readonly standard: boolean;
}

export type Lowering = (node: Node, emitter: Emitter) => void;

export const elementTypes: Readonly<Record<DType, ElementType>> = {
  float32: ElementType.float32,
  int32: ElementType.int32,
  bool: ElementType.bool,
};

/** Operators of com.microsoft; every other op is of the standard domain. */
export const microsoftOps: ReadonlySet<string> = new Set(["FusedMatMul"]);

const direct =
  (op: string): Lowering =>
  (node, emitter) => {
    emitter.node(op, node.inputs.map(emitter.name), {}, only(node));
  };

/** Over no axes nothing is reduced; without this ONNX would reduce over all of them. */
const noAxes = { noop_with_empty_axes: { int: 1 } } as const;

const reduce =
  (op: string): Lowering =>
  (node, emitter) => {
    const axes = emitter.integers(node.attributes["axes"] as readonly number[]);
    const keepdims = { int: node.attributes["keepDims"] ? 1 : 0 };
    emitter.node(op, [emitter.name(node.inputs[0] as Value), axes], { keepdims, ...noAxes }, only(node));
  };

/** Of integers too it is a float. */
const mean: Lowering = (node, emitter) => {
  const x = operand(node.inputs[0] as Value, "float32", emitter);
  const axes = emitter.integers(node.attributes["axes"] as readonly number[]);
  const keepdims = { int: node.attributes["keepDims"] ? 1 : 0 };
  emitter.node("ReduceMean", [x, axes], { keepdims, ...noAxes }, only(node));
};

/** A value's name, or that of its cast where it has another dtype. */
function operand(value: Value, dtype: DType, emitter: Emitter): string {
  const name = emitter.name(value);
  return value.dtype === dtype ? name : emitter.node("Cast", [name], { to: { int: elementTypes[dtype] } });
}

/** ONNX's Sum takes floats alone. */
const sumOfTerms: Lowering = (node, emitter) => {
  const [first, ...others] = inputNames(node, emitter) as [string, ...string[]];
  if (only(node).dtype === "float32") emitter.node("Sum", [first, ...others], {}, only(node));
  else {
    const last = others.pop();
    const sum = others.reduce((total, term) => emitter.node("Add", [total, term]), first);
    emitter.node(last ? "Add" : "Identity", last ? [sum, last] : [sum], {}, only(node));
  }
};

/**
 * The sum over all axes but the last as a product with ones: onnxruntime's ReduceSum over leading axes takes two to
 * six times as long (docs/decisions.md).
 */
function sumRows(x: string, shape: Shape, emitter: Emitter, as: Value): void {
  const width = shape.at(-1) as number;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const matrix = shape.length === 2 ? x : emitter.node("Reshape", [x, emitter.shape([rows, width])]);
  const ones = emitter.node("Expand", [emitter.scalar(1, "float32"), emitter.shape([1, rows])]);
  const sum = emitter.node("MatMul", [ones, matrix]); // [1, width]
  emitter.node("Reshape", [sum, emitter.integers(as.shape)], {}, as);
}

const sum: Lowering = (node, emitter) => {
  const [x] = node.inputs as [Value];
  const axes = node.attributes["axes"] as readonly number[];
  const leading = x.shape.length > 1 && axes.length === x.shape.length - 1 && axes.every((axis, i) => axis === i);
  if (leading && x.dtype === "float32") sumRows(emitter.name(x), x.shape, emitter, only(node));
  else reduce("ReduceSum")(node, emitter);
};

const inputNames = (node: Node, emitter: Emitter): string[] => node.inputs.map(emitter.name);

/** A matrix, or each of a batch, transposed. */
function turn(x: Value, emitter: Emitter): string {
  const axes = x.shape.map((_, axis) => axis);
  const [columns, rows] = [axes.pop(), axes.pop()] as [number, number];
  return emitter.node("Transpose", [emitter.name(x)], { perm: { ints: [...axes, columns, rows] } });
}

const product: Lowering = (node, emitter) => {
  const { transposeA, transposeB, alpha } = node.attributes;
  const inputs = inputNames(node, emitter);
  if (only(node).dtype !== "float32") {
    const turned = node.inputs.map((x, at) =>
      (at === 0 ? transposeA : transposeB) ? turn(x, emitter) : emitter.name(x),
    );
    emitter.node("MatMul", turned, {}, only(node)); // FusedMatMul takes floats alone
    return;
  }
  if (!transposeA && !transposeB && alpha === undefined) {
    emitter.node("MatMul", inputs, {}, only(node));
    return;
  }
  if (emitter.standard) {
    standardProduct(node, emitter);
    return;
  }
  const flag = (value: unknown) => ({ int: value ? 1 : 0 });
  const attributes: Record<string, OnnxAttribute> = { transA: flag(transposeA), transB: flag(transposeB) };
  if (alpha !== undefined) attributes["alpha"] = { float: alpha as number };
  emitter.node("FusedMatMul", inputs, attributes, only(node));
};

/** Transposes and factor as nodes of their own, each after what it belongs to: onnxruntime finds and fuses them. */
function standardProduct(node: Node, emitter: Emitter): void {
  const { transposeA, transposeB, alpha } = node.attributes;
  const operand = (value: Value, transpose: unknown) => {
    if (!transpose) return emitter.name(value);
    const axes = value.shape.map((_, axis) => axis);
    const perm = [...axes.slice(0, -2), axes.length - 1, axes.length - 2];
    return emitter.node("Transpose", [emitter.name(value)], { perm: { ints: perm } });
  };
  const [a, b] = node.inputs as [Value, Value];
  const operands = [operand(a, transposeA), operand(b, transposeB)];
  if (alpha === undefined) {
    emitter.node("MatMul", operands, {}, only(node));
    return;
  }
  const factor = emitter.scalar(alpha as number, only(node).dtype);
  emitter.node("Mul", [emitter.node("MatMul", operands), factor], {}, only(node));
}

const slice: Lowering = (node, emitter) => {
  const { begin, size } = node.attributes as { begin: readonly number[]; size: readonly number[] };
  const x = node.inputs[0] as Value;
  const axes = x.shape.flatMap((whole, axis) => (size[axis] === whole ? [] : [axis]));
  const starts = emitter.integers(axes.map((axis) => begin[axis] as number));
  const sizes = emitter.shape(axes.map((axis) => size[axis] as number)); // may be symbolic, so begin is added there
  const ends = axes.every((axis) => begin[axis] === 0) ? sizes : emitter.node("Add", [sizes, starts]);
  emitter.node("Slice", [emitter.name(x), starts, ends, emitter.integers(axes)], {}, only(node));
};

const pad: Lowering = (node, emitter) => {
  const { before, value } = node.attributes as { before: readonly number[]; value: number };
  const x = node.inputs[0] as Value;
  const ends = emitter.node("Sub", [emitter.shape(only(node).shape), emitter.shape(x.shape)]);
  const pads = emitter.node(
    "Concat",
    [emitter.integers(before), emitter.node("Sub", [ends, emitter.integers(before)])],
    { axis: { int: 0 } },
  );
  emitter.node("Pad", [emitter.name(x), pads, emitter.scalar(value, x.dtype)], {}, only(node));
};

/** onnxruntime's Where lacks bool. */
function choose(condition: string, chosen: string, other: string, output: Value, emitter: Emitter): void {
  if (output.dtype !== "bool") {
    emitter.node("Where", [condition, chosen, other], {}, output);
    return;
  }
  const unchosen = emitter.node("And", [emitter.node("Not", [condition]), other]);
  emitter.node("Or", [emitter.node("And", [condition, chosen]), unchosen], {}, output);
}

/** By comparison: onnxruntime's OneHot lacks most combinations of types. */
const oneHot: Lowering = (node, emitter) => {
  const { depth, onValue, offValue } = node.attributes as { depth: number; onValue: number; offValue: number };
  const output = only(node);
  const classes = emitter.constant(
    Int32Array.from({ length: depth }, (_, i) => i),
    [depth],
    "int32",
  );
  const indices = node.inputs[0] as Value;
  const column = emitter.node("Reshape", [emitter.name(indices), emitter.shape([...indices.shape, 1])]);
  const [on, off] = [emitter.scalar(onValue, output.dtype), emitter.scalar(offValue, output.dtype)];
  choose(emitter.node("Equal", [column, classes]), on, off, output, emitter);
};

/** Rows are added into zeros. ScatterND would be shorter, but onnxruntime adds its duplicates from several threads. */
const segmentSum: Lowering = (node, emitter) => {
  const [x, ids] = node.inputs as [Value, Value];
  const output = only(node);
  const rows = x.shape.slice(0, ids.shape.length).reduce((product, size) => product * size, 1);
  const width = x.shape.slice(ids.shape.length);
  const flat = emitter.node("Reshape", [emitter.name(x), emitter.shape([rows, ...width])]);
  const column = emitter.node("Reshape", [emitter.name(ids), emitter.shape([rows, ...width.map(() => 1)])]);
  const indices = emitter.node("Expand", [column, emitter.shape([rows, ...width])]);
  const zeros = emitter.node("Expand", [emitter.scalar(0, x.dtype), emitter.shape(output.shape)]);
  const attributes = { axis: { int: 0 }, reduction: { text: "add" } };
  emitter.node("ScatterElements", [zeros, indices, flat], attributes, output);
};

/** ONNX has no reciprocal square root. */
const reciprocalRoot: Lowering = (node, emitter) => {
  const root = emitter.node("Sqrt", inputNames(node, emitter));
  emitter.node("Reciprocal", [root], {}, only(node));
};

const squaredDifference: Lowering = (node, emitter) => {
  const difference = emitter.node("Sub", inputNames(node, emitter));
  emitter.node("Mul", [difference, difference], {}, only(node));
};

const cast: Lowering = (node, emitter) => {
  const output = only(node);
  emitter.node("Cast", inputNames(node, emitter), { to: { int: elementTypes[output.dtype] } }, output);
};

const fill: Lowering = (node, emitter) => {
  const output = only(node);
  const scalar = emitter.scalar(node.attributes["value"] as number, output.dtype);
  emitter.node("Expand", [scalar, emitter.shape(output.shape)], {}, output);
};

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

const crossEntropy: Lowering = (node, emitter) => {
  const [logits, targets] = inputNames(node, emitter) as [string, string];
  const terms = emitter.node("Mul", [targets, emitter.node("LogSoftmax", [logits], { axis: { int: -1 } })]);
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
  const { transposeA, transposeB } = node.attributes;
  const attributes = { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } };
  emitter.node("Gemm", inputNames(node, emitter), attributes, only(node));
};

export const lowerings: Readonly<Record<string, Lowering>> = {
  Abs: direct("Abs"),
  Add: direct("Add"),
  AddN: sumOfTerms,
  Affine: affine,
  BatchMatMul: product,
  BroadcastTo: (node, emitter) => {
    const output = only(node);
    emitter.node("Expand", [...inputNames(node, emitter), emitter.shape(output.shape)], {}, output);
  },
  Cast: cast,
  Concat: (node, emitter) => {
    emitter.node("Concat", inputNames(node, emitter), { axis: { int: node.attributes["axis"] as number } }, only(node));
  },
  Equal: direct("Equal"),
  Erf: direct("Erf"),
  Exp: direct("Exp"),
  Fill: fill,
  GatherV2: (node, emitter) => {
    emitter.node("Gather", inputNames(node, emitter), { axis: { int: node.attributes["axis"] as number } }, only(node));
  },
  Gelu: gelu,
  GeluGradient: geluGradient,
  Greater: direct("Greater"),
  GreaterEqual: direct("GreaterOrEqual"),
  LayerNorm: layerNorm,
  LayerNormGradient: layerNormGradient,
  Less: direct("Less"),
  LessEqual: direct("LessOrEqual"),
  Log: direct("Log"),
  LogicalAnd: direct("And"),
  LogicalNot: direct("Not"),
  LogicalOr: direct("Or"),
  Max: reduce("ReduceMax"),
  Maximum: direct("Max"),
  Mean: mean,
  Min: reduce("ReduceMin"),
  Minimum: direct("Min"),
  Multiply: direct("Mul"),
  Neg: direct("Neg"),
  NotEqual: (node, emitter) => {
    emitter.node("Not", [emitter.node("Equal", inputNames(node, emitter))], {}, only(node));
  },
  OneHot: oneHot,
  PadV2: pad,
  Pow: direct("Pow"),
  RealDiv: direct("Div"),
  Reciprocal: direct("Reciprocal"),
  Relu: direct("Relu"),
  Reshape: (node, emitter) => {
    const output = only(node);
    const allowzero = { int: output.shape.includes(0) ? 1 : 0 }; // without it a size of 0 means "as before"
    emitter.node("Reshape", [...inputNames(node, emitter), emitter.shape(output.shape)], { allowzero }, output);
  },
  Rsqrt: reciprocalRoot,
  Select: (node, emitter) => {
    const [condition, ...choices] = node.inputs as [Value, Value, Value];
    const { dtype } = only(node);
    const [chosen, other] = choices.map((value) => operand(value, dtype, emitter)) as [string, string];
    choose(emitter.name(condition), chosen, other, only(node), emitter);
  },
  Sigmoid: direct("Sigmoid"),
  Sign: direct("Sign"),
  Slice: slice,
  SoftmaxCrossEntropy: crossEntropy,
  SoftmaxCrossEntropyGradient: crossEntropyGradient,
  Softmax: (node, emitter) => {
    const axis = { int: node.attributes["axis"] as number };
    emitter.node("Softmax", inputNames(node, emitter), { axis }, only(node));
  },
  Sqrt: direct("Sqrt"),
  Square: (node, emitter) => {
    const x = inputNames(node, emitter)[0] as string;
    emitter.node("Mul", [x, x], {}, only(node));
  },
  SquaredDifference: squaredDifference,
  Sub: direct("Sub"),
  Sum: sum,
  Tanh: direct("Tanh"),
  Tile: (node, emitter) => {
    const reps = emitter.integers(node.attributes["reps"] as readonly number[]);
    emitter.node("Tile", [...inputNames(node, emitter), reps], {}, only(node));
  },
  Transpose: (node, emitter) => {
    const perm = { ints: node.attributes["perm"] as readonly number[] };
    emitter.node("Transpose", inputNames(node, emitter), { perm }, only(node));
  },
  UnsortedSegmentSum: segmentSum,
};
