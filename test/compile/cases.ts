// A function, its inputs and its dynamic axes for each op that has a lowering; every lowering's tests run them.

import * as tf from "@tensorflow/tfjs-core";
import type { DynamicAxes, Tensors } from "../../src/model/entry-point";
import { crossEntropy } from "../../src/model/losses";
import { gelu, layerNorm } from "../../src/model/ops";
import type { HostTensors } from "../../src/model/tensors";
import { type Compute, f32, i32, spread } from "./compare";

export interface Case {
  readonly compute: Compute;
  /** A call with this first size; every input whose first axis is named changes with it. */
  readonly call: (size: number) => HostTensors;
  readonly axes: DynamicAxes;
}

const x = (inputs: Tensors) => inputs["x"] as tf.Tensor;
const y = (inputs: Tensors) => inputs["y"] as tf.Tensor;
const positive = (size: number) =>
  f32(
    [size, 3],
    Array.from({ length: size * 3 }, (_, i) => 0.25 + i * 0.3),
  );
const integers = (size: number, from = 0) =>
  i32(
    [size, 3],
    Array.from({ length: size * 3 }, (_, i) => ((i * 5 + from) % 7) - 3),
  );

const axes: DynamicAxes = { x: ["rows", null], y: ["rows", null] };

const unary = (op: (x: tf.Tensor) => tf.Tensor, input = (size: number) => spread([size, 3])): Case => ({
  compute: (inputs) => ({ z: op(x(inputs)) }),
  call: (size) => ({ x: input(size) }),
  axes,
});

/** Of floats; and of the same shape with the row broadcast. */
const binary = (op: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, left = (size: number) => spread([size, 3])): Case => ({
  compute: (inputs) => ({
    z: op(x(inputs), y(inputs)),
    row: op(x(inputs), inputs["row"] as tf.Tensor),
    same: op(x(inputs), x(inputs)),
  }),
  call: (size) => ({ x: left(size), y: spread([size, 3], 40), row: spread([3], 80) }),
  axes,
});

