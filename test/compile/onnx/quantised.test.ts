// int8 products against plain integer arithmetic, and what the scheme is for: no row's result depends on another's.

import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import type { Graph } from "../../../src/compile/graph/graph";
import { chooseSymbols } from "../../../src/compile/graph/symbols";
import { type TracedFunction, trace } from "../../../src/compile/graph/trace";
import type { Constant } from "../../../src/compile/onnx/constants";
import { toOnnx } from "../../../src/compile/onnx/onnx";
import { ModelProtoSchema } from "../../../src/compile/onnx/onnx.gen";
import { float16Weight, forSaturating, type HeldInt8, int8Layouts, int8Weight } from "../../../src/compile/onnx/packed";
import { optimise } from "../../../src/compile/passes/passes";
import { openEngine } from "../../../src/engines/open";
import { type ColumnFactors, columnFactors } from "../../../src/model/int8";
import { dense, gelu } from "../../../src/model/ops";
import { float32, type HostTensor, int32 } from "../../../src/model/tensors";
import { normals } from "../../../src/random/draws";
import { seedKey } from "../../../src/random/threefry";

const ort = require("onnxruntime-node") as typeof import("onnxruntime-node");

/** Of 8 bits, or of 7 where products of 8 are wrong on this processor. */
let matrix: (tensor: HostTensor, moved?: ColumnFactors) => HeldInt8;
/** Of the largest value of a float product, how far its int8 one may be. */
let far: number;
beforeAll(async () => {
  const { engine } = await openEngine("onnx", { threads: 1 });
  const tooMany = (await engine.saturates?.()) ?? false;
  engine.dispose();
  const full = (tensor: HostTensor, moved?: ColumnFactors) => int8Weight(tensor, "matrix", moved);
  matrix = tooMany ? (tensor, moved) => forSaturating(full(tensor, moved)) : full;
  far = tooMany ? 0.03 : 0.02;
});

/** Odd widths: no kernel's blocks fit. */
const [IN, OUT] = [37, 29];
const weight = float32([OUT, IN], normals(seedKey(1), OUT * IN, 0.1));
const bias = float32([OUT], normals(seedKey(2), OUT, 0.1));
const rows = (count: number, seed = 3) => normals(seedKey(seed), count * IN, 1);

const symbols = chooseSymbols({ x: ["rows", null] }, { x: { shape: [5, IN] } }, [weight]);
const typesOf = (tensors: Readonly<Record<string, HostTensor>>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape, dtype }]));

function graphOf(compute: TracedFunction, weights: Readonly<Record<string, HostTensor>>): Graph {
  const x = { shape: [symbols[0]?.prime as number, IN], dtype: "float32" } as const;
  return optimise(trace(compute, { ...typesOf(weights), x }));
}

const product: TracedFunction = ({ x, weight, bias }) => ({
  y: dense(x as tf.Tensor2D, { weight: weight as tf.Tensor2D, bias: bias as tf.Tensor1D }),
});

async function run(graph: Graph, constants: Readonly<Record<string, Constant>>, x: Float32Array) {
  const session = await ort.InferenceSession.create(toOnnx(graph, { constants, symbols }));
  const outputs = await session.run({ x: new ort.Tensor("float32", x, [x.length / IN, IN]) });
  await session.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...(data as Float32Array)]]));
}

const aroundZero = (x: Float32Array) =>
  Math.fround(x.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) * Math.fround(1 / 127));

/** After GELU the code of 0 is 24, not 128. */
const afterGelu = (x: Float32Array) =>
  Math.max(Math.fround(Math.max(...x) * Math.fround(1 / 231)), Math.fround(0.17 / 24));

/** One row by the definition: codes, an integer product, and three roundings to float32. */
function referenceRow(x: Float32Array, { codes, scales }: HeldInt8, scale = aroundZero(x), lowest = -128): number[] {
  const quantised = [...x].map((value) => {
    const exact = Math.fround(value / scale);
    const down = Math.floor(exact);
    const even = exact - down === 0.5 ? down + (Math.abs(down) % 2) : Math.round(exact);
    return Math.max(lowest, Math.min(lowest + 255, even));
  });
  return Array.from({ length: OUT }, (_, out) => {
    const sum = quantised.reduce((total, code, i) => total + code * (codes[i * OUT + out] as number), 0);
    const unscaled = Math.fround(Math.fround(sum) * (scales[out] as number));
    return Math.fround(Math.fround(unscaled * scale) + (bias.data[out] as number));
  });
}

const rowOf = (x: Float32Array, at: number) => x.slice(at * IN, (at + 1) * IN);
const partOf = (y: readonly number[] | undefined, at: number) => y?.slice(at * OUT, (at + 1) * OUT);

