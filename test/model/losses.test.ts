// Losses against values worked out in double precision, with filler rows that must not count.

import { expect, test } from "@jest/globals";
import "@tensorflow/tfjs"; // a backend for the values that are made here: the onnx engine opens without one
import * as tf from "@tensorflow/tfjs-core";
import {
  binaryCrossEntropy,
  binarySoftTargetLoss,
  crossEntropy,
  meanSquaredError,
  softTargetLoss,
} from "../../src/model/losses";
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

  test("binary cross-entropy is the mean over labels and real rows, finite for any logit", async () => {
    await open();
    const targets = [
      [1, 0, 1],
      [0, 0, 1],
      [1, 1, 1],
    ];
    const of = (z: number, y: number) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0) - z * y;
    const rows = [0, 1].map((row) => (student[row] as number[]).map((z, i) => of(z, targets[row]?.[i] as number)));
    const expected = rows.flat().reduce((sum, value) => sum + value, 0) / 6;
    tf.tidy(() => {
      const real = tf.tensor1d(weights);
      expect(value(binaryCrossEntropy(tf.tensor2d(student), tf.tensor2d(targets), real))).toBeCloseTo(expected, 5);
      const far = tf.tensor2d([[1e4, -1e4, 0]]);
      const loss = (z: tf.Tensor) => binaryCrossEntropy(z as tf.Tensor2D, tf.tensor2d([[0, 0, 1]]), tf.tensor1d([1]));
      expect(value(loss(far))).toBeCloseTo((1e4 + Math.LN2) / 3, 1);
      const gradient = Array.from(tf.grad(loss)(far).dataSync());
      for (const [i, wanted] of [1 / 3, 0, -0.5 / 3].entries()) expect(gradient[i]).toBeCloseTo(wanted, 6);
    });
  });

  test("soft targets of each label: T^2 KL of two Bernoullis, and 0 for equal logits", async () => {
    await open();
    const probability = (z: number) => 1 / (1 + Math.exp(-z / 2));
    const divergence = (row: number) =>
      (teacher[row] as number[]).reduce((sum, z, i) => {
        const [p, q] = [probability(z), probability(student[row]?.[i] as number)];
        return sum + p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
      }, 0) / 3;
    const expected = (4 * (divergence(0) + divergence(1))) / 2;
    tf.tidy(() => {
      const real = tf.tensor1d(weights);
      const loss = (z: number[][]) => value(binarySoftTargetLoss(tf.tensor2d(z), tf.tensor2d(teacher), real, 2));
      expect(loss(student)).toBeCloseTo(expected, 5);
      expect(loss(teacher)).toBeCloseTo(0, 6);
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
