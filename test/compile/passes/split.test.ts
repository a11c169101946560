// Splitting a step: what stays in the compiled graph, what the host does, and what is handed over.

import { expect, test } from "@jest/globals";
import { type Graph, type Node, newValue, type Value } from "../../../src/compile/graph/graph";
import { splitGraph } from "../../../src/compile/passes/split";

const hostOps = new Set(["Norm", "Update"]);
const matrix = { shape: [2, 2], dtype: "float32" } as const;
const node = (op: string, inputs: readonly Value[], type: { shape: readonly number[] } = matrix): Node => ({
  op,
  inputs,
  attributes: {},
  outputs: [newValue({ dtype: "float32", ...type })],
});
const made = ({ outputs }: Node) => outputs[0] as Value;

/** A gradient that two host nodes and an output share, an update with the norm, and a node that nothing needs. */
function step() {
  const [weight, x] = [newValue(matrix), newValue(matrix)];
  const gradient = node("Multiply", [weight, x]);
  const norm = node("Norm", [made(gradient)], { shape: [] });
  const update = node("Update", [weight, made(gradient), made(norm)]);
  const loss = node("Sum", [made(gradient)], { shape: [] });
  const unused = node("Exp", [x]);
  const inputs = new Map([
    ["state/weight", weight],
    ["input/x", x],
  ]);
  const outputs = new Map([
    ["next/weight", made(update)],
    ["output/norm", made(norm)],
    ["output/loss", made(loss)],
    ["output/gradient", made(gradient)],
    ["output/same", x],
  ]);
  const graph: Graph = { inputs, nodes: [gradient, unused, norm, loss, update], outputs };
  return { graph, weight, x, gradient, norm, update, loss };
}

test("each node runs on one side, and each side gives the outputs that it makes", () => {
  const { graph, x, gradient, norm, update, loss } = step();
  const { device, host } = splitGraph(graph, hostOps);
  expect(device.nodes).toEqual([gradient, loss]);
  expect(host.nodes).toEqual([norm, update]);
  expect([...device.outputs]).toEqual([
    ["output/loss", made(loss)],
    ["output/gradient", made(gradient)],
    ["output/same", x],
    ["handOver/0", made(gradient)],
  ]);
  expect([...host.outputs]).toEqual([
    ["next/weight", made(update)],
    ["output/norm", made(norm)],
  ]);
});

test("the host is given the graph's inputs by their names, and what the device makes once", () => {
  const { graph, weight, gradient } = step();
  const { device, host } = splitGraph(graph, hostOps);
  expect(host.inputs).toEqual(
    new Map([
      ["handOver/0", made(gradient)],
      ["state/weight", weight],
    ]),
  );
  expect(device.inputs).toBe(graph.inputs);
});

test("without host ops everything stays, but what nothing needs", () => {
  const { graph, gradient, loss } = step();
  const outputs = new Map([["output/loss", made(loss)]]);
  const { device, host } = splitGraph({ ...graph, nodes: [gradient, loss], outputs }, hostOps);
  expect([device.nodes, host.nodes, host.inputs.size, host.outputs.size]).toEqual([[gradient, loss], [], 0, 0]);
});

test("a node that needs an update's result is named", () => {
  const { graph, update } = step();
  const late = node("Tanh", [made(update)]);
  const needing = { ...graph, nodes: [...graph.nodes, late], outputs: new Map([["output/late", made(late)]]) };
  expect(() => splitGraph(needing, hostOps)).toThrow("Tanh needs the result of an update, which is done after");
});
