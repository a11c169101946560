// What the backward pass computes again instead of keeping it.

import { beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { only } from "../../../src/compile/graph/graph";
import { trace } from "../../../src/compile/graph/trace";
import { fuseProducts } from "../../../src/compile/passes/products";
import { recomputeGelu } from "../../../src/compile/passes/recompute";
import { simplify } from "../../../src/compile/passes/simplify";
import { registerGradients } from "../../../src/engines/eager";
import { gelu } from "../../../src/model/ops";

beforeAll(registerGradients);

const type = { shape: [2, 3, 3], dtype: "float32" } as const;
const weight = { shape: [3, 3], dtype: "float32" } as const;

/** Two layers, as an encoder has them: a product, GELU, a product. */
const step = ({ x, a, b }: Record<string, tf.Tensor>) => {
  const layer = (h: tf.Tensor) => {
    const wide = gelu(tf.reshape(tf.matMul(tf.reshape(h, [6, 3]), a as tf.Tensor2D), [2, 3, 3]));
    return tf.reshape(tf.matMul(tf.reshape(wide, [6, 3]), b as tf.Tensor2D), [2, 3, 3]);
  };
  const { value, grads } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
    [a, b] = weights;
    return tf.sum(layer(layer(x as tf.Tensor)));
  })([a as tf.Tensor, b as tf.Tensor]);
  return { loss: value, da: grads[0] as tf.Tensor, db: grads[1] as tf.Tensor };
};

test("after the loss nobody reads GELU's output: its gradient gives it again", () => {
  const before = fuseProducts(simplify(trace(step, { x: type, a: weight, b: weight })));
  const after = recomputeGelu(before);
  const laterUsers = (graph: typeof before) => {
    const gradients = graph.nodes.map(({ op }) => op);
    const firstGradient = gradients.indexOf("GeluGradient");
    const outputs = new Set(graph.nodes.filter(({ op }) => op === "Gelu").map((node) => only(node).id));
    for (const node of graph.nodes.filter(({ op }) => op === "Reshape")) {
      if (outputs.has(node.inputs[0]?.id as number)) outputs.add(only(node).id);
    }
    const products = graph.nodes.filter(({ op, attributes }) => op === "BatchMatMul" && attributes["transposeA"]);
    expect(firstGradient).toBeGreaterThan(0);
    return products.filter(({ inputs }) => inputs.some(({ id }) => outputs.has(id))).length;
  };
  expect(laterUsers(before)).toBe(2);
  expect(laterUsers(after)).toBe(0);
  const gradients = after.nodes.filter(({ op }) => op === "GeluGradient");
  expect(gradients.map(({ outputs }) => outputs.length)).toEqual([2, 2]);
});

test("every value is made before it is used", () => {
  const { nodes, inputs } = recomputeGelu(fuseProducts(simplify(trace(step, { x: type, a: weight, b: weight }))));
  const known = new Set([...inputs.values()].map(({ id }) => id));
  for (const node of nodes) {
    for (const { id } of node.inputs) expect(known.has(id)).toBe(true);
    for (const { id } of node.outputs) known.add(id);
  }
});

test("without a gradient nothing changes", () => {
  const graph = simplify(trace(({ x }) => ({ y: gelu(x as tf.Tensor) }), { x: type }));
  expect(recomputeGelu(graph)).toBe(graph);
});
