// Products of the same rows with int8 matrices as one product: the same bits as each gives alone, in memory and from a file.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs-core";
import { readSafetensorsHeader } from "../../../src/checkpoints/formats/safetensors-header";
import type { Graph } from "../../../src/compile/graph/graph";
import { chooseSymbols } from "../../../src/compile/graph/symbols";
import { type TracedFunction, trace } from "../../../src/compile/graph/trace";
import type { Constant } from "../../../src/compile/onnx/constants";
import { joinWeights } from "../../../src/compile/onnx/joined";
import { toOnnx } from "../../../src/compile/onnx/onnx";
import { ModelProtoSchema } from "../../../src/compile/onnx/onnx.gen";
import { forSaturating, type HeldInt8, int8Weight } from "../../../src/compile/onnx/packed";
import { fromPlaces, fromStored, toStored } from "../../../src/compile/onnx/stored";
import { optimise } from "../../../src/compile/passes/passes";
import { readInt8Blob, writeInt8Blob } from "../../../src/merge/folder/int8-blobs";
import { columnFactors, joinedName, memberNames } from "../../../src/model/int8";
import { dense } from "../../../src/model/ops";
import { float32, type HostTensor } from "../../../src/model/tensors";
import { normals } from "../../../src/random/draws";
import { foldIn, seedKey } from "../../../src/random/threefry";
import { temporaryFolder } from "../../tiny";

const ort = require("onnxruntime-node") as typeof import("onnxruntime-node");

/** Odd widths: no kernel's blocks fit. */
const [IN, OUT] = [37, 29];
type Weights = Record<string, HostTensor | HeldInt8>;

const draw = (seed: number, shape: readonly number[]) =>
  float32(
    shape,
    normals(
      foldIn(seedKey(9), seed),
      shape.reduce((all, size) => all * size, 1),
      0.1,
    ),
  );
/** A weight and a bias under each name. */
const drawn = (names: readonly string[]): Record<string, HostTensor> =>
  Object.fromEntries(
    names.flatMap((name, i) => [
      [`${name}.weight`, draw(2 * i, [OUT, IN])],
      [`${name}.bias`, draw(2 * i + 1, [OUT])],
    ]),
  );
const three = drawn(["self.query", "self.key", "self.value"]);
const rows = (count: number) => normals(seedKey(3), count * IN, 1);
const symbols = chooseSymbols({ x: ["rows", null] }, { x: { shape: [5, IN] } }, Object.values(three));

/** A product for each weight, called as the weight is. */
const products: TracedFunction = ({ x, ...tensors }) =>
  Object.fromEntries(
    Object.keys(tensors)
      .filter((name) => name.endsWith(".weight"))
      .map((name) => {
        const bias = tensors[name.replace("weight", "bias")] ?? tensors["bias"];
        return [
          `to ${name}`,
          dense(x as tf.Tensor2D, { weight: tensors[name] as tf.Tensor2D, bias: bias as tf.Tensor1D }),
        ];
      }),
  );

function graphOf(weights: Readonly<Record<string, { readonly shape: readonly number[] }>>): Graph {
  const types = Object.entries(weights).map(([name, { shape }]) => [name, { shape, dtype: "float32" }] as const);
  const x = { shape: [symbols[0]?.prime as number, IN], dtype: "float32" } as const;
  return optimise(trace(products, { ...Object.fromEntries(types), x }));
}

async function outputs(session: import("onnxruntime-node").InferenceSession, x: Float32Array) {
  const found = await session.run({ x: new ort.Tensor("float32", x, [x.length / IN, IN]) });
  await session.release();
  return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...(data as Float32Array)]]));
}

const lowered = (constants: Readonly<Record<string, Constant>>) => toOnnx(graphOf(constants), { constants, symbols });
const run = async (constants: Readonly<Record<string, Constant>>, x: Float32Array) =>
  outputs(await ort.InferenceSession.create(lowered(constants)), x);

/** Each product of a graph of its own, where there is nothing to join it with. */
async function apart(constants: Readonly<Record<string, Constant>>, x: Float32Array) {
  const found: Record<string, number[]> = {};
  for (const [name, weight] of Object.entries(constants)) {
    if (!name.endsWith(".weight")) continue;
    const bias = name.replace("weight", "bias") in constants ? name.replace("weight", "bias") : "bias";
    Object.assign(found, await run({ [name]: weight, [bias]: constants[bias] as Constant }, x));
  }
  return found;
}

const counts = (model: Uint8Array) => {
  const all = fromBinary(ModelProtoSchema, model).graph?.node ?? [];
  const count = (op: string) => all.filter(({ opType }) => opType === op).length;
  return { products: count("MatMulIntegerToFloat"), quantised: count("QuantizeLinear"), added: count("Add") };
};

const int8 = (
  weights: Readonly<Record<string, HostTensor>>,
  change = (_: string, weight: HeldInt8) => weight,
): Weights =>
  Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [
      name,
      name.endsWith(".weight") ? change(name, int8Weight(tensor, "matrix")) : tensor,
    ]),
  );

const without = <T>(record: Readonly<Record<string, T>>, ...names: readonly string[]): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));

