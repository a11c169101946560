// Gradients of sums and means: their values, and that a trace of them makes no array of the operand's size.

import { beforeAll, describe, expect, test } from "@jest/globals";
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { printGraph } from "../../src/compile/graph/graph";
import { trace } from "../../src/compile/graph/trace";
import { registerGradients } from "../../src/engines/eager";
import type { Tensors } from "../../src/model/entry-point";
import { expectSame, f32, onCpu, spread } from "../compile/compare";

const reductions = {
  "a sum over the last axis": (x: Tensor) => tf.sum(x, -1),
  "a sum over two axes, kept": (x: Tensor) => tf.sum(x, [0, 2], true),
  "a sum of all": (x: Tensor) => tf.sum(x),
  "a mean over the first axis": (x: Tensor) => tf.mean(x, 0),
  "a mean over two axes": (x: Tensor) => tf.mean(x, [1, 2]),
  "a mean of all": (x: Tensor) => tf.mean(x),
} satisfies Record<string, (x: Tensor) => Tensor>;

/** Of the sum of squares of what a reduction gives: 2 y at each element that went into y. */
const gradientOf = (reduce: (x: Tensor) => Tensor) => (inputs: Tensors) => ({
  gradient: tf.grad((x: Tensor) => tf.sum(tf.square(reduce(x))) as Scalar)(inputs["x"] as Tensor),
});

const shape = [2, 3, 4];

beforeAll(registerGradients);

describe.each(Object.entries(reductions))("%s", (_, reduce) => {
  test("has the gradient of finite differences", async () => {
    const { data } = spread(shape);
    const value = async (values: Float32Array) =>
      (await onCpu(({ x }) => ({ y: tf.sum(tf.square(reduce(x as Tensor))) }), { x: f32(shape, values) }))["y"]
        ?.data[0] as number;
    const step = 2 ** -6; // the sum of squares is quadratic, so the difference is exact but for rounding
    const differences: number[] = [];
    for (const i of data.keys()) {
      const moved = (by: number) =>
        value(Float32Array.from(data, (element, at) => (at === i ? element + by : element)));
      differences.push(((await moved(step)) - (await moved(-step))) / (2 * step));
    }
    const { gradient } = await onCpu(gradientOf(reduce), { x: spread(shape) });
    expectSame({ gradient: gradient as never }, { gradient: f32(shape, differences) }, 1e-3);
  });

  test("traces at a size that no array has", () => {
    const huge = { x: { shape: [1e5, 1e5, 1e5], dtype: "float32" as const } };
    expect(printGraph(trace(gradientOf(reduce), huge))).toMatch(/Fill\(\) shape=\[100000,100000,100000\] value=1/);
  });
});
