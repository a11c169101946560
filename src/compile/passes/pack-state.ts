// State that an update works on as one matrix is kept as one: parameters and both moments of a group. Between steps nothing is
// laid out or cut apart but the parameters, which the forward pass reads one by one.

import { sizeOf } from "../../model/tensors";
import { nextPrefix, statePrefix } from "../entry";
import { type Graph, type Node, newValue, only, type Value } from "../graph/graph";
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

/**
 * Laying out all that was cut out of a matrix, in order, gives that matrix. And what one condition chooses between the parts of two
 * matrices is its choice between the two: so a step with a loss scale keeps its old state.
 */
function joinCuts(graph: Graph): Graph {
  const made = new Map<number, Node>();
  const same = new Map<number, Value>();
  const resolve = (value: Value): Value => same.get(value.id) ?? value;
  const nodes: Node[] = [];
  for (const before of graph.nodes) {
    const node = { ...before, inputs: before.inputs.map(resolve) };
    for (const { id } of node.outputs) made.set(id, node);
    const whole = node.op === FLATTEN ? wholeOf(node.inputs, node.attributes["width"], made) : null;
    const choice = node.op === FLATTEN ? choiceOf(node, made) : null;
    if (whole) same.set(only(node).id, whole);
    else nodes.push(choice ?? node);
  }
  return { ...graph, nodes, outputs: new Map([...graph.outputs].map(([name, value]) => [name, resolve(value)])) };
}

/** The matrix that was cut into these values, in rows of this width; null where they are not all of one. */
function wholeOf(values: readonly Value[], width: unknown, made: ReadonlyMap<number, Node>): Value | null {
  const cut = made.get(values[0]?.id ?? -1);
  if (cut?.op !== CUT || cut.attributes["width"] !== width || cut.outputs.length !== values.length) return null;
  return cut.outputs.every(({ id }, at) => id === values[at]?.id) ? (cut.inputs[0] as Value) : null;
}

/** Of matrices, what a node lays out of choices that one condition makes between their parts; null for any other node. */
function choiceOf(node: Node, made: ReadonlyMap<number, Node>): Node | null {
  const choices = node.inputs.flatMap(({ id }) => made.get(id) ?? []).filter(({ op }) => op === "Select");
  if (choices.length < node.inputs.length) return null;
  const [condition, ...others] = choices.map(({ inputs: [own] }) => spreadFrom(own as Value, made));
  if (!condition || sizeOf(condition.shape) !== 1 || others.some(({ id }) => id !== condition.id)) return null;
  const sides = [1, 2].map((side) => {
    const parts = choices.map(({ inputs }) => inputs[side] as Value);
    return wholeOf(parts, node.attributes["width"], made);
  });
  const [chosen, other] = sides;
  return chosen && other
    ? { op: "Select", inputs: [condition, chosen, other], attributes: {}, outputs: node.outputs }
    : null;
}

/** The value that was reshaped and repeated to this one. */
function spreadFrom(value: Value, made: ReadonlyMap<number, Node>): Value {
  const node = made.get(value.id);
  return node?.op === "BroadcastTo" || node?.op === "Reshape" ? spreadFrom(node.inputs[0] as Value, made) : value;
}
