// Inputs that cross to a device as bits: each element is what its bit says, at every size.

import { beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { inputPrefix, prefixed, traceEntry } from "../../../src/compile/entry";
import { toOnnxModel } from "../../../src/compile/onnx/onnx";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import type { DynamicAxes, EntryPoint } from "../../../src/model/entry-point";
import { bitTensor, float32, type HostTensor, type HostTensors, sizeOf } from "../../../src/model/tensors";
import { expectSame, runGraph, spread } from "../compare";

beforeAll(registerGradients);

/** A tensor of 0 and `value` in no pattern of eight, which knows its bits. */
function scattered(shape: readonly number[], value: number, from = 0): HostTensor {
  const isSet = (i: number) => ((i + from) * 2654435761) % 4294967296 > 2 ** 31;
  const size = sizeOf(shape);
  const bytes = async () => {
    const packed = new Uint8Array(Math.ceil(size / 8));
    for (let i = 0; i < size; i++) if (isSet(i)) packed[i >> 3] = (packed[i >> 3] as number) | (1 << (i & 7));
    return packed;
  };
  return bitTensor(shape, { value: Math.fround(value), bytes }, () =>
    Float32Array.from({ length: size }, (_, i) => (isSet(i) ? value : 0)),
  );
}

const product: EntryPoint = (_, { x, ...masks }) => ({
  outputs: Object.fromEntries(Object.entries(masks).map(([name, mask]) => [name, tf.mul(x as tf.Tensor, mask)])),
});

/** Outputs over bits and over floats, from graphs of the same trace. */
async function both(calls: readonly HostTensors[], axes: DynamicAxes = {}, webgpu = false) {
  const [first] = calls as readonly [HostTensors];
  const traced = traceEntry(product, {}, first, axes);
  const graph = optimise(traced.graph);
  const symbols = traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input }));
  const bits = new Map<string, number>();
  for (const [name, tensor] of Object.entries(prefixed(first, inputPrefix))) {
    if (tensor.dtype === "float32" && tensor.bits) bits.set(name, tensor.bits.value);
  }
  const { inputs } = toOnnxModel(graph, { symbols, bits, webgpu }).graph;
  const outputs: (readonly [found: HostTensors, wanted: HostTensors])[] = [];
  for (const call of calls) {
    const feeds = prefixed(call, inputPrefix);
    outputs.push([await runGraph(graph, feeds, { symbols, bits, webgpu }), await runGraph(graph, feeds, { symbols })]);
  }
  return { outputs, declared: inputs.filter(({ name }) => bits.has(name)).map(({ type, dims }) => ({ type, dims })) };
}

const [UINT8, INT32] = [2, 6];

test.each([
  [[8], false],
  [[3, 16], false],
  [[1], false],
  [[7], false],
  [[3, 5, 7], false],
  [[3, 5, 7], true],
  [[4, 2], true],
])("shape [%s], WebGPU %s", async (shape, webgpu) => {
  const { outputs, declared } = await both([{ x: spread(shape), mask: scattered(shape, 1.25) }], {}, webgpu);
  for (const [found, wanted] of outputs) expectSame(found, wanted, 0);
  expect(declared).toEqual([{ type: webgpu ? INT32 : UINT8, dims: ["input/mask/bytes"] }]);
});

test("masks of several rates beside each other", async () => {
  const shape = [5, 9];
  const call = { x: spread(shape), a: scattered(shape, 1.25), b: scattered(shape, 2, 3), c: scattered(shape, 1.25, 8) };
  const { outputs } = await both([call]);
  for (const [found, wanted] of outputs) {
    expectSame(found, wanted, 0);
    expect(new Set(["a", "b", "c"].map((name) => `${found[`output/${name}`]?.data}`)).size).toBe(3);
  }
});

test.each([
  ["a multiple of eight whatever the length", [2, 4, null]],
  ["now a multiple of eight and now not", [3, 5, null]],
] as const)("one graph for all lengths, %s", async (_, [rows, columns]) => {
  const of = (length: number): HostTensors => {
    const shape = [rows, columns, length, length];
    return { x: spread(shape), mask: scattered(shape, 1.5) };
  };
  const { outputs } = await both([4, 7, 8, 1].map(of), {
    x: [null, null, "length", "length"],
    mask: [null, null, "length", "length"],
  });
  for (const [found, wanted] of outputs) expectSame(found, wanted, 0);
});

test("a tensor of bits makes its floats once, when they are asked for, and only of the right number", () => {
  let made = 0;
  const tensor = bitTensor([3], { value: 1, bytes: async () => Uint8Array.of(5) }, () => {
    made += 1;
    return Float32Array.of(1, 0, 1);
  });
  expect(made).toBe(0);
  expect([[...tensor.data], [...tensor.data], made]).toEqual([[1, 0, 1], [1, 0, 1], 1]);
  const wrong = bitTensor([4], { value: 1, bytes: async () => Uint8Array.of(5) }, () => new Float32Array(3));
  expect(() => wrong.data).toThrow("needs 4 values, got 3");
  expect(float32([3], tensor.data as Float32Array)).not.toHaveProperty("bits");
});
