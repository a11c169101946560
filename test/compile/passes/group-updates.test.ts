// Updates in groups: the same state and the same norm as one update a parameter, in an order that runs.

import { beforeAll, describe, expect, test } from "@jest/globals";
import { inputPrefix, prefixed, statePrefix, traceEntry } from "../../../src/compile/entry";
import type { Graph } from "../../../src/compile/graph/graph";
import { toOnnxModel } from "../../../src/compile/onnx/onnx";
import { FLATTEN, groupUpdates } from "../../../src/compile/passes/group-updates";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import type { HostTensors } from "../../../src/model/tensors";
import { expectSame, f32, runGraph } from "../compare";
import { gradientOf, type Shapes, updateInputs, updateState, updateStep } from "../updates";

beforeAll(registerGradients);

function expectInOrder({ inputs, nodes, outputs }: Graph): void {
  const made = new Set([...inputs.values()].map(({ id }) => id));
  for (const node of nodes) {
    for (const { id } of node.inputs) expect(made.has(id)).toBe(true);
    for (const { id } of node.outputs) {
      expect(made.has(id)).toBe(false);
      made.add(id);
    }
  }
  for (const { id } of outputs.values()) expect(made.has(id)).toBe(true);
}

const count = ({ nodes }: Graph, op: string) => nodes.filter((node) => node.op === op).length;

interface Case {
  readonly shapes: Shapes;
  /** Updates that are left. */
  readonly updates: number;
  readonly scaled?: boolean;
  readonly same?: Readonly<Record<string, string>>;
}

/** The graph as it is and grouped, and what both are run with. */
function traced({ shapes, scaled = false, same = {} }: Case) {
  const names = Object.keys(shapes);
  const state = updateState(shapes, scaled);
  const inputs = updateInputs(shapes, names);
  for (const name of Object.keys(same)) delete inputs[gradientOf(name)];
  const { graph } = traceEntry(updateStep(names, same), state, inputs, {});
  const plain = optimise(graph);
  const feeds: HostTensors = { ...prefixed(state, statePrefix), ...prefixed(inputs, inputPrefix) };
  return { plain, grouped: groupUpdates(plain), feeds };
}

/** Of 12,288 and 16,384 elements: rows of 4,096. */
const large = { "a.weight": [96, 128], "b.weight": [64, 256], "c.weight": [32, 384] };
const small = { "d.weight": [7, 5], "e.weight": [1], "f.weight": [8191] };
const biases = { "a.bias": [96], "b.LayerNorm.weight": [64] };

const cases: Readonly<Record<string, Case>> = {
  "large tensors of one width, small ones and biases without decay": {
    shapes: { ...large, ...small, ...biases },
    updates: 3,
  },
  "large tensors without a width in common, which stay alone": {
    shapes: { "a.weight": [8193], "b.weight": [8194], ...small },
    updates: 3,
  },
  "large tensors with a width that is too narrow, which stay alone": {
    shapes: { "a.weight": [16 * 1021], "b.weight": [16 * 1031] },
    updates: 2,
  },
  "one large tensor, one small one and one bias, each by itself": {
    shapes: { "a.weight": [96, 128], "d.weight": [7, 5], "a.bias": [96] },
    updates: 3,
  },
  "a scaled loss, whose step keeps the old state where gradients overflow": {
    shapes: { ...large, ...small, ...biases },
    updates: 3,
    scaled: true,
  },
  "one gradient of two parameters, in a group and beside it: it counts twice in the norm": {
    shapes: { "a.weight": [7, 5], "b.weight": [35], "c.bias": [35] },
    same: { "c.bias": "b.weight" },
    updates: 2,
  },
};

describe.each(Object.entries(cases))("%s", (_, given) => {
  const { plain, grouped, feeds } = traced(given);

  test(`${given.updates} updates are left, in an order that runs`, () => {
    expect(count(plain, "AdamW")).toBe(Object.keys(given.shapes).length);
    expect(count(grouped, "AdamW")).toBe(given.updates);
    expectInOrder(grouped);
  });

  test("equal results", async () => {
    const [wanted, found] = [await runGraph(plain, feeds), await runGraph(grouped, feeds)];
    expectSame(found, wanted, 1e-6);
    const moved = Object.keys(given.shapes).filter((name) => {
      const before = feeds[statePrefix + name]?.data as Float32Array;
      const changed = before.filter((value, i) => value !== wanted[`next/${name}`]?.data[i]);
      return changed.length > before.length / 2;
    });
    expect(moved).toEqual(Object.keys(given.shapes));
  });
});

test("gradients that are not finite leave a scaled loss's state as it was", async () => {
  const { grouped, feeds } = traced({ shapes: { ...large, ...small }, updates: 2, scaled: true });
  const name = inputPrefix + gradientOf("d.weight");
  const results = await runGraph(grouped, { ...feeds, [name]: f32([7, 5], new Float32Array(35).fill(Infinity)) });
  for (const [output, { data }] of Object.entries(results)) {
    if (!output.startsWith("next/") || output.includes("loss_scale")) continue;
    expect(data).toEqual(feeds[statePrefix + output.slice("next/".length)]?.data);
  }
  expect([...(results["next/loss_scale.scale"]?.data ?? [])]).toEqual([32768]);
});

test("gradients that are not finite give a norm and a state that show it", async () => {
  const { grouped, feeds } = traced({ shapes: { ...large, ...small }, updates: 2 });
  const name = inputPrefix + gradientOf("d.weight");
  const results = await runGraph(grouped, { ...feeds, [name]: f32([7, 5], new Float32Array(35).fill(NaN)) });
  expect(results["output/norm"]?.data[0]).toBeNaN();
  expect(results["next/a.weight"]?.data[0]).toBeNaN();
});

test("rows for WebGPU are cut out one by one: the same values without a Split", async () => {
  const { grouped, feeds } = traced({ shapes: { ...large, ...small }, updates: 2 });
  const ops = (webgpu: boolean) => toOnnxModel(grouped, { webgpu }).graph.nodes.map(({ op }) => op);
  expect([ops(true).includes("Split"), ops(false).includes("Split")]).toEqual([false, true]);
  expectSame(await runGraph(grouped, feeds, { webgpu: true }), await runGraph(grouped, feeds));
});

test("the norm sums rows of groups, each gradient once", () => {
  const { grouped } = traced({ shapes: { ...large, ...small }, updates: 2 });
  const [norm] = grouped.nodes.filter(({ op }) => op === "GlobalNorm");
  const laid = grouped.nodes.filter(({ op }) => op === FLATTEN);
  expect(norm?.inputs.map(({ shape }) => shape[1])).toEqual([1, 4096]);
  const ids = new Set(norm?.inputs.map(({ id }) => id));
  expect(laid.filter(({ outputs }) => ids.has(outputs[0]?.id as number)).map(({ inputs }) => inputs.length)).toEqual([
    3, 3,
  ]);
});

test("a graph without updates is given back", () => {
  const graph = optimise(
    traceEntry((_, { x }) => ({ outputs: { y: x as never } }), {}, { x: f32([2], [1, 2]) }, {}).graph,
  );
  expect(groupUpdates(graph)).toBe(graph);
});