const comparison = (op: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Case => ({
  compute: (inputs) => ({
    floats: tf.cast(op(x(inputs), y(inputs)), "int32"),
    integers: tf.cast(op(inputs["i"] as tf.Tensor, inputs["j"] as tf.Tensor), "float32"),
    same: tf.cast(op(x(inputs), x(inputs)), "int32"),
  }),
  call: (size) => ({ x: spread([size, 3]), y: spread([size, 3], 9), i: integers(size), j: integers(size, 2) }),
  axes: { ...axes, i: ["rows", null], j: ["rows", null] },
});

const logical = (op: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Case => {
  const isPositive = (value: tf.Tensor) => tf.greater(value, 0);
  return binary((a, b) => tf.cast(op(isPositive(a), isPositive(b)), "int32"));
};

const reduction = (op: (x: tf.Tensor, axis?: number | number[], keep?: boolean) => tf.Tensor): Case => ({
  compute: (inputs) => ({
    rows: op(x(inputs), 0),
    columns: op(x(inputs), [-1], true),
    all: op(x(inputs)),
    integers: op(inputs["i"] as tf.Tensor, 1),
    noAxes: op(x(inputs), []),
  }),
  call: (size) => ({ x: spread([size, 3]), i: integers(size) }),
  axes: { ...axes, i: ["rows", null] },
});

const valueAndGradient = (op: (x: tf.Tensor) => tf.Tensor): Compute => {
  const { square, sum } = tf;
  const loss = (value: tf.Tensor) => sum(square(op(value))) as tf.Scalar;
  return (inputs) => {
    const { value, grad } = tf.valueAndGrad(loss)(x(inputs));
    return { value, grad };
  };
};

const normalised: Case = {
  compute: (inputs) => {
    const loss = (...values: tf.Tensor[]) => {
      const [value, weight, bias] = values as [tf.Tensor3D, tf.Tensor1D, tf.Tensor1D];
      return tf.sum(tf.square(layerNorm(value, { weight, bias }, 1e-6))) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(loss)([x(inputs), inputs["w"] as tf.Tensor, inputs["b"] as tf.Tensor]);
    return { value, dx: grads[0] as tf.Tensor, dw: grads[1] as tf.Tensor, db: grads[2] as tf.Tensor };
  },
  call: (size) => ({ x: spread([size, 2, 5]), w: spread([5], 3), b: spread([5], 7) }),
  axes: { x: ["rows", null, null] },
};

const entropy: Case = {
  compute: (inputs) => {
    const loss = (z: tf.Tensor) =>
      crossEntropy(z as tf.Tensor2D, inputs["labels"] as tf.Tensor1D, inputs["weights"] as tf.Tensor1D);
    const { value, grad } = tf.valueAndGrad(loss)(x(inputs));
    return { value, grad };
  },
  call: (size) => ({
    x: spread([size, 3]),
    labels: i32(
      [size],
      Array.from({ length: size }, (_, i) => i % 3),
    ),
    weights: f32(
      [size],
      Array.from({ length: size }, (_, i) => (i === 0 ? 0 : 1)),
    ),
  }),
  axes: { x: ["rows", null], labels: ["rows"], weights: ["rows"] },
};

const products: Case = {
  compute: (inputs) => {
    const [a, b, c] = [x(inputs), inputs["b"] as tf.Tensor, inputs["c"] as tf.Tensor];
    return {
      plain: tf.matMul(a, b),
      transposed: tf.matMul(a, tf.transpose(b), false, true),
      left: tf.matMul(a, a, true, false),
      both: tf.matMul(b, a, true, true),
      scaled: tf.mul(tf.matMul(a, b), 0.5),
      scaledOperand: tf.matMul(tf.mul(a, 3), b),
      batched: tf.matMul(c, b),
      batchedTransposed: tf.mul(tf.matMul(c, c, false, true), 0.25),
    };
  },
  call: (size) => ({ x: spread([size, 3]), b: spread([3, 4]), c: spread([size, 2, 3]) }),
  axes: { x: ["rows", null], c: ["rows", null, null] },
};

const affine: Case = {
  compute: (inputs) => ({
    right: tf.add(tf.matMul(x(inputs), inputs["w"] as tf.Tensor), inputs["b"] as tf.Tensor),
    left: tf.add(inputs["b"] as tf.Tensor, tf.matMul(x(inputs), inputs["w"] as tf.Tensor, true, false).slice(0, 3)),
    turned: tf.add(inputs["b"] as tf.Tensor, tf.matMul(y(inputs), inputs["v"] as tf.Tensor, false, true)),
  }),
  call: (size) => ({
    x: spread([3, 3]),
    y: spread([size, 3]),
    w: spread([3, 4]),
    v: spread([4, 3]),
    b: spread([4], 5),
  }),
  axes: { y: ["rows", null] },
};

/** By op of the graph. */
export const cases: Readonly<Record<string, Case>> = {
  Abs: unary(tf.abs),
  Add: binary(tf.add),
  AddN: {
    compute: (inputs) => ({
      floats: tf.addN([x(inputs), y(inputs), x(inputs)]),
      integers: tf.addN([inputs["i"] as tf.Tensor, inputs["i"] as tf.Tensor, inputs["i"] as tf.Tensor]),
    }),
    call: (size) => ({ x: spread([size, 3]), y: spread([size, 3], 9), i: integers(size) }),
    axes: { ...axes, i: ["rows", null] },
  },
  Affine: affine,
  BatchMatMul: products,
  BroadcastTo: {
    compute: (inputs) => ({
      ones: tf.mul(tf.onesLike(y(inputs)), inputs["row"] as tf.Tensor),
      tiled: tf.broadcastTo(inputs["row"] as tf.Tensor, y(inputs).shape),
    }),
    call: (size) => ({ y: spread([size, 3]), row: spread([3], 2) }),
    axes,
  },
  Cast: {
    compute: (inputs) => ({
      toInteger: tf.cast(x(inputs), "int32"),
      toFloat: tf.cast(inputs["i"] as tf.Tensor, "float32"),
      throughBool: tf.cast(tf.cast(inputs["i"] as tf.Tensor, "bool"), "int32"),
      floatThroughBool: tf.cast(tf.cast(x(inputs), "bool"), "float32"),
    }),
    call: (size) => ({ x: spread([size, 3]), i: integers(size) }),
    axes: { ...axes, i: ["rows", null] },
  },
  Concat: {
    compute: (inputs) => ({
      columns: tf.concat([x(inputs), y(inputs), x(inputs)], -1),
      rows: tf.concat([x(inputs), y(inputs)], 0),
    }),
    call: (size) => ({ x: spread([size, 3]), y: spread([size, 3], 9) }),
    axes,
  },
  Equal: comparison(tf.equal),
  Erf: unary(tf.erf),
  Exp: unary(tf.exp),
  Fill: unary((value) => tf.concat([value, tf.mul(tf.onesLike(value), 0.1), tf.zerosLike(value)], 1)),
  GatherV2: {
    compute: (inputs) => ({
      rows: tf.gather(inputs["table"] as tf.Tensor, inputs["ids"] as tf.Tensor2D),
      columns: tf.gather(inputs["table"] as tf.Tensor, inputs["ids"] as tf.Tensor2D, 1),
    }),
    call: (size) => ({
      table: spread([4, 5]),
      ids: i32(
        [size, 2],
        Array.from({ length: size * 2 }, (_, i) => (i * 3) % 4),
      ),
    }),
    axes: { ids: ["rows", null] },
  },
  Gelu: unary(gelu),
  GeluGradient: { ...unary(gelu), compute: valueAndGradient(gelu) },
  Greater: comparison(tf.greater),
  GreaterEqual: comparison(tf.greaterEqual),
  LayerNorm: normalised,
  LayerNormGradient: normalised,
  Less: comparison(tf.less),
  LessEqual: comparison(tf.lessEqual),
  Log: unary(tf.log, positive),
  LogicalAnd: logical(tf.logicalAnd),
  LogicalNot: unary((value) => tf.cast(tf.logicalNot(tf.greater(value, 0)), "int32")),
  LogicalOr: logical(tf.logicalOr),
  Max: reduction(tf.max),
  Maximum: binary(tf.maximum),
  Mean: reduction(tf.mean),
  Min: reduction(tf.min),
  Minimum: binary(tf.minimum),
  Multiply: binary(tf.mul),
  Neg: unary(tf.neg),
  NotEqual: comparison(tf.notEqual),
  OneHot: {
    compute: (inputs) => ({
      integers: tf.oneHot(inputs["i"] as tf.Tensor, 3),
      floats: tf.oneHot(inputs["i"] as tf.Tensor, 3, 0.5, -1, "float32"),
      truth: tf.cast(tf.logicalNot(tf.oneHot(inputs["i"] as tf.Tensor, 3, 1, 0, "bool")), "int32"),
      castAfter: tf.cast(tf.oneHot(inputs["i"] as tf.Tensor, 4), "float32"),
    }),
    call: (size) => ({ i: integers(size) }), // some are out of range
    axes: { i: ["rows", null] },
  },
  PadV2: {
    compute: (inputs) => ({
      zeros: tf.pad(x(inputs), [[0, 0], [1, 2]]), // biome-ignore format: a row an axis
      sevens: tf.pad(inputs["i"] as tf.Tensor, [[0, 0], [0, 1]], 7), // biome-ignore format: a row an axis
    }),
    call: (size) => ({ x: spread([size, 3]), i: integers(size) }),
    axes: { ...axes, i: ["rows", null] },
  },
  Pow: binary(tf.pow, positive),
  RealDiv: binary(tf.div),
  Reciprocal: unary(tf.reciprocal),
  Relu: unary(tf.relu),
  Reshape: {
    compute: (inputs) => ({ flat: tf.reshape(x(inputs), [-1]), column: tf.expandDims(x(inputs), 1) }),
    call: (size) => ({ x: spread([size, 3]) }),
    axes,
  },
  Rsqrt: unary(tf.rsqrt, positive),
  Select: {
    compute: (inputs) => ({
      floats: tf.where(tf.greater(x(inputs), 0), x(inputs), y(inputs)),
      integers: tf.where(tf.greater(x(inputs), 0), inputs["i"] as tf.Tensor, 5),
      truth: tf.cast(tf.where(tf.greater(x(inputs), 0), tf.less(y(inputs), 0), tf.less(y(inputs), 1)), "int32"),
    }),
    call: (size) => ({ x: spread([size, 3]), y: spread([size, 3], 9), i: integers(size) }),
    axes: { ...axes, i: ["rows", null] },
  },
  Sigmoid: unary(tf.sigmoid),
  Sign: unary(tf.sign),
  Slice: {
    compute: (inputs) => ({
      columns: tf.slice(x(inputs), [0, 1], [-1, 2]),
      everything: tf.slice(x(inputs), [0, 0], [-1, -1]),
      positions: tf.slice(inputs["table"] as tf.Tensor, [1, 0], [x(inputs).shape[0] as number, -1]),
    }),
    call: (size) => ({ x: spread([size, 3]), table: spread([12, 2]) }),
    axes,
  },
  SoftmaxCrossEntropy: entropy,
  SoftmaxCrossEntropyGradient: entropy,
  Softmax: unary((value) => tf.softmax(value)),
  Sqrt: unary(tf.sqrt, positive),
  Square: unary(tf.square),
  SquaredDifference: binary(tf.squaredDifference),
  Sub: binary(tf.sub),
  Sum: reduction(tf.sum),
  Tanh: unary(tf.tanh),
  Tile: unary((value) => tf.tile(value, [1, 2])),
  Transpose: unary((value) => tf.transpose(value)),
  UnsortedSegmentSum: {
    compute: (inputs) => ({
      rows: tf.unsortedSegmentSum(x(inputs), inputs["ids"] as tf.Tensor1D, 4),
      gathered: tf.grad((table) => tf.square(tf.gather(table, inputs["ids"] as tf.Tensor1D)))(inputs["w"] as tf.Tensor),
    }),
    call: (size) => ({
      x: spread([size, 3]),
      w: spread([4, 2]),
      ids: i32(
        [size],
        Array.from({ length: size }, (_, i) => (i * i) % 3),
      ),
    }),
    axes: { x: ["rows", null], ids: ["rows"] },
  },
};
