// Corner cases of values and dtypes: NaN, infinities, zeros of both signs, integers at their ends, against tfjs.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../src/engines/engine";
import type { Tensors } from "../../src/model/entry-point";
import type { HostTensors } from "../../src/model/tensors";
import { type Compute, compiled, expectSame, f32, i32, onCpu, openOnnxEngine } from "./compare";

let engine: Engine;
beforeAll(async () => {
  engine = await openOnnxEngine();
});
afterAll(() => engine.dispose());

const x = (inputs: Tensors) => inputs["x"] as tf.Tensor;
const y = (inputs: Tensors) => inputs["y"] as tf.Tensor;

async function expectLikeTfjs(compute: Compute, inputs: HostTensors, tolerance?: number): Promise<HostTensors> {
  const expected = await onCpu(compute, inputs);
  const { outputs } = await compiled(engine, compute, [inputs]);
  expectSame(outputs[0] as HostTensors, expected, tolerance);
  return outputs[0] as HostTensors;
}

const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-40, -1.5, 2];

const unary = {
  abs: tf.abs,
  exp: tf.exp,
  neg: tf.neg,
  relu: tf.relu,
  sqrt: tf.sqrt,
  square: tf.square,
  tanh: tf.tanh,
  sigmoid: tf.sigmoid,
  reciprocal: tf.reciprocal,
  erf: tf.erf,
  log: tf.log,
  rsqrt: tf.rsqrt,
};
test.each(Object.keys(unary) as (keyof typeof unary)[])("%s of NaN, infinities and zeros", async (name) => {
  await expectLikeTfjs((inputs) => ({ z: unary[name](x(inputs)) }), { x: f32([8], odd) });
});

const binary = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  pow: tf.pow,
};
test.each(Object.keys(binary) as (keyof typeof binary)[])("%s of each two of them", async (name) => {
  await expectLikeTfjs((inputs) => ({ z: binary[name](x(inputs), y(inputs)) }), {
    x: f32([8, 1], odd),
    y: f32([8], odd),
  });
});

const compare = {
  equal: tf.equal,
  notEqual: tf.notEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
};
test.each(Object.keys(compare) as (keyof typeof compare)[])("%s of each two of them", async (name) => {
  const compute: Compute = (inputs) => ({ z: tf.cast(compare[name](x(inputs), y(inputs)), "int32") });
  await expectLikeTfjs(compute, { x: f32([8, 1], odd), y: f32([8], odd) });
});

// Not max and min: onnxruntime's pass over NaN (docs/decisions.md).
const reductions = { sum: tf.sum, mean: tf.mean };
test.each(Object.keys(reductions) as (keyof typeof reductions)[])("%s of a row with a NaN is NaN", async (name) => {
  const rows = f32([4, 3], [Number.NaN, 1, 2, 1, Number.NaN, 2, 1, 2, Number.NaN, 3, 1, 2]);
  const compute: Compute = (inputs) => ({
    rows: reductions[name](x(inputs), 1),
    columns: reductions[name](x(inputs), 0),
    all: reductions[name](x(inputs)),
  });
  await expectLikeTfjs(compute, { x: rows });
});

test("casts from float truncate towards zero, and bools are what is not zero", async () => {
  const values = [2.7, -2.7, 0.5, -0.5, 0, -0, 1e9, -1e9, 16_777_217];
  await expectLikeTfjs(
    (inputs) => ({
      integers: tf.cast(x(inputs), "int32"),
      bools: tf.cast(tf.cast(x(inputs), "bool"), "int32"),
      back: tf.cast(tf.cast(x(inputs), "int32"), "float32"),
    }),
    { x: f32([9], values) },
  );
});

test.each([0.5, 2, -3, 0, -0])("casts of the constant %p through bool, folded or not", async (value) => {
  await expectLikeTfjs(
    (inputs) => ({
      scalar: tf.mul(tf.cast(tf.cast(tf.scalar(value), "bool"), "float32"), x(inputs)),
      filled: tf.cast(tf.cast(tf.mul(tf.onesLike(x(inputs)), value), "bool"), "int32"),
      chosen: tf.where(tf.cast(tf.scalar(value), "bool"), x(inputs), tf.neg(x(inputs))),
      truncated: tf.cast(tf.cast(tf.scalar(value), "int32"), "float32"),
    }),
    { x: f32([2], [3, 4]) },
  );
});

