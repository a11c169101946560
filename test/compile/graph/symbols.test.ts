// Symbolic sizes: which primes stand for them, and that a graph which depends on a size is refused.

import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { traceEntry } from "../../../src/compile/entry";
import { bindSymbols, chooseSymbols, factorSize, substitute } from "../../../src/compile/graph/symbols";
import { registerGradients } from "../../../src/engines/eager";
import type { Tensors } from "../../../src/model/entry-point";

beforeAll(registerGradients);

const axes = { x: ["rows", "length"], y: ["rows", null] } as const;
const call = { x: { shape: [2, 3], dtype: "float32" }, y: { shape: [2, 5], dtype: "float32" } } as const;
const types = [...Object.values(call), { shape: [768, 2 * 1009] }];
const symbols = chooseSymbols(axes, call, types);

test("a prime a name, none of which divides a static size", () => {
  expect(symbols).toEqual([
    { prime: 1013, name: "rows", input: "x", axis: 0 },
    { prime: 1019, name: "length", input: "x", axis: 1 },
  ]);
  expect(chooseSymbols(axes, { y: call.y }, [])).toEqual([{ prime: 1009, name: "rows", input: "y", axis: 0 }]);
});

test("sizes are products of a factor and symbols, which may repeat", () => {
  const names = (size: number) => {
    const { factor, symbols: found } = factorSize(size, symbols);
    return [factor, ...found.map(({ name }) => name)];
  };
  expect(names(12)).toEqual([12]);
  expect(names(0)).toEqual([0]);
  expect(names(4 * 1013 * 1019)).toEqual([4, "rows", "length"]);
  expect(names(1019 * 1019)).toEqual([1, "length", "length"]);
  expect(
    substitute(
      [1013, 7, 2 * 1019, 1013 * 1019],
      symbols,
      new Map([
        ["rows", 3],
        ["length", 5],
      ]),
    ),
  ).toEqual([3, 7, 10, 15]);
});

test("a call binds the symbols only where all its inputs agree", () => {
  const shapes = { x: [1013, 1019], y: [1013, 5] };
  expect(bindSymbols(shapes, symbols, { x: [4, 9], y: [4, 5] })).toEqual(
    new Map([
      ["rows", 4],
      ["length", 9],
    ]),
  );
  expect(bindSymbols(shapes, symbols, { x: [4, 9], y: [3, 5] })).toBeNull();
  expect(bindSymbols(shapes, symbols, { x: [4, 9], y: [4, 6] })).toBeNull();
  expect(bindSymbols(shapes, symbols, { x: [4, 9, 1], y: [4, 5] })).toBeNull();
  expect(bindSymbols(shapes, symbols, { x: [4, 9] })).toBeNull();
});

describe("a function that depends on a size does not compile", () => {
  const size = (x: tf.Tensor) => x.shape[1] as number;
  const functions: Record<string, [(x: tf.Tensor) => Tensors, RegExp]> = {
    "in how much it does": [(x) => ({ z: size(x) > 100 ? tf.exp(tf.exp(x)) : tf.exp(x) }), /number of its nodes/],
    "in what it does": [(x) => ({ z: size(x) > 100 ? tf.exp(x) : tf.tanh(x) }), /node 1 \(Tanh\) depends on sizes/],
    "in a number": [(x) => ({ z: tf.mul(x, 1 / size(x)) }), /node 1 \(Fill\) depends on sizes/],
    "in where it begins": [(x) => ({ z: tf.slice(x, [0, size(x) - 1], [-1, 1]) }), /node 1 \(Slice\) depends on sizes/],
    "in where a part begins": [
      (x) => ({ z: tf.slice(tf.concat([x, x], 1), [0, size(x)], [-1, size(x)]) }),
      /\(Slice\) depends on sizes/,
    ],
    "in a size that is none of the input's": [(x) => ({ z: tf.slice(x, [0, 0], [-1, size(x) - 1]) }), /\(Slice\)/],
    "in what it reads": [
      (x) => {
        const [a, b] = [tf.exp(x), tf.tanh(x)];
        return { z: tf.sub(size(x) > 100 ? a : b, size(x) > 100 ? b : a) };
      },
      /node 3 \(Sub\) depends on sizes/,
    ],
    "in what it returns": [
      (x) => {
        const [a, b] = [tf.exp(x), tf.tanh(x)];
        return { z: size(x) > 100 ? a : b };
      },
      /which value its output output\/z is depends on sizes/,
    ],
    "in whether it returns it": [
      (x) => {
        const a = tf.exp(x);
        return size(x) > 100 ? { z: a, w: a } : { z: a };
      },
      /its output output\/w/,
    ],
  };
  test.each(Object.keys(functions))("%s", (name) => {
    const [compute, message] = functions[name] as (typeof functions)[string];
    const traced = () => traceEntry((_, { x }) => ({ outputs: compute(x as tf.Tensor) }), {}, { x: call.x }, axes);
    expect(traced).toThrow(message);
  });

  test("unless it only means it", () => {
    const same = (x: tf.Tensor) => ({ z: tf.mean(tf.reshape(x, [size(x), -1]), 0) });
    expect(traceEntry((_, { x }) => ({ outputs: same(x as tf.Tensor) }), {}, { x: call.x }, axes).symbols).toHaveLength(
      2,
    );
  });
});
