// Products in fewer bits: what is rounded, how often, and what WebGPU's operators are written as.

import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { traceEntry } from "../../../src/compile/entry";
import type { Graph } from "../../../src/compile/graph/graph";
import { toOnnx, toOnnxModel } from "../../../src/compile/onnx/onnx";
import { ElementType, type OnnxNode } from "../../../src/compile/onnx/proto";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import type { EntryPoint } from "../../../src/model/entry-point";
import { crossEntropy } from "../../../src/model/losses";
import { dense, gelu, layerNorm } from "../../../src/model/ops";
import type { HostTensors } from "../../../src/model/tensors";
import { expectSame, f32, i32, runGraph, spread } from "../compare";

beforeAll(registerGradients);

/** Two layers that share their weight, a loss, and the gradients of both. */
const step: EntryPoint = (_, inputs) => {
  const { x, weight, bias, labels, weights } = inputs as Record<string, tf.Tensor> & { x: tf.Tensor };
  const objective = (...trained: tf.Tensor[]) => {
    const params = { weight: trained[0] as tf.Tensor2D, bias: trained[1] as tf.Tensor1D };
    const once = layerNorm(gelu(dense(x as tf.Tensor2D, params)), { weight: params.bias, bias: params.bias }, 1e-5);
    const logits = tf.mul(tf.matMul(once, params.weight, false, true), 0.5) as tf.Tensor2D;
    return crossEntropy(logits, labels as tf.Tensor1D, weights as tf.Tensor1D);
  };
  const { value, grads } = tf.valueAndGrads(objective)([weight as tf.Tensor, bias as tf.Tensor]);
  return { outputs: { loss: value, dWeight: grads[0] as tf.Tensor, dBias: grads[1] as tf.Tensor } };
};

const inputs: HostTensors = {
  "input/x": spread([6, 4]),
  "input/weight": spread([4, 4], 5),
  "input/bias": spread([4], 9),
  "input/labels": i32([6], [0, 1, 2, 3, 1, 0]),
  "input/weights": f32([6], [1, 1, 0.5, 1, 1, 0]),
};

const graph = (): Graph => {
  const call = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name.slice("input/".length), tensor]),
  );
  return optimise(traceEntry(step, {}, call, {}).graph);
};

const PRODUCTS: ReadonlySet<string> = new Set(["MatMul", "FusedMatMul", "Gemm"]);
const target = ({ attributes }: OnnxNode) => (attributes["to"] as { int: number } | undefined)?.int;

describe.each(["bfloat16", "float16"] as const)("%s", (products) => {
  const lowered = () => {
    const { nodes } = toOnnxModel(graph(), { products }).graph;
    const narrow = nodes.filter((node) => node.op === "Cast" && target(node) === ElementType[products]);
    const rounded = new Set(narrow.flatMap(({ outputs }) => outputs));
    // Sums over rows are products with ones (lowering.ts), and stay as they are.
    const own = nodes.filter(({ op, inputs: [first] }) => PRODUCTS.has(op) && rounded.has(first as string));
    return { nodes, narrow, rounded, own };
  };

  test("every product of the model reads rounded operands, and nothing else does", () => {
    const { nodes, rounded, own } = lowered();
    const { nodes: whole } = toOnnxModel(graph()).graph;
    const sums = nodes.filter((node) => PRODUCTS.has(node.op) && !own.includes(node));
    expect(own.length).toBeGreaterThanOrEqual(5);
    expect(own.length + sums.length).toBe(whole.filter(({ op }) => PRODUCTS.has(op)).length);
    const made = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
    for (const {
      inputs: [ones],
    } of sums)
      expect(made.get(ones as string)?.op).toBe("Expand");
    for (const node of own) expect(node.inputs.every((name) => rounded.has(name))).toBe(true);
    for (const node of nodes) {
      if (!own.includes(node)) expect(node.inputs.filter((name) => rounded.has(name))).toEqual([]);
    }
  });

  test("what a product gives is cast to float32 and read by nothing before", () => {
    const { nodes, own } = lowered();
    for (const { outputs } of own) {
      const readers = nodes.filter((node) => node.inputs.includes(outputs[0] as string));
      expect(readers.map(({ op }) => op)).toEqual(["Cast"]);
      expect(target(readers[0] as OnnxNode)).toBe(ElementType.float32);
    }
  });

  test("no value is rounded twice, the weight of four products neither", () => {
    const { narrow, own } = lowered();
    const sources = narrow.map(({ inputs: [name] }) => name);
    expect(new Set(sources).size).toBe(sources.length);
    const [cast] = narrow.filter(({ inputs: [name] }) => name === "input/weight");
    const readers = own.filter((node) => node.inputs.includes(cast?.outputs[0] as string));
    expect(readers.length).toBeGreaterThanOrEqual(3);
  });
});

test("a model of float16's products loads and runs, which onnxruntime's CPU computes in float32", async () => {
  const [wanted, found] = [await runGraph(graph(), inputs), await runGraph(graph(), inputs, { products: "float16" })];
  expectSame(found, wanted, 5e-3);
});

test("products in fewer bits of standard operators alone are refused, and for WebGPU, which runs those", () => {
  for (const options of [{ standard: true }, { webgpu: true }]) {
    expect(() => toOnnx(graph(), { ...options, products: "bfloat16" })).toThrow(/bfloat16/);
  }
  expect(() => toOnnx(graph(), { webgpu: true, products: "float32" })).not.toThrow();
});

test("for WebGPU no node is onnxruntime's own or a LogSoftmax, and the values are the same", async () => {
  const { nodes } = toOnnxModel(graph(), { webgpu: true }).graph;
  expect(nodes.filter(({ op, domain }) => domain !== "" || op === "LogSoftmax")).toEqual([]);
  expectSame(await runGraph(graph(), inputs, { webgpu: true }), await runGraph(graph(), inputs), 1e-6);
});

test("for WebGPU a loss stays finite where logits are far apart", async () => {
  const far = {
    ...inputs,
    "input/x": spread([6, 4]),
    "input/weight": f32(
      [4, 4],
      spread([4, 4], 5).data.map((x) => x * 300),
    ),
  };
  const [wanted, found] = [await runGraph(graph(), far), await runGraph(graph(), far, { webgpu: true })];
  expect(found["output/loss"]?.data[0]).toBeGreaterThan(20);
  expectSame(found, wanted, 1e-5);
});