describe("a product with an int8 matrix", () => {
  const graph = graphOf(product, { weight, bias });
  let packed: HeldInt8;
  let int8: Readonly<Record<string, Constant>>;
  beforeAll(() => {
    packed = matrix(weight);
    int8 = { weight: packed, bias };
  });

  test("gives what integer arithmetic gives, bit for bit, at every number of rows", async () => {
    for (const count of [1, 2, 7, 64]) {
      const x = rows(count);
      const { y } = await run(graph, int8, x);
      for (let at = 0; at < count; at++) expect(partOf(y, at)).toEqual(referenceRow(rowOf(x, at), packed));
    }
  });

  test("is within a few parts in a hundred of the float product's largest value", async () => {
    const x = rows(16);
    const [{ y }, exact] = [await run(graph, int8, x), await run(graph, { weight, bias }, x)];
    const most = Math.max(...(exact["y"] as number[]).map(Math.abs));
    for (const [i, value] of (y as number[]).entries()) {
      expect(Math.abs(value - (exact["y"]?.[i] as number))).toBeLessThan(far * most);
    }
  });

  test("gives a row the same bits alone, among others, and beside an outlier", async () => {
    const x = rows(9);
    const { y } = await run(graph, int8, x);
    const outlier = x.slice();
    for (let i = 4 * IN; i < 5 * IN; i++) outlier[i] = (outlier[i] as number) * 1e4;
    const { y: beside } = await run(graph, int8, outlier);
    for (let at = 0; at < 9; at++) {
      expect((await run(graph, int8, rowOf(x, at)))["y"]).toEqual(partOf(y, at));
      if (at !== 4) expect(partOf(beside, at)).toEqual(partOf(y, at));
    }
    expect(partOf(beside, 4)).not.toEqual(partOf(y, 4));
  });

  test("gives a row of zeros the bias, and a row of the smallest numbers too", async () => {
    const x = new Float32Array(3 * IN);
    x.fill(2 ** -149, IN, 2 * IN);
    x.set(rows(1), 2 * IN);
    const { y } = await run(graph, int8, x);
    expect(partOf(y, 0)).toEqual([...bias.data]);
    expect(partOf(y, 1)).toEqual([...bias.data]);
    expect(partOf(y, 2)).toEqual(referenceRow(rowOf(x, 2), packed));
  });

  test("has steps half as large after GELU, which reaches down to -0.17 alone", async () => {
    const after: TracedFunction = ({ x, weight, bias }) => {
      const activated = gelu(x as tf.Tensor2D);
      return { ...product({ x: activated, weight: weight as tf.Tensor, bias: bias as tf.Tensor }), activated };
    };
    const x = rows(6).map((value, i) => value * 10 ** (Math.floor(i / IN) - 2));
    const { y, activated } = await run(graphOf(after, { weight, bias }), int8, x);
    for (let at = 0; at < 6; at++) {
      const row = rowOf(Float32Array.from(activated as number[]), at);
      expect(partOf(y, at)).toEqual(referenceRow(row, packed, afterGelu(row), -24));
    }
  });

  test("needs no bias", async () => {
    const bare = graphOf(({ x, weight }) => ({ y: tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, true) }), {
      weight,
    });
    const x = rows(2);
    const [{ y }, { y: biased }] = [await run(bare, int8, x), await run(graph, int8, x)];
    for (const [i, value] of (y as number[]).entries()) {
      expect(Math.fround(value + (bias.data[i % OUT] as number))).toBe(biased?.[i]);
    }
  });
});

describe("query, key and value", () => {
  const three: TracedFunction = ({ x, bias, ...weights }) =>
    Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => [
        `to ${name}`,
        dense(x as tf.Tensor2D, { weight: weight as tf.Tensor2D, bias: bias as tf.Tensor1D }),
      ]),
    );
  const weights = {
    "self.query.weight": weight,
    "self.key.weight": float32([OUT, IN], normals(seedKey(5), OUT * IN, 0.1)),
    "self.value.weight": float32([OUT, IN], normals(seedKey(6), OUT * IN, 0.1)),
  };
  const largest = Float32Array.from({ length: IN }, (_, i) => (i === 7 ? 40 : i === 9 ? 0 : 0.5 + (i % 5) / 10));
  const factors = columnFactors(largest, Object.values(weights));
  const graph = graphOf(three, { ...weights, bias });
  const packed = (moved?: ColumnFactors) => ({
    ...Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [name, matrix(tensor, moved)])),
    bias,
  });
  const count = (model: Uint8Array, op: string) =>
    fromBinary(ModelProtoSchema, model).graph?.node.filter(({ opType }) => opType === op).length;

  test("are one product and one quantisation, with and without what was moved into them", () => {
    for (const constants of [packed(), packed(factors)]) {
      const model = toOnnx(graph, { constants, symbols });
      expect(count(model, "MatMulIntegerToFloat")).toBe(1);
      expect(count(model, "QuantizeLinear")).toBe(1);
    }
  });

  test("are nearer to the float products where the layer norm's outliers were moved into them", async () => {
    const x = rows(8).map((value, i) => value * (largest[i % IN] as number));
    const exact = await run(graph, { ...weights, bias }, x);
    const error = (found: Readonly<Record<string, readonly number[]>>) =>
      Object.entries(exact)
        .flatMap(([name, values]) => values.map((value, i) => Math.abs(value - (found[name]?.[i] as number))))
        .reduce((sum, difference) => sum + difference, 0);
    const [plain, moved] = [error(await run(graph, packed(), x)), error(await run(graph, packed(factors), x))];
    expect(moved).toBeLessThan(0.5 * plain);
  });
});

