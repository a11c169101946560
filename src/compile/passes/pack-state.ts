// State that an update works on as one matrix is kept as one: parameters and both moments of a group. Between steps nothing is
// laid out or cut apart but the parameters, which the forward pass reads one by one.

import { nextPrefix, statePrefix } from "../entry";
import { type Graph, type Node, newValue, type Value } from "../graph/graph";
import { CUT, FLATTEN } from "./group-updates";
import { withoutDeadNodes } from "./rewrite";

/** A matrix [rows, width] of state, and the tensors that lie in it one after the other. */
export interface PackedState {
  readonly name: string;
  readonly width: number;
  readonly rows: number;
  readonly members: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** The matrices in which a graph of grouped updates could keep its state: those that it lays out of inputs alone. */
export function packingOf(graph: Graph): PackedState[] {
  const names = new Map([...graph.inputs].map(([name, { id }]) => [id, name]));
  const packings: PackedState[] = [];
  for (const { op, inputs, attributes, outputs } of graph.nodes) {
    if (op !== FLATTEN) continue;
    const members = inputs.map(({ id, shape }) => ({ name: names.get(id) ?? "", shape }));
    if (!members.every(({ name }) => name.startsWith(statePrefix))) continue;
    const width = attributes["width"] as number;
    const rows = (outputs[0] as Value).shape[0] as number;
    const own = members.map(({ name, shape }) => ({ name: name.slice(statePrefix.length), shape }));
    packings.push({ name: `packed/${packings.length}`, width, rows, members: own });
  }
  return packings;
}

/** The graph over packed state: members are cut out of their matrices, and a matrix with a new member is given back whole. */
export function packState(graph: Graph, packings: readonly PackedState[]): Graph {
  const inputs = new Map(graph.inputs);
  const outputs = new Map(graph.outputs);
  const [cuts, flattened]: [Node[], Node[]] = [[], []];
  for (const { name, width, rows, members } of packings) {
    const present = members.map((member) => inputs.get(statePrefix + member.name));
    if (!present.some(Boolean)) continue;
    const matrix = newValue({ shape: [rows, width], dtype: "float32" });
    const values = present.map((value, at) => value ?? newValue({ shape: members[at]?.shape ?? [], dtype: "float32" }));
    for (const member of members) inputs.delete(statePrefix + member.name);
    inputs.set(statePrefix + name, matrix);
    cuts.push({ op: CUT, inputs: [matrix], attributes: { width }, outputs: values });
    const next = members.map((member) => outputs.get(nextPrefix + member.name));
    if (!next.some(Boolean)) continue;
    const whole = newValue(matrix);
    const parts = next.map((value, at) => value ?? (values[at] as Value));
    flattened.push({ op: FLATTEN, inputs: parts, attributes: { width }, outputs: [whole] });
    for (const member of members) outputs.delete(nextPrefix + member.name);
    outputs.set(nextPrefix + name, whole);
  }
  return withoutDeadNodes(joinCuts({ inputs, nodes: [...cuts, ...graph.nodes, ...flattened], outputs }));
}

/** Laying out all that was cut out of a matrix, in order, gives that matrix. */
function joinCuts(graph: Graph): Graph {
  const cutOf = new Map<number, Node>();
  const same = new Map<number, Value>();
  const resolve = (value: Value): Value => same.get(value.id) ?? value;
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(resolve);
    if (node.op === CUT) for (const value of node.outputs) cutOf.set(value.id, { ...node, inputs });
    const cut = node.op === FLATTEN ? cutOf.get((inputs[0] as Value).id) : undefined;
    const whole =
      cut !== undefined &&
      cut.attributes["width"] === node.attributes["width"] &&
      cut.outputs.length === inputs.length &&
      cut.outputs.every(({ id }, at) => id === inputs[at]?.id);
    if (whole) same.set((node.outputs[0] as Value).id, cut.inputs[0] as Value);
    else nodes.push({ ...node, inputs });
  }
  return { ...graph, nodes, outputs: new Map([...graph.outputs].map(([name, value]) => [name, resolve(value)])) };
}
