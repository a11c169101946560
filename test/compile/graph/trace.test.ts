// What the tracer refuses and how it says so, what it leaves behind, and the text of a graph.

import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { printGraph, type ValueType } from "../../../src/compile/graph/graph";
import { type TracedFunction, trace } from "../../../src/compile/graph/trace";
import { registerGradients } from "../../../src/engines/eager";

const matrix: ValueType = { shape: [2, 3], dtype: "float32" };
const x = (inputs: Record<string, tf.Tensor>) => inputs["x"] as tf.Tensor;
const traceOf = (compute: (value: tf.Tensor) => tf.Tensor | Record<string, tf.Tensor>) => {
  const all: TracedFunction = (inputs) => {
    const result = compute(x(inputs));
    return result instanceof tf.Tensor ? { y: result } : result;
  };
  return trace(all, { x: matrix });
};

beforeAll(async () => {
  await registerGradients();
  await tf.setBackend("cpu");
});

// Whatever a test does, tfjs is as it was before it.
let before: { numTensors: number; numDataBuffers: number };
beforeEach(() => {
  before = tf.memory();
});
afterEach(() => {
  expect(tf.getBackend()).toBe("cpu");
  const { numTensors, numDataBuffers } = tf.memory();
  expect({ numTensors, numDataBuffers }).toEqual({
    numTensors: before.numTensors,
    numDataBuffers: before.numDataBuffers,
  });
  expect(tf.findBackend("trace")).toBeNull();
});

describe("reading a traced value is an error that says where", () => {
  const readers: Record<string, (value: tf.Tensor) => unknown> = {
    dataSync: (value) => value.dataSync(),
    arraySync: (value) => value.arraySync(),
    print: (value) => value.print(),
    bytes: (value) => value.toString(),
  };
  test.each(Object.keys(readers))("%s", (name) => {
    const compute = (value: tf.Tensor) => {
      readers[name]?.(tf.exp(value));
      return value;
    };
    expect(() => traceOf(compute)).toThrow(
      /^the result of Exp \(float32 \[2,3\]\) is read at .*trace\.test\.ts:\d+:\d+.* while the function is traced/,
    );
  });

  test.each(["data", "array"] as const)("%s, whose promise is rejected", async (name) => {
    let read: Promise<unknown> = Promise.resolve();
    traceOf((value) => {
      read = value[name]();
      read.catch(() => undefined);
      return value;
    });
    await expect(read).rejects.toThrow(/the result of input \(float32 \[2,3\]\) is read at .*trace\.test\.ts/);
  });

  test("a condition on a constant", () => {
    expect(() => traceOf((value) => (tf.scalar(1).dataSync()[0] ? value : tf.neg(value)))).toThrow(/a constant .*read/);
  });
});