test("a table gives its rows back, each within half a step of its own scale", async () => {
  const table = float32(
    [11, 6],
    normals(seedKey(4), 66, 1).map((value, i) => value * 10 ** ((i / 6) % 3)),
  );
  const graph = optimise(
    trace(({ table, ids }) => ({ y: tf.gather(table as tf.Tensor2D, ids as tf.Tensor2D) }), {
      ...typesOf({ table }),
      ids: { shape: [2, 3], dtype: "int32" },
    }),
  );
  expect(int8Layouts(graph)).toEqual(new Map([["table", "table"]]));
  const packed = int8Weight(table, "table");
  const session = await ort.InferenceSession.create(toOnnx(graph, { constants: { table: packed } }));
  const ids = [10, 0, 3, 3, 5, 9];
  const { y } = (await session.run({ ids: new ort.Tensor("int32", Int32Array.from(ids), [2, 3]) })) as {
    y: import("onnxruntime-node").Tensor;
  };
  expect(y.dims).toEqual([2, 3, 6]);
  for (const [i, value] of [...(y.data as Float32Array)].entries()) {
    const [row, column] = [ids[Math.floor(i / 6)] as number, i % 6];
    const scale = packed.scales[row] as number;
    expect(value).toBe(Math.fround((packed.codes[row * 6 + column] as number) * scale));
    expect(Math.abs(value - (table.data[row * 6 + column] as number))).toBeLessThanOrEqual(0.5001 * scale);
  }
});

test("float16 weights are read as the float32 that they stand for", async () => {
  const graph = graphOf(product, { weight, bias });
  const x = rows(3);
  const half = await run(graph, { weight: float16Weight(weight), bias }, x);
  const exact = await run(graph, { weight, bias }, x);
  for (const [i, value] of (half["y"] as number[]).entries()) {
    expect(Math.abs(value - (exact["y"]?.[i] as number))).toBeLessThan(2e-3);
  }
  expect(half["y"]).not.toEqual(exact["y"]);
});

describe("what can be int8", () => {
  const ids = int32([4], Int32Array.of(0, 1, 2, 3));
  const layoutsOf = (compute: TracedFunction) =>
    int8Layouts(graphOf(compute, { weight, bias, ids, square: float32([IN, IN], new Float32Array(IN * IN)) }));

  test("is a matrix of plain products, and nothing that anything else reads", () => {
    expect(layoutsOf(product)).toEqual(new Map([["weight", "matrix"]]));
    expect(layoutsOf((inputs) => ({ ...product(inputs), other: tf.exp(inputs["weight"] as tf.Tensor) }))).toEqual(
      new Map(),
    );
    expect(layoutsOf((inputs) => ({ ...product(inputs), weight2: inputs["weight"] as tf.Tensor }))).toEqual(new Map());
    const turned: TracedFunction = ({ x, square }) => ({ y: tf.matMul(x as tf.Tensor2D, square as tf.Tensor2D) });
    expect(layoutsOf(turned)).toEqual(new Map());
    const both: TracedFunction = (inputs) => ({
      ...product(inputs),
      row: tf.gather(inputs["weight"] as tf.Tensor2D, inputs["ids"] as tf.Tensor1D),
    });
    expect(layoutsOf(both)).toEqual(new Map());
  });

  test("is refused elsewhere, by name", () => {
    const elsewhere = graphOf((inputs) => ({ y: tf.exp(inputs["weight"] as tf.Tensor) }), { weight });
    const constants = { weight: int8Weight(weight, "matrix") };
    expect(() => toOnnx(elsewhere, { constants, symbols })).toThrow(/weight_int8 is used as a value/);
    const table = { weight: int8Weight(weight, "table"), bias };
    expect(() => toOnnx(graphOf(product, { weight, bias }), { constants: table, symbols })).toThrow(
      /weight_int8_rows is no matrix/,
    );
  });
});
