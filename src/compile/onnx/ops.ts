// One rule an op of tfjs: the ONNX nodes that compute it. Standard operators (opset 20) where they serve; com.microsoft's
// FusedMatMul where a product has a transposed operand or a factor, because ONNX's own MatMul has neither.

import { type DType, type Node, only, type Value } from "../graph/graph";
import { fusedLowerings } from "./fused";
import { type Emitter, inputNames, type Lowering, roundedProduct, sumRows } from "./lowering";
import { ElementType, type OnnxAttribute } from "./proto";
import { quantisedProduct, quantisedRows } from "./quantised";
import { updateLowerings } from "./update";

export const elementTypes: Readonly<Record<DType, ElementType>> = {
  float32: ElementType.float32,
  int32: ElementType.int32,
  bool: ElementType.bool,
};

/** Operators of com.microsoft; every other op is of the standard domain. */
export const microsoftOps: ReadonlySet<string> = new Set(["FusedMatMul", "MatMulIntegerToFloat", "MultiHeadAttention"]);

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

const sum: Lowering = (node, emitter) => {
  const [x] = node.inputs as [Value];
  const axes = node.attributes["axes"] as readonly number[];
  const leading = x.shape.length > 1 && axes.length === x.shape.length - 1 && axes.every((axis, i) => axis === i);
  if (leading && x.dtype === "float32") sumRows(emitter.name(x), x.shape, emitter, only(node));
  else reduce("ReduceSum")(node, emitter);
};

/** A matrix, or each of a batch, transposed. */
function turn(x: Value, emitter: Emitter): string {
  const axes = x.shape.map((_, axis) => axis);
  const [columns, rows] = [axes.pop(), axes.pop()] as [number, number];
  return emitter.node("Transpose", [emitter.name(x)], { perm: { ints: [...axes, columns, rows] } });
}

const product: Lowering = (node, emitter) => {
  if (quantisedProduct(node, emitter)) return;
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
    roundedProduct("MatMul", inputs, {}, emitter, only(node));
    return;
  }
  if (emitter.standard) {
    standardProduct(node, emitter);
    return;
  }
  const flag = (value: unknown) => ({ int: value ? 1 : 0 });
  const attributes: Record<string, OnnxAttribute> = { transA: flag(transposeA), transB: flag(transposeB) };
  if (alpha !== undefined) attributes["alpha"] = { float: alpha as number };
  roundedProduct("FusedMatMul", inputs, attributes, emitter, only(node));
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

export const lowerings: Readonly<Record<string, Lowering>> = {
  ...fusedLowerings,
  ...updateLowerings,
  Abs: direct("Abs"),
  Add: direct("Add"),
  AddN: sumOfTerms,
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
    if (quantisedRows(node, emitter)) return;
    emitter.node("Gather", inputNames(node, emitter), { axis: { int: node.attributes["axis"] as number } }, only(node));
  },
  Greater: direct("Greater"),
  GreaterEqual: direct("GreaterOrEqual"),
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
  Softmax: (node, emitter) => {
    const axis = { int: node.attributes["axis"] as number };
    emitter.node("Softmax", inputNames(node, emitter), { axis }, only(node));
  },
  Split: (node, emitter) => {
    const attributes = { axis: { int: node.attributes["axis"] as number }, num_outputs: { int: node.outputs.length } };
    emitter.nodes("Split", inputNames(node, emitter), attributes, node.outputs);
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
