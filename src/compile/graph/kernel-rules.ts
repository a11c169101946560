// What each tfjs kernel makes: op, attributes, shape and dtype, without computing anything. Attributes come out
// canonical (axes sorted and not negative), so that equal work is equal text for the passes.
// Only kernels that BERT's steps, their gradients and their like are made of; the tracer names any other in its error.

import { slice_util, type Tensor, upcastType } from "@tensorflow/tfjs-core";
import { fusedRules } from "./fused-rules";
import { broadcastShape, type DType, type Shape, type Value } from "./graph";
import { type Inputs, input, type KernelRule, type RecordedOp, result } from "./kernel-rule";

/** Canonical axes: all of them when none are given. */
function canonicalAxes(axes: unknown, rank: number): number[] {
  const given = axes === undefined || axes === null ? Array.from({ length: rank }, (_, i) => i) : [axes].flat();
  return given.map((axis) => canonicalAxis(axis as number, rank)).sort((a, b) => a - b);
}

const canonicalAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const unary = (op: string): KernelRule => {
  return (inputs) => {
    const x = input(inputs, "x" in inputs ? "x" : "logits");
    return result(op, [x], x.shape, x.dtype);
  };
};

const binary = (op: string, dtype?: DType): KernelRule => {
  return (inputs) => {
    const [a, b] = [input(inputs, "a"), input(inputs, "b")];
    const shape = broadcastShape(a.shape, b.shape);
    if (!shape) throw new Error(`${op} of shapes [${a.shape}] and [${b.shape}], which do not broadcast`);
    return result(op, [a, b], shape, dtype ?? a.dtype);
  };
};

const reduction = (op: string, dtype?: DType): KernelRule => {
  return (inputs, { axis, reductionIndices, keepDims }) => {
    const x = input(inputs, "x");
    const axes = canonicalAxes(axis ?? reductionIndices, x.shape.length);
    const kept = x.shape.flatMap((size, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [size]));
    return result(op, [x], kept, dtype ?? x.dtype, { axes, keepDims: Boolean(keepDims) });
  };
};

/** Adds zeros or takes away nothing but dimensions of size 1: one op for the four kernels that only rename shape. */
const reshaped = (x: Value, shape: Shape): RecordedOp => result("Reshape", [x], shape, x.dtype, { shape: [...shape] });

/** A shape with at most one -1, completed. Sizes are multiplied in doubles, as tfjs does. */
function completed(shape: Shape, of: Shape): number[] {
  const product = (sizes: Shape) => sizes.reduce((all, size) => all * size, 1);
  const known = -product(shape);
  const complete = shape.map((size) => (size === -1 ? product(of) / known : size));
  if (product(complete) !== product(of) || !complete.every(Number.isInteger)) {
    throw new Error(`a reshape of [${of}] to [${shape}], which has another size`);
  }
  return complete;
}

const batchMatMul: KernelRule = (inputs, { transposeA, transposeB }) => {
  const [a, b] = [input(inputs, "a"), input(inputs, "b")];
  const [rows, innerA] = transposeA ? [a.shape.at(-1), a.shape.at(-2)] : [a.shape.at(-2), a.shape.at(-1)];
  const [innerB, columns] = transposeB ? [b.shape.at(-1), b.shape.at(-2)] : [b.shape.at(-2), b.shape.at(-1)];
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (innerA !== innerB || !batch) {
    throw new Error(`a product of [${a.shape}] and [${b.shape}] (transposed: ${!!transposeA}, ${!!transposeB})`);
  }
  const attributes = { transposeA: Boolean(transposeA), transposeB: Boolean(transposeB) };
  return result("BatchMatMul", [a, b], [...batch, rows as number, columns as number], a.dtype, attributes);
};

const gather: KernelRule = (inputs, { axis, batchDims }) => {
  const [x, indices] = [input(inputs, "x"), input(inputs, "indices")];
  if (batchDims) throw new Error("GatherV2 with batchDims has no tracing rule");
  const at = canonicalAxis((axis as number | undefined) ?? 0, x.shape.length);
  const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
  return result("GatherV2", [x, indices], shape, x.dtype, { axis: at });
};

const slice: KernelRule = (inputs, { begin, size }) => {
  const x = input(inputs, "x");
  const shape = [...x.shape];
  const [from, sizes] = slice_util.parseSliceParams({ shape } as Tensor, begin as number[], size as number[]);
  // Not held to the input's shape: a symbol's prime may be larger than the table that its size is cut from.
  return result("Slice", [x], sizes as number[], x.dtype, { begin: from as number[], size: sizes as number[] });
};

const pad: KernelRule = (inputs, { paddings, constantValue }) => {
  const x = input(inputs, "x");
  const widths = paddings as [number, number][];
  const shape = x.shape.map((size, i) => size + (widths[i]?.[0] ?? 0) + (widths[i]?.[1] ?? 0));
  // What follows is shape - before - the input's shape: a size that is symbolic stays one.
  const attributes = { before: widths.map(([width]) => width), shape, value: constantValue as number };
  return result("PadV2", [x], shape, x.dtype, attributes);
};

const concat: KernelRule = (inputs, { axis }) => {
  const parts = Object.values(inputs);
  const first = parts[0] as Value;
  const at = canonicalAxis(axis as number, first.shape.length);
  const shape = first.shape.map((size, i) =>
    i === at ? parts.reduce((sum, part) => sum + (part.shape[i] as number), 0) : size,
  );
  return result("Concat", parts, shape, first.dtype, { axis: at });
};

