// The order of nodes in a model, which decides when onnxruntime computes what.

import { expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { trace } from "../../../src/compile/graph/trace";
import { toOnnxModel } from "../../../src/compile/onnx/onnx";
import { optimise } from "../../../src/compile/passes/passes";

const type = { shape: [3, 3], dtype: "float32" } as const;

test("what no other node needs comes last, the first of the trace at the very end", () => {
  const graph = trace(
    ({ x, w }) => {
      const first = tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
      const second = tf.matMul(first, w as tf.Tensor2D);
      return { early: tf.exp(first), late: tf.exp(second), last: tf.sigmoid(second) };
    },
    { x: type, w: type },
  );
  const { nodes } = toOnnxModel(optimise(graph)).graph;
  expect(nodes.map(({ op }) => op)).toEqual(["MatMul", "MatMul", "Sigmoid", "Exp", "Exp"]);
  expect(nodes.slice(-3).map(({ outputs }) => outputs[0])).toEqual(["last", "late", "early"]);
});

test("a node that needs the inputs alone stands before those that need much, whatever the trace's order", () => {
  const graph = trace(
    ({ x, w }) => {
      const deep = tf.matMul(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), w as tf.Tensor2D);
      return { y: tf.add(deep, tf.exp(x as tf.Tensor)) };
    },
    { x: type, w: type },
  );
  const { nodes } = toOnnxModel(optimise(graph)).graph;
  expect(nodes.map(({ op }) => op)).toEqual(["MatMul", "Exp", "MatMul", "Add"]);
});

test("a node is as deep as the deepest of its inputs, whichever comes last", () => {
  const graph = trace(
    ({ x }) => {
      const deep = tf.exp(tf.exp(tf.exp(x as tf.Tensor)));
      return { y: tf.sigmoid(tf.add(deep, tf.tanh(x as tf.Tensor))) };
    },
    { x: type },
  );
  const { nodes } = toOnnxModel(optimise(graph)).graph;
  expect(nodes.map(({ op }) => op)).toEqual(["Exp", "Tanh", "Exp", "Exp", "Add", "Sigmoid"]);
});
