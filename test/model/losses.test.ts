// Losses against values worked out in double precision, with filler rows that must not count.

import { expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { crossEntropy, meanSquaredError, softTargetLoss } from "../../src/model/losses";
import { describeEachEngine } from "../engines/engines";

const student = [
  [1, -2, 0.5],
  [0.1, 0.2, 3],
  [9, 9, 9],
];
const teacher = [
  [2, -1, 0],
  [-1, 0.5, 1],
  [5, -5, 0],
];
const labels = [0, 2, 1];
const weights = [1, 1, 0];

const logSoftmax = (row: number[], temperature = 1) => {
  const sum = row.reduce((total, value) => total + Math.exp(value / temperature), 0);
  return row.map((value) => value / temperature - Math.log(sum));
};
const value = (scalar: tf.Scalar) => scalar.dataSync()[0] as number;

describeEachEngine("losses", (open) => {
  test("cross-entropy is the mean over real rows", async () => {
    await open();
    const expected =
      -((logSoftmax(student[0] as number[])[0] as number) + (logSoftmax(student[1] as number[])[2] as number)) / 2;
    const actual = tf.tidy(() =>
      value(crossEntropy(tf.tensor2d(student), tf.tensor1d(labels, "int32"), tf.tensor1d(weights))),
    );
    expect(actual).toBeCloseTo(expected, 5);
  });

  test("soft targets: T^2 KL(teacher || student), and 0 for equal logits", async () => {
    await open();
    const divergence = (row: number) => {
      const p = logSoftmax(teacher[row] as number[], 2);
      const q = logSoftmax(student[row] as number[], 2);
      return p.reduce((sum, log, i) => sum + Math.exp(log) * (log - (q[i] as number)), 0);
    };
    const expected = (4 * (divergence(0) + divergence(1))) / 2;
    tf.tidy(() => {
      const real = tf.tensor1d(weights);
      expect(value(softTargetLoss(tf.tensor2d(student), tf.tensor2d(teacher), real, 2))).toBeCloseTo(expected, 5);
      expect(value(softTargetLoss(tf.tensor2d(student), tf.tensor2d(student), real, 2))).toBeCloseTo(0, 6);
    });
  });

  test("squared error of a regression", async () => {
    await open();
    tf.tidy(() => {
      const outputs = tf.tensor2d([[1], [2], [100]]);
      expect(value(meanSquaredError(outputs, tf.tensor1d([0, 4, 0]), tf.tensor1d(weights)))).toBeCloseTo(2.5, 6);
    });
  });
});
