// Names of a graph's nodes: by the weights that they read, and by what they lie between.

import { expect, test } from "@jest/globals";
import type { OnnxGraph, OnnxNode } from "../../../src/compile/onnx/proto";
import { nameNodes } from "../../../src/export/onnx/node-names";

const node = (op: string, inputs: string[], outputs: string[]): OnnxNode => ({
  op,
  domain: "",
  inputs,
  outputs,
  attributes: {},
});
const layer = "bert.encoder.layer.3";
const weights = [
  `${layer}.attention.self.query.weight`,
  `${layer}.attention.self.key.weight`,
  `${layer}.attention.output.dense.weight`,
  "task/rte/bert.encoder.layer.4.output.dense.weight",
  "task/rte/classifier.weight",
  "float32(0.125)",
];

const graph: OnnxGraph = {
  name: "flexbert",
  nodes: [
    node("Cast", ["input_ids"], ["v1"]),
    node("MatMul", ["v1", weights[0] as string], ["v2"]),
    node("MatMul", ["v1", weights[1] as string], ["v3"]),
    node("MatMul", ["v2", "v3"], ["v4"]),
    node("Mul", ["v4", "float32(0.125)"], ["v5"]),
    node("Softmax", ["v5"], ["v6"]),
    node("Gemm", ["v6", weights[2] as string], ["v7"]),
    node("Reshape", ["v7", "v1"], ["v8"]),
    node("Gemm", ["v8", weights[3] as string], ["v9"]),
    node("Add", ["v9", "v8"], ["v10"]),
    node("MatMul", ["v10", weights[4] as string], ["rte"]),
  ],
  initializers: weights.map((name) => ({ name, type: 1, dims: [1], bytes: new Uint8Array(4) })),
  inputs: [{ name: "input_ids", type: 7, dims: ["batch", "length"] }],
  outputs: [{ name: "rte", type: 1, dims: ["batch", 2] }],
};

test("a node is called by the module of its weight, or by what its inputs have in common", () => {
  const named = nameNodes(graph, ["rte"]);
  expect(named.nodes.map(({ name }) => name)).toEqual([
    "inputs/Cast",
    "trunk/layer_03/attention/query",
    "trunk/layer_03/attention/key",
    "trunk/layer_03/attention/MatMul",
    "trunk/layer_03/attention/Mul",
    "trunk/layer_03/attention/Softmax",
    "trunk/layer_03/attention/output/dense",
    "trunk/layer_03/attention/output/dense/Reshape",
    "rte/layer_04/output/dense",
    "rte/layer_04/output/dense/Add",
    "rte/classifier",
  ]);
  expect(named.nodes.at(-1)?.outputs).toEqual(["rte"]);
  expect(named.nodes[3]?.inputs).toEqual([
    "trunk/layer_03/attention/query/output",
    "trunk/layer_03/attention/key/output",
  ]);
  expect(named.initializers).toEqual(graph.initializers);
});

test("the graph is the same but for the names: every input is made before it is read, and no name is twice", () => {
  const { nodes, inputs, initializers } = nameNodes(graph, ["rte"]);
  const made = new Set([...inputs, ...initializers].map(({ name }) => name));
  for (const { inputs: read, outputs } of nodes) {
    expect(read.filter((name) => !made.has(name))).toEqual([]);
    for (const name of outputs) {
      expect(made.has(name)).toBe(false);
      made.add(name);
    }
  }
  expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
});

test("a task whose name is another value's is kept apart", () => {
  const clash = { ...graph, outputs: [{ name: "trunk/layer_03/attention/query/output", type: 1, dims: [1] }] } as const;
  const nodes = clash.nodes.map((each) =>
    each.outputs[0] === "rte" ? { ...each, outputs: ["trunk/layer_03/attention/query/output"] } : each,
  );
  const named = nameNodes({ ...clash, nodes }, ["rte"]);
  expect(named.nodes[1]?.outputs).toEqual(["trunk/layer_03/attention/query/output_2"]);
});