const oneHot: KernelRule = (inputs, { depth, onValue, offValue, dtype }) => {
  const indices = input(inputs, "indices");
  const type = ((dtype as DType | undefined) ?? "int32") satisfies DType;
  const attributes = { depth: depth as number, onValue: onValue as number, offValue: offValue as number };
  return result("OneHot", [indices], [...indices.shape, depth as number], type, attributes);
};

const filled = (value: number, inputs: Inputs): RecordedOp => {
  const x = input(inputs, "x");
  return fill(x.shape, x.dtype, value);
};

/** A tensor of one repeated value. */
export const fill = (shape: Shape, dtype: DType, value: number): RecordedOp =>
  result("Fill", [], shape, dtype, { shape: [...shape], value });

const segmentSum: KernelRule = (inputs, { numSegments }) => {
  const [x, ids] = [input(inputs, "x"), input(inputs, "segmentIds")];
  const shape = [numSegments as number, ...x.shape.slice(ids.shape.length)];
  return result("UnsortedSegmentSum", [x, ids], shape, x.dtype, { numSegments: numSegments as number });
};

const transpose: KernelRule = (inputs, { perm }) => {
  const x = input(inputs, "x");
  const order = [...(perm as number[])];
  return result(
    "Transpose",
    [x],
    order.map((from) => x.shape[from] as number),
    x.dtype,
    { perm: order },
  );
};

const select: KernelRule = (inputs) => {
  const [condition, t, e] = [input(inputs, "condition"), input(inputs, "t"), input(inputs, "e")];
  return result("Select", [condition, t, e], t.shape, upcastType(t.dtype, e.dtype) as DType);
};

const tile: KernelRule = (inputs, { reps }) => {
  const x = input(inputs, "x");
  const times = [...(reps as number[])];
  const shape = x.shape.map((size, i) => size * (times[i] as number));
  // tf.broadcastTo comes as a Tile: as a broadcast its sizes may be symbolic, as counts of repetitions they may not.
  if (times.every((count, i) => count === 1 || x.shape[i] === 1)) {
    return result("BroadcastTo", [x], shape, x.dtype, { shape });
  }
  return result("Tile", [x], shape, x.dtype, { reps: times });
};

const elementwise = {
  Abs: unary("Abs"),
  Erf: unary("Erf"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  LogicalNot: unary("LogicalNot"),
  Neg: unary("Neg"),
  Reciprocal: unary("Reciprocal"),
  Relu: unary("Relu"),
  Rsqrt: unary("Rsqrt"),
  Sigmoid: unary("Sigmoid"),
  Sign: unary("Sign"),
  Sqrt: unary("Sqrt"),
  Square: unary("Square"),
  Tanh: unary("Tanh"),
  Add: binary("Add"),
  Maximum: binary("Maximum"),
  Minimum: binary("Minimum"),
  Multiply: binary("Multiply"),
  Pow: binary("Pow"),
  RealDiv: binary("RealDiv"),
  SquaredDifference: binary("SquaredDifference"),
  Sub: binary("Sub"),
  Equal: binary("Equal", "bool"),
  Greater: binary("Greater", "bool"),
  GreaterEqual: binary("GreaterEqual", "bool"),
  Less: binary("Less", "bool"),
  LessEqual: binary("LessEqual", "bool"),
  LogicalAnd: binary("LogicalAnd", "bool"),
  LogicalOr: binary("LogicalOr", "bool"),
  NotEqual: binary("NotEqual", "bool"),
} satisfies Record<string, KernelRule>;

/** Rules by tfjs kernel name. */
export const kernelRules: Readonly<Record<string, KernelRule>> = {
  ...elementwise,
  ...fusedRules,
  AddN: (inputs) => {
    const terms = Object.values(inputs);
    const first = terms[0] as Value;
    return result("AddN", terms, first.shape, first.dtype);
  },
  BatchMatMul: batchMatMul,
  Cast: (inputs, { dtype }) => {
    const x = input(inputs, "x");
    return result("Cast", [x], x.shape, dtype as DType, { dtype: dtype as string });
  },
  Concat: concat,
  ExpandDims: (inputs, { dim }) => {
    const x = input(inputs, "input");
    const at = (dim as number) < 0 ? (dim as number) + x.shape.length + 1 : (dim as number);
    return reshaped(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
  },
  Fill: (_, { shape, value, dtype }) => fill(shape as number[], (dtype as DType) ?? "float32", value as number),
  GatherV2: gather,
  Max: reduction("Max"),
  Mean: reduction("Mean", "float32"),
  Min: reduction("Min"),
  OneHot: oneHot,
  OnesLike: (inputs) => filled(1, inputs),
  PadV2: pad,
  Reshape: (inputs, { shape }) => {
    const x = input(inputs, "x");
    return reshaped(x, completed(shape as number[], x.shape));
  },
  Select: select,
  Slice: slice,
  Softmax: (inputs, { dim }) => {
    const x = input(inputs, "logits");
    return result("Softmax", [x], x.shape, "float32", { axis: canonicalAxis(dim as number, x.shape.length) });
  },
  Sum: reduction("Sum"),
  Tile: tile,
  Transpose: transpose,
  UnsortedSegmentSum: segmentSum,
  ZerosLike: (inputs) => filled(0, inputs),
};
