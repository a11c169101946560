// Layer norm and GELU have gradients of their own: each is held to tfjs's gradient of the composed form.

import { expect, test } from "@jest/globals";
import "@tensorflow/tfjs"; // a backend for the values that are made here: the onnx engine opens without one
import * as tf from "@tensorflow/tfjs-core";
import { gelu, layerNorm } from "../../src/model/ops";
import { normals } from "../../src/random/draws";
import { describeEachEngine } from "../engines/engines";

const draw = (id: number, shape: number[], deviation = 1) =>
  tf.tensor(
    normals(
      { high: 7, low: id },
      shape.reduce((a, b) => a * b, 1),
      deviation,
    ),
    shape,
  );

function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance: number) {
  expect(actual.shape).toEqual(expected.shape);
  const difference = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0] as number;
  expect(difference).toBeLessThan(tolerance);
}

describeEachEngine("gradients", (open) => {
  test("of layer norm equal those of its composed form", async () => {
    await open();
    tf.tidy(() => {
      const [x, weight, bias, dy] = [draw(1, [2, 3, 16], 3), draw(2, [16]), draw(3, [16]), draw(4, [2, 3, 16])];
      const composed = (input: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => {
        const { mean, variance } = tf.moments(input, -1, true);
        return tf.add(tf.mul(tf.div(tf.sub(input, mean), tf.sqrt(tf.add(variance, 1e-12))), gamma), beta);
      };
      const ours = (input: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
        layerNorm(input as tf.Tensor3D, { weight: gamma as tf.Tensor1D, bias: beta as tf.Tensor1D }, 1e-12);
      expectClose(ours(x, weight, bias), composed(x, weight, bias), 1e-5);
      const expected = tf.grads(composed)([x, weight, bias], dy);
      for (const [i, gradient] of tf.grads(ours)([x, weight, bias], dy).entries()) {
        expectClose(gradient, expected[i] as tf.Tensor, 1e-4);
      }
    });
  });

  test("of GELU equal those of its composed form, in the tails too", async () => {
    await open();
    tf.tidy(() => {
      const x = tf.concat([draw(5, [64], 2), tf.tensor1d([-30, -6, -1e-4, 0, 1e-4, 6, 30])]);
      const composed = (input: tf.Tensor) => tf.mul(tf.mul(input, 0.5), tf.add(tf.erf(tf.div(input, Math.SQRT2)), 1));
      expectClose(gelu(x), composed(x), 1e-6);
      expectClose(tf.grad((input) => gelu(input))(x), tf.grad(composed)(x), 1e-5);
    });
  });

  test("of GELU and layer norm leave no tensor behind", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    tf.tidy(() => {
      const x = draw(6, [1, 2, 8]);
      tf.grad((input) => gelu(layerNorm(input as tf.Tensor3D, { weight: tf.ones([8]), bias: tf.zeros([8]) }, 1e-12)))(
        x,
      );
    });
    expect(engine.tensorCount()).toBe(before);
  });
});
