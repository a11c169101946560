// Models read back through the messages that are generated from onnx.proto.

import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "@jest/globals";
import {
  AttributeProto_AttributeType as AttributeType,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from "../../../src/compile/onnx/onnx.gen";
import {
  ElementType,
  encodeModel,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxTensor,
} from "../../../src/compile/onnx/proto";

const weights = Float32Array.of(0, -1.5, 3.25, Number.MAX_VALUE, -0, Number.NaN);
const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const kernel: OnnxTensor = { name: "kernel", type: ElementType.float32, dims: [2, 3], bytes: bytesOf(weights) };
const offset: OnnxTensor = {
  name: "offset",
  type: ElementType.int64,
  dims: [],
  bytes: bytesOf(BigInt64Array.of(-(2n ** 40n))),
};

const empty: OnnxGraph = { name: "empty", nodes: [], initializers: [], inputs: [], outputs: [] };

function node(attributes: Record<string, OnnxAttribute>) {
  return { op: "Clip", domain: "", inputs: ["x", "", "max"], outputs: ["y"], attributes };
}

const decoded = (graph: OnnxGraph, rest: Partial<OnnxModel> = {}): ModelProto =>
  fromBinary(ModelProtoSchema, encodeModel({ graph, producer: "flexbert", opsets: { "": 20 }, ...rest }));

/** Attributes of a node that was written and read back, by name. */
function attributesOf(attributes: Record<string, OnnxAttribute>) {
  const read = decoded({ ...empty, nodes: [node(attributes)] }).graph?.node[0]?.attribute ?? [];
  return Object.fromEntries(read.map((attribute) => [attribute.name, attribute]));
}

test("the model names its format's version, its producer, its operator sets and what it is", () => {
  const model = decoded(empty, {
    opsets: { "": 20, "com.microsoft": 1 },
    docs: "Zwei Köpfe",
    metadata: { tasks: '["cola","rte"]', empty: "" },
  });
  expect(model.irVersion).toBe(10n);
  expect(model.producerName).toBe("flexbert");
  expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
    ["", 20n],
    ["com.microsoft", 1n],
  ]);
  expect(model.docString).toBe("Zwei Köpfe");
  expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([
    ["tasks", '["cola","rte"]'],
    ["empty", ""],
  ]);
  expect(decoded(empty).metadataProps).toEqual([]);
  expect(Object.hasOwn(decoded(empty), "docString")).toBe(false);
});

test("inputs and outputs keep names, types and symbolic sizes", () => {
  const { graph } = decoded({
    ...empty,
    name: "step",
    inputs: [{ name: "ids", type: ElementType.int32, dims: ["batch", 128] }],
    outputs: [
      { name: "loss", type: ElementType.float32, dims: [] },
      { name: "mask", type: ElementType.bool, dims: [0] },
    ],
  });
  const declared = [...(graph?.input ?? []), ...(graph?.output ?? [])].map(({ name, type }) => {
    if (type?.value.case !== "tensorType") throw new Error(`${name} is no tensor`);
    const { elemType, shape } = type.value.value;
    return [name, elemType, shape?.dim.map(({ value }) => value.value)];
  });
  expect(graph?.name).toBe("step");
  expect(declared).toEqual([
    ["ids", TensorProto_DataType.INT32, ["batch", 128n]],
    ["loss", TensorProto_DataType.FLOAT, []],
    ["mask", TensorProto_DataType.BOOL, [0n]],
  ]);
});

test("nodes keep operator, domain and the place of inputs that are left out", () => {
  const nodes = [node({}), { ...node({}), op: "FusedMatMul", domain: "com.microsoft" }];
  const [standard, microsoft] = decoded({ ...empty, nodes }).graph?.node ?? [];
  expect(standard).toMatchObject({ opType: "Clip", domain: "", input: ["x", "", "max"], output: ["y"], attribute: [] });
  expect(microsoft).toMatchObject({ opType: "FusedMatMul", domain: "com.microsoft" });
});

test("attributes carry their type with their value", () => {
  const read = attributesOf({
    axis: { int: -1 },
    zero: { int: 0 },
    large: { int: Number.MAX_SAFE_INTEGER },
    alpha: { float: 0.5 },
    mode: { text: "größer" },
    axes: { ints: [0, -2, 2 ** 40] },
    none: { ints: [] },
    scales: { floats: [0.25, -0] },
  });
  expect(read["axis"]).toMatchObject({ type: AttributeType.INT, i: -1n });
  expect(read["zero"]).toMatchObject({ type: AttributeType.INT, i: 0n });
  expect(read["large"]).toMatchObject({ type: AttributeType.INT, i: BigInt(Number.MAX_SAFE_INTEGER) });
  expect(read["alpha"]).toMatchObject({ type: AttributeType.FLOAT, f: 0.5 });
  expect(read["mode"]?.type).toBe(AttributeType.STRING);
  expect(new TextDecoder().decode(read["mode"]?.s)).toBe("größer");
  expect(read["axes"]).toMatchObject({ type: AttributeType.INTS, ints: [0n, -2n, 2n ** 40n] });
  expect(read["none"]).toMatchObject({ type: AttributeType.INTS, ints: [] });
  expect(read["scales"]).toMatchObject({ type: AttributeType.FLOATS, floats: [0.25, -0] });
});

test("a number that is no integer is refused where the format wants one", () => {
  expect(() => attributesOf({ axis: { int: 0.5 } })).toThrow(RangeError);
  expect(() => decoded({ ...empty, initializers: [{ ...kernel, dims: [Number.NaN] }] })).toThrow(RangeError);
});

test("weights keep their bytes, in order, whatever lies around them in memory", () => {
  const inside = bytesOf(new Float32Array(9)).subarray(4, 28);
  inside.set(kernel.bytes as Uint8Array);
  const initializers = [kernel, offset, { ...kernel, name: "view", bytes: inside }];
  const read = decoded({ ...empty, initializers }).graph?.initializer ?? [];
  expect(read.map(({ name, dataType, dims }) => [name, dataType, dims])).toEqual([
    ["kernel", TensorProto_DataType.FLOAT, [2n, 3n]],
    ["offset", TensorProto_DataType.INT64, []],
    ["view", TensorProto_DataType.FLOAT, [2n, 3n]],
  ]);
  for (const [index, { bytes }] of initializers.entries()) expect(read[index]?.rawData).toEqual(bytes);
});

test("equal models are equal files", () => {
  const model = {
    graph: { ...empty, initializers: [kernel] },
    producer: "flexbert",
    opsets: { "": 20 },
    metadata: { a: "1" },
  };
  expect(encodeModel(model)).toEqual(encodeModel(structuredClone(model)));
});

test("a model past protobuf's 2 GiB is refused before memory is taken for it", () => {
  const shared = new Uint8Array(2 ** 26);
  const initializers = Array.from({ length: 32 }, (_, index) => ({ ...kernel, name: `w${index}`, bytes: shared }));
  expect(() => decoded({ ...empty, initializers })).toThrow(/ONNX file would have 21474\d+ bytes; .* 2147483647/);
});