test("a constant of -0 is not the constant 0", async () => {
  const outputs = await expectLikeTfjs(
    (inputs) => ({
      positive: tf.div(x(inputs), tf.mul(tf.zerosLike(x(inputs)), 1)),
      negative: tf.div(x(inputs), tf.scalar(-0)),
      mixed: tf.div(x(inputs), tf.tensor1d([0, -0])),
    }),
    { x: f32([2], [1, 2]) },
  );
  expect([...(outputs["negative"]?.data ?? [])]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  expect([...(outputs["mixed"]?.data ?? [])]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
});

test("constants with NaN and infinities", async () => {
  await expectLikeTfjs(
    (inputs) => ({
      scalar: tf.maximum(x(inputs), Number.NaN),
      filled: tf.add(tf.fill([2], Number.NaN), x(inputs)),
      least: tf.minimum(x(inputs), Number.NEGATIVE_INFINITY),
      listed: tf.add(x(inputs), tf.tensor1d([Number.NaN, Number.POSITIVE_INFINITY])),
      padded: tf.pad(x(inputs), [[0, 1]], Number.NaN),
    }),
    { x: f32([2], [1, 2]) },
  );
});

test("integers: sums of bools, products, powers, negatives", async () => {
  const [a, b] = [i32([6], [-7, 7, -1, 0, 3, 2]), i32([6], [3, 3, 5, 2, 0, 3])];
  await expectLikeTfjs(
    (inputs) => ({
      positives: tf.sum(tf.greater(x(inputs), 0)),
      share: tf.mean(tf.cast(tf.greater(x(inputs), 0), "float32")),
      meanOfIntegers: tf.mean(x(inputs)),
      product: tf.mul(x(inputs), y(inputs)),
      power: tf.pow(x(inputs), y(inputs)),
      quotient: tf.div(tf.cast(x(inputs), "float32"), tf.cast(y(inputs), "float32")),
      mixed: tf.add(x(inputs), 0.5),
      greatest: tf.maximum(x(inputs), y(inputs)),
      negated: tf.neg(x(inputs)),
      absolute: tf.abs(x(inputs)),
      sign: tf.sign(x(inputs)),
      rectified: tf.relu(x(inputs)),
      square: tf.square(x(inputs)),
      difference: tf.squaredDifference(x(inputs), y(inputs)),
      most: tf.max(x(inputs)),
      least: tf.min(x(inputs)),
      repeated: tf.tile(x(inputs), [2]),
      padded: tf.pad(x(inputs), [[1, 1]], -9),
      doubled: tf.mul(tf.mul(x(inputs), tf.scalar(2, "int32")), tf.scalar(3, "int32")),
    }),
    { x: a, y: b },
  );
});

test("integer products", async () => {
  const [a, b] = [i32([2, 3], [1, -2, 3, 4, 5, -6]), i32([3, 2], [1, 2, 3, 4, 5, 6])];
  await expectLikeTfjs(
    (inputs) => ({
      plain: tf.matMul(x(inputs), y(inputs)),
      transposed: tf.matMul(x(inputs), x(inputs), false, true),
      scaled: tf.mul(tf.matMul(x(inputs), y(inputs)), tf.scalar(2, "int32")),
      biased: tf.add(tf.matMul(x(inputs), y(inputs)), tf.tensor1d([10, 20], "int32")),
    }),
    { x: a, y: b },
  );
});

test("constants of integers fold as integers wrap", async () => {
  await expectLikeTfjs(
    (inputs) => ({
      sum: tf.add(x(inputs), tf.add(tf.scalar(2 ** 30, "int32"), tf.scalar(2 ** 30, "int32"))),
      product: tf.add(x(inputs), tf.mul(tf.scalar(123_456_789, "int32"), tf.scalar(1_000_003, "int32"))),
    }),
    { x: i32([2], [0, 1]) },
  );
});

test("scalar factors that overflow or underflow together are not merged", async () => {
  await expectLikeTfjs(
    (inputs) => ({
      small: tf.mul(tf.mul(x(inputs), 1e-30), 1e-30),
      large: tf.mul(tf.mul(x(inputs), 1e30), 1e30),
      both: tf.mul(tf.mul(x(inputs), 1e30), 1e-30),
      none: tf.mul(tf.mul(x(inputs), 0), 5),
    }),
    { x: f32([2, 2], [1e30, 1e-30, 1, 2]) },
  );
});

test("gather at the ends, and beyond them an error", async () => {
  const compute: Compute = (inputs) => ({ rows: tf.gather(x(inputs), y(inputs) as tf.Tensor1D) });
  const table = f32([3, 2], [1, 2, 3, 4, 5, 6]);
  await expectLikeTfjs(compute, { x: table, y: i32([3], [2, 0, 2]) });
  await expect(compiled(engine, compute, [{ x: table, y: i32([1], [3]) }])).rejects.toThrow(
    /out of data bounds|out of/i,
  );
});

test("tensors without elements", async () => {
  const compute: Compute = (inputs) => ({
    same: tf.relu(x(inputs)),
    turned: tf.reshape(x(inputs), [3, 0]),
    total: tf.sum(x(inputs)),
    product: tf.matMul(x(inputs), tf.ones([3, 2])),
    joined: tf.concat([x(inputs), tf.ones([1, 3])], 0),
    inner: tf.matMul(x(inputs), x(inputs), true),
  });
  await expectLikeTfjs(compute, { x: f32([0, 3], []) });
});

test("softmax and layer statistics of extreme rows", async () => {
  await expectLikeTfjs(
    (inputs) => ({ softmax: tf.softmax(x(inputs)), mean: tf.mean(x(inputs), 1), most: tf.max(x(inputs), 1) }),
    { x: f32([4, 3], [1e4, -1e4, 0, -1e9, -1e9, -1e9, Number.NEGATIVE_INFINITY, 0, 1, 80, 80.5, 79]) },
  );
});
