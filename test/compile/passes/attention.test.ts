// Attention as one node: the values of the eleven that it stands for, and only where it stands in full.

import { beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { inputPrefix, prefixed, traceEntry } from "../../../src/compile/entry";
import type { Graph } from "../../../src/compile/graph/graph";
import { ATTENTION, fuseAttention } from "../../../src/compile/passes/attention";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import { attentionBias, attentionProbabilities, attentionScores } from "../../../src/model/attention";
import type { DynamicAxes, EntryPoint, Tensors } from "../../../src/model/entry-point";
import type { HostTensors } from "../../../src/model/tensors";
import { expectSame, i32, runGraph, spread } from "../compare";

beforeAll(registerGradients);

const [BATCH, LENGTH, HEADS, WIDTH] = [3, 5, 4, 6];

/** What a layer does between its products of query, key and value and its output's. */
interface Form {
  readonly between?: (probabilities: tf.Tensor4D, inputs: Tensors) => tf.Tensor4D;
  readonly bias?: (inputs: Tensors) => tf.Tensor4D;
  readonly after?: (context: tf.Tensor4D) => tf.Tensor4D;
  readonly outputs?: (probabilities: tf.Tensor4D) => Tensors;
}

const attention =
  ({ between = (x) => x, bias, after = (x) => x, outputs = () => ({}) }: Form = {}): EntryPoint =>
  (_, inputs) => {
    const split = (name: string) => {
      const x = inputs[name] as tf.Tensor3D;
      const shape = [x.shape[0], x.shape[1], HEADS, WIDTH] as [number, number, number, number];
      return tf.transpose(tf.reshape(x, shape) as tf.Tensor4D, [0, 2, 1, 3]);
    };
    const added = bias ? bias(inputs) : attentionBias(inputs["mask"] as tf.Tensor2D);
    const probabilities = attentionProbabilities(attentionScores(split("query"), split("key")), added);
    const product = after(tf.matMul(between(probabilities, inputs), split("value")) as tf.Tensor4D);
    const context = tf.transpose(product, [0, 2, 1, 3]);
    const { shape } = inputs["query"] as tf.Tensor3D;
    return { outputs: { context: tf.reshape(context, shape), ...outputs(probabilities) } };
  };

/** Rows of full, middling and least length. */
const mask = (batch: number, length: number) =>
  i32(
    [batch, length],
    Array.from({ length: batch * length }, (_, i) => (i % length < length - 2 * Math.floor(i / length) ? 1 : 0)),
  );

const call = (batch: number, asking: number, length: number): HostTensors => ({
  query: spread([batch, asking, HEADS * WIDTH]),
  key: spread([batch, length, HEADS * WIDTH], 50),
  value: spread([batch, length, HEADS * WIDTH], 90),
  mask: mask(batch, length),
});

const fused = ({ nodes }: Graph) => nodes.filter(({ op }) => op === ATTENTION).length;

test.each([
  ["all positions", LENGTH],
  ["the first position alone", 1],
  ["some positions", 2],
])("%s attend to masked rows: one node, the same values", async (_, asking) => {
  const inputs = call(BATCH, asking, LENGTH);
  const graph = optimise(traceEntry(attention(), {}, inputs, {}).graph);
  const one = fuseAttention(graph);
  expect([fused(graph), fused(one)]).toEqual([0, 1]);
  expect(one.nodes.filter(({ op }) => op === "Softmax" || op === "BatchMatMul")).toEqual([]);
  const feeds = prefixed(inputs, inputPrefix);
  expectSame(await runGraph(one, feeds), await runGraph(graph, feeds), 1e-6);
});

test("what is masked has no part in it", async () => {
  const inputs = call(BATCH, LENGTH, LENGTH);
  const one = fuseAttention(optimise(traceEntry(attention(), {}, inputs, {}).graph));
  const context = async (given: HostTensors) => {
    const outputs = await runGraph(one, prefixed(given, inputPrefix));
    return [...(outputs["output/context"]?.data ?? [])].slice(2 * LENGTH * HEADS * WIDTH); // the last row: one position
  };
  const other = spread([BATCH, LENGTH, HEADS * WIDTH], 91);
  const kept = 2 * LENGTH * HEADS * WIDTH + HEADS * WIDTH;
  other.data.set([...(inputs["value"]?.data ?? [])].slice(0, kept));
  expect(other.data).not.toEqual(inputs["value"]?.data);
  expect(await context({ ...inputs, value: other })).toEqual(await context(inputs));
});

test("one graph holds for every batch and length", async () => {
  const rows = ["batch", "length", null];
  const axes: DynamicAxes = { query: rows, key: rows, value: rows, mask: ["batch", "length"] };
  const traced = traceEntry(attention(), {}, call(BATCH, LENGTH, LENGTH), axes);
  const graph = optimise(traced.graph);
  const one = fuseAttention(graph);
  expect(fused(one)).toBe(1);
  const symbols = traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input }));
  for (const [batch, length] of [
    [1, 7],
    [2, 1],
    [3, 12],
  ] as const) {
    const feeds = prefixed(call(batch, length, length), inputPrefix);
    expectSame(await runGraph(one, feeds, { symbols }), await runGraph(graph, feeds, { symbols }), 1e-6);
  }
});

const unfused: Readonly<Record<string, Form>> = {
  "probabilities that are recorded": { outputs: (probabilities) => ({ probabilities }) },
  "probabilities that something else reads": { outputs: (probabilities) => ({ sum: tf.sum(probabilities) }) },
  "dropout of the probabilities": { between: (x, inputs) => tf.mul<tf.Tensor4D>(x, inputs["dropout"] as tf.Tensor4D) },
  "a bias that differs by the position that attends": { bias: ({ wide }) => wide as tf.Tensor4D },
  "a factor of the context": { after: (context) => tf.mul(context, 3) },
};

test.each(Object.entries(unfused))("%s: left as it is", (_, form) => {
  const inputs = {
    ...call(BATCH, LENGTH, LENGTH),
    dropout: spread([BATCH, HEADS, LENGTH, LENGTH]),
    wide: spread([BATCH, 1, LENGTH, LENGTH]),
  };
  const graph = optimise(traceEntry(attention(form), {}, inputs, {}).graph);
  const one = fuseAttention(graph);
  expect(fused(one)).toBe(0);
  expect(one.nodes.map(({ op }) => op)).toEqual(graph.nodes.map(({ op }) => op));
});

test("gradients leave attention as it is", () => {
  const step: EntryPoint = (state, inputs) => {
    const gradient = tf.grad((query) =>
      tf.sum(attention()(state, { ...inputs, query }).outputs["context"] as tf.Tensor),
    );
    return { outputs: { gradient: gradient(inputs["query"] as tf.Tensor) } };
  };
  const graph = optimise(traceEntry(step, {}, call(BATCH, LENGTH, LENGTH), {}).graph);
  expect(graph.nodes.some(({ op }) => op === "Softmax")).toBe(true);
  expect(fused(fuseAttention(graph))).toBe(0);
});
