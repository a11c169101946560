// State in matrices: a graph over them gives what the graph over tensors gives, whatever it trains or reads, and lays out nothing
// but gradients.

import { beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { inputPrefix, nextPrefix, prefixed, statePrefix, traceEntry } from "../../../src/compile/entry";
import type { Graph } from "../../../src/compile/graph/graph";
import { CUT, FLATTEN, groupUpdates } from "../../../src/compile/passes/group-updates";
import { type PackedState, packingOf, packState } from "../../../src/compile/passes/pack-state";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import type { EntryPoint } from "../../../src/model/entry-point";
import { float32, type HostTensor, type HostTensors, sizeOf } from "../../../src/model/tensors";
import { expectSame, f32, runGraph, spread } from "../compare";
import { gradientOf, updateInputs, updateState, updateStep } from "../updates";

beforeAll(registerGradients);

const shapes = {
  "a.weight": [96, 128],
  "a.bias": [96],
  "b.weight": [64, 256],
  "b.bias": [3],
  "c.weight": [7, 5],
  "d.weight": [11],
};
const names = Object.keys(shapes);
const state = updateState(shapes, true);
const unscaled = updateState(shapes);

const grouped = (entry: EntryPoint, inputs: HostTensors, of: HostTensors = unscaled): Graph =>
  groupUpdates(optimise(traceEntry(entry, of, inputs, {}).graph));

/** Of all that is trained: weights in rows, biases and small weights in columns. */
const packings = packingOf(grouped(updateStep(names), updateInputs(shapes, names)));

const count = ({ nodes }: Graph, op: string) => nodes.filter((node) => node.op === op).length;

/** Tensors with a prefix, in the matrices of those of which all are there. */
function packed(tensors: HostTensors, prefix: string, into: readonly PackedState[]): HostTensors {
  const all: HostTensors = { ...tensors };
  for (const { name, rows, width, members } of into) {
    const parts = members.map((member) => all[prefix + member.name]);
    if (!parts.every((part) => part !== undefined)) continue;
    const data = parts.flatMap((part) => [...(part as HostTensor).data]);
    all[prefix + name] = float32([rows, width], Float32Array.from(data));
    for (const member of members) delete all[prefix + member.name];
  }
  return all;
}

/** What the graph gives over tensors and over matrices, which are laid out here by hand. */
async function both(entry: EntryPoint, inputs: HostTensors, of: HostTensors = unscaled) {
  const graph = grouped(entry, inputs, of);
  const over = packState(graph, packings);
  const fed = prefixed(inputs, inputPrefix);
  const wanted = await runGraph(graph, { ...prefixed(of, statePrefix), ...fed });
  const found = await runGraph(over, { ...packed(prefixed(of, statePrefix), statePrefix, packings), ...fed });
  return { over, wanted, found };
}

test("every group has a matrix of its parameters, of its first moments and of its second ones", () => {
  const groups = packings.map(({ members }) => members.map(({ name }) => name));
  const of = (prefix: string, group: readonly string[]) => group.map((name) => prefix + name);
  const wanted = [
    ["a.bias", "b.bias"],
    ["c.weight", "d.weight"],
    ["a.weight", "b.weight"],
  ];
  expect(groups).toHaveLength(9);
  for (const group of wanted) {
    for (const prefix of ["", "adam.m/", "adam.v/"]) expect(groups).toContainEqual(of(prefix, group));
  }
  for (const { rows, width, members } of packings) {
    expect(rows * width).toBe(members.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  }
  expect(new Set(packings.map(({ name }) => name)).size).toBe(packings.length);
});

test("the step that they are of gives the same, and lays out the gradients alone", async () => {
  const { over, wanted, found } = await both(updateStep(names), updateInputs(shapes, names));
  expectSame(found, packed(wanted, nextPrefix, packings), 0);
  expect([count(over, FLATTEN), count(over, CUT)]).toEqual([3, 0]);
});

test.each([
  ["finite", 1],
  ["an overflow", Infinity],
])("a step with a loss scale keeps or replaces whole matrices (gradients: %s)", async (_, last) => {
  const inputs = { ...updateInputs(shapes, names), [gradientOf("b.bias")]: f32([3], [1, 2, last]) };
  const { over, wanted, found } = await both(updateStep(names), inputs, state);
  expectSame(found, packed(wanted, nextPrefix, packings), 0);
  expect([count(over, FLATTEN), count(over, CUT)]).toEqual([3, 0]);
  const moved = wanted["next/a.weight"]?.data[0] !== state["a.weight"]?.data[0];
  expect(moved).toBe(Number.isFinite(last));
});

test("choices of a condition for each tensor are laid out", async () => {
  const entry: EntryPoint = (tensors, inputs) => {
    const { state: next = {}, outputs } = updateStep(names)(tensors, inputs);
    const chosen = Object.entries(next).map(([name, value]) => {
      const [parameter] = name.split("/").slice(-1) as [string];
      const condition = tf.greater(tf.sum(inputs[gradientOf(parameter)] as tf.Tensor), 0);
      return [name, tf.where(condition, value, tensors[name] as tf.Tensor)];
    });
    return { state: Object.fromEntries(chosen), outputs };
  };
  const { over, wanted, found } = await both(entry, updateInputs(shapes, names));
  expectSame(found, packed(wanted, nextPrefix, packings), 0);
  expect(count(over, FLATTEN)).toBe(12);
});

test("a step that trains some of a matrix gives it back whole, the others as they were", async () => {
  const some = ["a.bias", "a.weight", "c.weight", "d.weight"];
  const { wanted, found } = await both(updateStep(some), updateInputs(shapes, some));
  const kept = Object.entries(unscaled).filter(([name]) => !(nextPrefix + name in wanted));
  expect(kept.map(([name]) => name.replace(/^adam\.[mv]\//, ""))).toEqual(
    expect.arrayContaining(["b.weight", "b.bias"]),
  );
  const all = { ...wanted, ...prefixed(Object.fromEntries(kept), nextPrefix) };
  expectSame(found, packed(all, nextPrefix, packings), 0);
});

test("evaluation reads its tensors out of the matrices, which it does not give back", async () => {
  const entry: EntryPoint = (tensors, { x }) => {
    const [weight, bias] = [tensors["a.weight"], tensors["a.bias"]] as [tf.Tensor2D, tf.Tensor1D];
    return { outputs: { y: tf.matMul(tf.add(x as tf.Tensor2D, bias), weight), bias: tensors["b.bias"] as tf.Tensor } };
  };
  const { over, wanted, found } = await both(entry, { x: spread([2, 96]) });
  expectSame(found, wanted, 0);
  expect([count(over, CUT), count(over, FLATTEN)]).toEqual([2, 0]);
  expect([...over.outputs.keys()]).toEqual(Object.keys(wanted));
});

test("state that a step gives back as it is stays the same matrix", () => {
  const same: EntryPoint = (tensors, { x }) => ({
    state: { "a.bias": tensors["a.bias"] as tf.Tensor },
    outputs: { y: x as tf.Tensor },
  });
  const inputs = { x: spread([2]) };
  const over = packState(grouped(same, inputs), packings);
  const [name] = packings
    .filter(({ members }) => members.some((member) => member.name === "a.bias"))
    .map((p) => p.name);
  expect(over.outputs.get(nextPrefix + name)).toBe(over.inputs.get(statePrefix + name));
});

test("a graph without that state, or without matrices, stays as it is", () => {
  const entry: EntryPoint = (_, { x }) => ({ outputs: { y: tf.add(x as tf.Tensor, 1) } });
  const graph = grouped(entry, { x: spread([2]) }, { other: spread([3]) });
  expect([...packState(graph, packings).inputs.keys()]).toEqual(["state/other", "input/x"]);
  const step = grouped(updateStep(names), updateInputs(shapes, names));
  expect(packState(step, []).nodes.map(({ op }) => op)).toEqual(step.nodes.map(({ op }) => op));
});

test("tensors that a graph computes before it lays them out are in no matrix", () => {
  const entry: EntryPoint = (tensors, inputs) => {
    const twice = Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, tf.mul(x, 2)]));
    return updateStep(names)(twice, inputs);
  };
  expect(packingOf(grouped(entry, updateInputs(shapes, names)))).toEqual([]);
});
