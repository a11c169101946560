// Rows stay rows from product to product: the same values from fewer nodes, and nothing moved that reads other axes.

import { expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { type Graph, only } from "../../../src/compile/graph/graph";
import { type TracedFunction, trace } from "../../../src/compile/graph/trace";
import { toOnnx } from "../../../src/compile/onnx/onnx";
import { flattenRows } from "../../../src/compile/passes/flatten";
import { optimise } from "../../../src/compile/passes/passes";
import { dense, gelu, layerNorm } from "../../../src/model/ops";
import { normals } from "../../../src/random/draws";
import { seedKey } from "../../../src/random/threefry";

const ort = require("onnxruntime-node") as typeof import("onnxruntime-node");
const [BATCH, LENGTH, WIDTH] = [2, 3, 4];
const shapes = { x: [BATCH, LENGTH, WIDTH], weight: [WIDTH, WIDTH], vector: [WIDTH] } as const;
const types = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => [name, { shape: [...shape], dtype: "float32" as const }]),
);

async function run(graph: Graph): Promise<number[]> {
  const session = await ort.InferenceSession.create(toOnnx(graph));
  const feeds = Object.fromEntries(
    [...graph.inputs].map(([name, { shape }], i) => {
      const values = normals(
        seedKey(i + 1),
        shape.reduce((all, size) => all * size, 1),
        1,
      );
      return [name, new ort.Tensor("float32", values, [...shape])];
    }),
  );
  const { y } = (await session.run(feeds)) as { y: import("onnxruntime-node").Tensor };
  return [...(y.data as Float32Array)];
}

const reshapes = ({ nodes }: Graph) => nodes.filter(({ op }) => op === "Reshape").length;

test("a layer's products, GELU, residual connection and norm need one reshape in and one out", async () => {
  const compute: TracedFunction = ({ x, weight, vector }) => {
    const params = { weight: weight as tf.Tensor2D, bias: vector as tf.Tensor1D };
    const inner = dense(gelu(dense(x as tf.Tensor3D, params)), params);
    const norm = { weight: params.bias, bias: params.bias };
    return { y: layerNorm(tf.add(inner, x as tf.Tensor3D) as tf.Tensor3D, norm, 1e-5) };
  };
  const graph = optimise(trace(compute, types));
  const flat = flattenRows(graph);
  expect(reshapes(graph)).toBeGreaterThan(3);
  expect(reshapes(flat)).toBe(2);
  const wide = flat.nodes.filter((node) => node.op !== "Reshape" && (node.outputs[0]?.shape.length ?? 0) > 2);
  expect(wide).toEqual([]);
  expect(await run(flat)).toEqual(await run(graph));
});

test("a softmax and a sum over the length keep their axes", async () => {
  const compute: TracedFunction = ({ x, weight, vector }) => {
    const rows = dense(x as tf.Tensor3D, { weight: weight as tf.Tensor2D, bias: vector as tf.Tensor1D });
    return { y: tf.add(tf.softmax(rows), tf.sum(rows, 1, true)) };
  };
  const graph = optimise(trace(compute, types));
  const flat = flattenRows(graph);
  expect(await run(flat)).toEqual(await run(graph));
  expect(only(flat.nodes.find(({ op }) => op === "Softmax") as (typeof flat.nodes)[number]).shape).toHaveLength(3);
});