const largest = Float32Array.from({ length: IN }, (_, i) => (i === 7 ? 40 : 0.5 + (i % 5) / 10));
const factors = columnFactors(largest, [three["self.query.weight"] as HostTensor]);
const moved = (name: string) => int8Weight(three[name] as HostTensor, "matrix", factors);
const all = int8(three);

/** By what it is: constants, and how many products, quantisations and sums there should be. */
const cases: readonly (readonly [string, Weights, ReturnType<typeof counts>])[] = [
  ["three", all, { products: 1, quantised: 1, added: 1 }],
  ["two", without(all, "self.query.weight", "self.query.bias"), { products: 1, quantised: 1, added: 1 }],
  [
    "three with one bias",
    { ...without(all, ...Object.keys(all).filter((name) => name.endsWith("bias"))), bias: draw(9, [OUT]) },
    { products: 1, quantised: 1, added: 3 },
  ],
  [
    "three of which one is float32",
    { ...all, "self.key.weight": three["self.key.weight"] as HostTensor },
    { products: 1, quantised: 1, added: 1 },
  ],
  ["three with the same moved into them", int8(three, moved), { products: 1, quantised: 1, added: 1 }],
  [
    "three of which one has something moved into it",
    { ...all, "self.key.weight": moved("self.key.weight") },
    { products: 2, quantised: 2, added: 2 },
  ],
  ["three of 7 bits", int8(three, (_, weight) => forSaturating(weight)), { products: 1, quantised: 1, added: 1 }],
  [
    "two tasks' keys and values",
    int8(drawn(["a.key", "a.value", "b.key", "b.value"])),
    { products: 2, quantised: 1, added: 2 },
  ],
  ["products of no family", int8(drawn(["pooler.dense", "classifier"])), { products: 2, quantised: 1, added: 2 }],
];

test.each(cases)(
  "%s give what each gives alone, bit for bit, at every number of rows",
  async (_, constants, expected) => {
    expect(counts(lowered(constants))).toEqual(expected);
    for (const count of [1, 2, 7, 64]) {
      const x = rows(count);
      expect(await run(constants, x)).toEqual(await apart(constants, x));
    }
  },
);

describe("stored", () => {
  const folder = temporaryFolder();

  test.each(cases)(
    "%s are in one place what the graph reads as one, and the same weights when they are read",
    async (what, constants) => {
      const out = path.join(folder, what.replace(/\W/g, "-"));
      mkdirSync(path.join(out, "blobs"), { recursive: true });
      const blob = await writeInt8Blob(out, "w", joinWeights(graphOf(constants), constants), () => undefined);
      expect(await readInt8Blob(out, blob)).toEqual(constants);
      const { tensors } = await readSafetensorsHeader(path.join(out, blob.file));
      const places = [...tensors].map(([name, { shape, position, bytes }]) => {
        return [
          name,
          { shape, data: { location: path.basename(blob.file), offset: position, length: bytes } },
        ] as const;
      });
      const model = lowered(fromPlaces(new Map(places)));
      expect(counts(model)).toEqual(counts(lowered(constants)));
      const file = path.join(out, "blobs", "model.onnx");
      writeFileSync(file, model);
      const x = rows(7);
      expect(await outputs(await ort.InferenceSession.create(file), x)).toEqual(await apart(constants, x));
    },
  );

  test("three are three tensors, whose names say which", () => {
    const stored = toStored(joinWeights(graphOf(all), all));
    expect(Object.entries(stored).map(([name, { shape }]) => [name, shape])).toEqual([
      ["self.query+key+value.weight_int8", [IN, 3 * OUT]],
      ["self.query+key+value.weight_scale", [3 * OUT]],
      ["self.query+key+value.bias", [3 * OUT]],
    ]);
    expect(fromStored(new Map(Object.entries(stored) as [string, never][]))).toEqual(all);
  });

  test("a part that belongs to no weight is an error, not a weight of that name", () => {
    const parts = new Map([["attention.self_inverse", { shape: [IN], data: new Float32Array(IN) }]]);
    expect(() => fromStored(parts)).toThrow("attention.self_inverse is a part of no int8 weight beside it");
  });

  test("three are no two", () => {
    const place = { location: "w.safetensors", offset: 0, length: 1 };
    const places = Object.entries(toStored(joinWeights(graphOf(all), all))).map(
      ([name, { shape }]) => [name, { shape, data: place }] as const,
    );
    const two = without(fromPlaces(new Map(places)), "self.query.weight", "self.query.bias");
    expect(() => lowered(two)).toThrow(/self\.key\.weight lies in self\.query\+key\+value\.weight/);
  });
});

test("names join where they differ in the last part but one", () => {
  expect(joinedName(["a.b.query.weight", "a.b.key.weight"])).toBe("a.b.query+key.weight");
  expect(memberNames("a.b.query+key.weight")).toEqual(["a.b.query.weight", "a.b.key.weight"]);
  expect(memberNames("a.b.query.weight")).toEqual(["a.b.query.weight"]);
  for (const names of [
    ["a.b.query.weight", "a.c.query.weight"],
    ["query.weight", "query.bias"],
    ["query", "key"],
  ]) {
    expect(joinedName(names)).toBeNull();
  }
});