describe("what does not trace", () => {
  test("a kernel without a rule is named, with its place", () => {
    expect(() => traceOf((value) => tf.cumsum(value))).toThrow(
      /kernel Cumsum has no tracing rule, at .*trace\.test\.ts:\d+/,
    );
    expect(() => traceOf((value) => tf.topk(value, 1).values)).toThrow(/kernel TopK has no tracing rule/);
  });

  test("a tensor from outside", () => {
    const foreign = tf.tensor1d([1, 2, 3]);
    const message = /uses a tensor \(float32 \[3\]\) that is not among its inputs, at .*trace\.test\.ts.*Pass it as/;
    expect(() => traceOf((value) => tf.add(value, foreign))).toThrow(message);
    expect(() => traceOf(() => foreign)).toThrow(/not among its inputs/);
    foreign.dispose();
  });

  test("a tensor of an earlier trace", () => {
    let escaped: tf.Tensor | undefined;
    traceOf((value) => {
      escaped = value;
      return value;
    });
    expect(() => traceOf((value) => tf.add(value, escaped as tf.Tensor))).toThrow(/disposed|not among its inputs/);
  });

  test("a trace within a trace", () => {
    expect(() =>
      traceOf((value) => {
        traceOf((inner) => inner);
        return value;
      }),
    ).toThrow("a function that is being traced was traced again from within");
  });

  test("strings", () => {
    expect(() => traceOf(() => tf.tensor(["a", "b"]))).toThrow(
      /constant of dtype string; only float32, int32 and bool/,
    );
  });

  test("shapes that do not fit, as tfjs says or as the rule says", () => {
    expect(() => traceOf((value) => tf.add(value, tf.ones([4])))).toThrow(/\[2,3\].*\[4\]|broadcast/i);
    expect(() => traceOf((value) => tf.matMul(value, value))).toThrow(/shapes|product/i);
    expect(() => traceOf((value) => tf.reshape(value, [4]))).toThrow(
      "a reshape of [2,3] to [4], which has another size",
    );
    expect(() => traceOf((value) => tf.reshape(value, [4, -1]))).toThrow("a reshape of [2,3] to [4,-1]");
  });

  test("an exception of the function's own comes through as it is", () => {
    const failure = new RangeError("its own");
    expect(() =>
      traceOf((value) => {
        tf.exp(value);
        throw failure;
      }),
    ).toThrow(failure);
  });
});

test("gradients trace: the step of a linear regression", () => {
  const graph = trace(
    ({ x: rows, w, b }) => {
      const loss = (...[weight, bias]: tf.Tensor[]) =>
        tf.mean(tf.square(tf.add(tf.matMul(rows as tf.Tensor, weight as tf.Tensor), bias as tf.Tensor))) as tf.Scalar;
      const { value, grads } = tf.valueAndGrads(loss)([w as tf.Tensor, b as tf.Tensor]);
      return { loss: value, dw: grads[0] as tf.Tensor, db: grads[1] as tf.Tensor };
    },
    { x: matrix, w: { shape: [3, 4], dtype: "float32" }, b: { shape: [4], dtype: "float32" } },
  );
  const shapes = [...graph.outputs].map(([name, { shape, dtype }]) => [name, dtype, shape]);
  expect(shapes).toEqual([
    ["loss", "float32", []],
    ["dw", "float32", [3, 4]],
    ["db", "float32", [4]],
  ]);
  expect(graph.nodes.filter(({ op }) => op === "BatchMatMul")).toHaveLength(2); // forward, and x^T dy
});

test("an array that changes after the trace does not change the constant", () => {
  const values = Float32Array.of(1, 2, 3);
  const graph = traceOf((value) => tf.add(value, tf.tensor1d(values)));
  values.fill(9);
  expect(printGraph(graph)).toContain("elements=<1,2,3>");
});

test("the text of a graph", () => {
  const graph = traceOf((value) => {
    const scaled = tf.mul(tf.softmax(tf.matMul(value, value, false, true)), 0.5);
    return {
      scaled,
      sum: tf.sum(scaled, 1, true),
      whole: tf.greater(tf.cast(tf.tensor1d([1, 2, 3], "int32"), "float32"), value),
      x: value,
    };
  });
  expect(printGraph(graph)).toBe(
    [
      "%0 = input x : f32[2,3]",
      "%1 = BatchMatMul(%0, %0) transposeA=false transposeB=true : f32[2,2]",
      "%2 = Softmax(%1) axis=1 : f32[2,2]",
      "%3 = Fill() shape=[] value=0.5 : f32[]",
      "%4 = Multiply(%2, %3) : f32[2,2]",
      "%5 = Sum(%4) axes=[1] keepDims=true : f32[2,1]",
      "%6 = Constant() elements=<1,2,3> : int32[3]",
      "%7 = Cast(%6) dtype=float32 : f32[3]",
      "%8 = Greater(%7, %0) : bool[2,3]",
      "output scaled = %4",
      "output sum = %5",
      "output whole = %8",
      "output x = %0",
    ].join("\n"),
  );
});
