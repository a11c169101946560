// Lowering for others' runtimes: standard operators that give what onnxruntime's own give, int64 inputs, free names.

import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { type TracedFunction, trace } from "../../../src/compile/graph/trace";
import { toOnnx } from "../../../src/compile/onnx/onnx";
import { ModelProtoSchema, TensorProto_DataType } from "../../../src/compile/onnx/onnx.gen";
import { optimise } from "../../../src/compile/passes/passes";

const ort = require("onnxruntime-node") as typeof import("onnxruntime-node");

const types = {
  a: { shape: [2, 3, 4], dtype: "float32" },
  b: { shape: [2, 3, 4], dtype: "float32" },
} as const;
const feeds = {
  a: new ort.Tensor(
    "float32",
    Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
    [2, 3, 4],
  ),
  b: new ort.Tensor(
    "float32",
    Float32Array.from({ length: 24 }, (_, i) => Math.cos(i)),
    [2, 3, 4],
  ),
};
const valuesOf = (tensor: { data: unknown } | undefined) => [...(tensor as { data: Float32Array }).data];
const nodesOf = (model: Uint8Array) => fromBinary(ModelProtoSchema, model).graph?.node ?? [];

test.each([
  [false, true, 1],
  [true, false, 1],
  [false, true, 0.25],
  [true, false, -3],
])("a product (transposed: %p, %p) times %p", async (transposeA, transposeB, factor) => {
  const compute: TracedFunction = ({ a, b }) => ({
    y: tf.mul(tf.matMul(a as tf.Tensor3D, b as tf.Tensor3D, transposeA, transposeB), factor),
  });
  const graph = optimise(trace(compute, types));
  const models = [toOnnx(graph), toOnnx(graph, { standard: true })] as const;
  expect(nodesOf(models[0]).map(({ domain }) => domain)).toContain("com.microsoft");
  expect(nodesOf(models[1]).map(({ domain }) => domain)).not.toContain("com.microsoft");
  const [ours, standard] = await Promise.all(
    models.map(async (model) => (await (await ort.InferenceSession.create(model)).run(feeds))["y"]),
  );
  expect(standard?.dims).toEqual(ours?.dims);
  const expected = valuesOf(ours);
  for (const [i, value] of valuesOf(standard).entries()) expect(value).toBeCloseTo(expected[i] as number, 6);
});

test("int32 inputs become int64 and are cast; others stay", async () => {
  const graph = trace(({ table, ids }) => ({ rows: tf.gather(table as tf.Tensor2D, ids as tf.Tensor1D) }), {
    table: { shape: [3, 2], dtype: "float32" },
    ids: { shape: [4], dtype: "int32" },
  });
  const model = toOnnx(graph, { wideInputs: true });
  const elements = fromBinary(ModelProtoSchema, model).graph?.input.map(({ name, type }) => [
    name,
    type?.value.case === "tensorType" ? type.value.value.elemType : null,
  ]);
  expect(elements).toEqual([
    ["table", TensorProto_DataType.FLOAT],
    ["ids", TensorProto_DataType.INT64],
  ]);
  const session = await ort.InferenceSession.create(model);
  const { rows } = await session.run({
    table: new ort.Tensor("float32", Float32Array.of(0, 1, 2, 3, 4, 5), [3, 2]),
    ids: new ort.Tensor("int64", BigInt64Array.of(2n, 0n, 1n, 2n), [4]),
  });
  expect(valuesOf(rows)).toEqual([4, 5, 0, 1, 2, 3, 4, 5]);
});

test("values between take no name of an input or output; one name for both is refused", async () => {
  const compute: TracedFunction = ({ v1, v3 }) => ({ v2: tf.add(tf.exp(tf.mul(v1 as tf.Tensor, v3 as tf.Tensor)), 1) });
  const scalar = { shape: [1], dtype: "float32" } as const;
  const model = toOnnx(trace(compute, { v1: scalar, v3: scalar }));
  const names = nodesOf(model).flatMap(({ output }) => output);
  expect(new Set([...names, "v1", "v3"]).size).toBe(names.length + 2);
  const one = new ort.Tensor("float32", Float32Array.of(0), [1]);
  const { v2 } = await (await ort.InferenceSession.create(model)).run({ v1: one, v3: one });
  expect(valuesOf(v2)).toEqual([2]);
  const same = trace(({ x }) => ({ x: tf.exp(x as tf.Tensor) }), { x: scalar });
  expect(() => toOnnx(same)).toThrow(/x is the name of an input and of an output/);
});
