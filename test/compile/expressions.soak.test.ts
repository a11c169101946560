// Any expression of the model's ops, and its gradient, compiled once for every size, against tfjs's cpu backend.

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import type { Engine } from "../../src/engines/engine";
import { gelu } from "../../src/model/ops";
import type { HostTensors } from "../../src/model/tensors";
import { soak } from "../soak";
import { type Compute, compiled, expectSame, onCpu, openOnnxEngine, spread } from "./compare";

let engine: Engine;
beforeAll(async () => {
  engine = await openOnnxEngine();
});
afterAll(() => engine.dispose());

type Binary = (x: tf.Tensor, y: tf.Tensor) => tf.Tensor;

interface Expression {
  /** What fast-check shows of it. */
  readonly text: string;
  readonly of: Binary;
}

/** [rows, 3] to the same, within a few units of zero, so that no difference of large numbers hides or makes an error. */
const unary: readonly ((x: tf.Tensor) => tf.Tensor)[] = [
  tf.neg,
  tf.tanh,
  tf.sigmoid,
  tf.erf,
  gelu,
  (x) => tf.exp(tf.tanh(x)),
  (x) => tf.log(tf.add(tf.square(tf.tanh(x)), 1)),
  (x) => tf.sqrt(tf.add(tf.square(tf.tanh(x)), 0.5)),
  (x) => tf.rsqrt(tf.add(tf.square(tf.tanh(x)), 0.5)),
  (x) => tf.softmax(x),
  (x) => tf.mul(x, 0.7),
  (x) => tf.sub(x, tf.mean(x, 1, true)),
  (x) => tf.tanh(tf.add(x, tf.sum(x, 1, true))),
  (x) => tf.reshape(tf.transpose(tf.reshape(x, [-1, 3, 1]), [0, 2, 1]), [-1, 3]),
  (x) => tf.tanh(tf.matMul(x as tf.Tensor2D, tf.tensor2d([0.5, -1, 0.25, 1, 0.5, -0.5, -0.25, 0.75, 1], [3, 3]))),
  (x) =>
    tf.pad(tf.slice(x, [0, 1], [-1, 2]), [
      [0, 0],
      [1, 0],
    ]),
];
const binary: readonly Binary[] = [
  (x, y) => tf.mul(tf.add(x, y), 0.5),
  (x, y) => tf.mul(tf.sub(x, y), 0.5),
  (x, y) => tf.tanh(tf.mul(x, y)),
  (x, y) => tf.div(x, tf.add(tf.square(tf.tanh(y)), 1)),
];

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<Expression[]>({ text: "x", of: (x) => x }, { text: "y", of: (_, y) => y }),
    fc.tuple(fc.constantFrom(...unary), tie("expression")).map(([op, a]) => ({
      text: `(${op})(${a.text})`,
      of: (x: tf.Tensor, y: tf.Tensor) => op(a.of(x, y)),
    })),
    fc.tuple(fc.constantFrom(...binary), tie("expression"), tie("expression")).map(([op, a, b]) => ({
      text: `(${op})(${a.text}, ${b.text})`,
      of: (x: tf.Tensor, y: tf.Tensor) => op(a.of(x, y), b.of(x, y)),
    })),
  ),
}));

const call = (size: number): HostTensors => ({ x: spread([size, 3]), y: spread([size, 3], 40) });
const axes = { x: ["rows", null], y: ["rows", null] } as const;

test("computes what tfjs does, with its gradient, for every size of one graph", () => {
  const property = fc.asyncProperty(expression, async ({ of }) => {
    const compute: Compute = (inputs) => {
      const [x, y] = [inputs["x"] as tf.Tensor, inputs["y"] as tf.Tensor];
      // The product, because a gradient must lead to both.
      const total = (one: tf.Tensor, other: tf.Tensor) =>
        tf.sum(tf.add(of(one, other), tf.mul(one, other))) as tf.Scalar;
      const [dx, dy] = tf.grads(total)([x, y]) as [tf.Tensor, tf.Tensor];
      return { z: of(x, y), dx, dy };
    };
    const sizes = [4, 1, 7];
    const { outputs, graphs } = await compiled(engine, compute, sizes.map(call), axes);
    for (const [i, size] of sizes.entries()) {
      expectSame(outputs[i] as HostTensors, await onCpu(compute, call(size)), 1e-4);
    }
    expect(graphs).toBe(1);
  });
  return soak(property, 150);
});
