// AdamW of many parameters as that of one: a device starts a kernel for every node, and a parameter's update is fourteen of
// them. Parameters, moments and gradients that share their scalars are laid one after the other, updated at once and cut
// apart again; the copies cost less than the starts of the kernels that they save.

import { sizeOf } from "../../model/tensors";
import { type Graph, type Node, newValue, type Value } from "../graph/graph";

/** Ops of this pass: tensors laid one after the other in one dimension, and such a tensor cut into tensors again. */
export const [FLATTEN, CUT] = ["FlatConcat", "FlatSplit"] as const;

/** Of an AdamW's inputs: parameter, m, v, gradient, then the scalars. */
const TENSORS = 4;
const GRADIENT = 3;

/** Groups a step's updates; a graph without any is given back. Throws where another node needs an updated tensor. */
export function groupUpdates(graph: Graph): Graph {
  const updates = graph.nodes.filter(({ op }) => op === "AdamW");
  if (updates.length === 0) return graph;
  const updated = new Set(updates.flatMap(({ outputs }) => outputs.map(({ id }) => id)));
  const others = graph.nodes.filter(({ op }) => op !== "AdamW");
  const late = others.find(({ inputs }) => inputs.some(({ id }) => updated.has(id)));
  if (late) throw new Error(`${late.op} needs the result of an update, which is done after everything else`);

  const groups = new Map<string, Node[]>();
  for (const node of updates) {
    const scalars = node.inputs.slice(TENSORS).map(({ id }) => id);
    groups.set(`${scalars}`, [...(groups.get(`${scalars}`) ?? []), node]);
  }
  const flattened = new Map(
    [...groups].map(([key, members]) => [key, flatten(members.map((node) => node.inputs[GRADIENT] as Value))]),
  );
  const gradients = [...flattened.values()];
  const norm = others.findIndex(({ op }) => op === "GlobalNorm");
  const before = norm < 0 ? others : others.slice(0, norm);
  const after = norm < 0 ? [] : others.slice(norm);
  const nodes = [
    ...before,
    ...gradients,
    ...after.map((node) => (node.op === "GlobalNorm" ? normOfGroups(node, gradients) : node)),
    ...[...groups].flatMap(([key, members]) => updateOf(members, flattened.get(key) as Node)),
  ];
  return { ...graph, nodes };
}

function flatten(values: readonly Value[]): Node {
  const size = values.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const flat = newValue({ shape: [size], dtype: "float32" });
  return { op: FLATTEN, inputs: values, attributes: {}, outputs: [flat] };
}

/** The norm over all gradients is the norm over the groups that hold them. */
function normOfGroups(node: Node, groups: readonly Node[]): Node {
  const held = new Set(groups.flatMap(({ inputs }) => inputs.map(({ id }) => id)));
  const loose = node.inputs.filter(({ id }) => !held.has(id));
  return { ...node, inputs: [...groups.map(({ outputs }) => outputs[0] as Value), ...loose] };
}

/** One update of a group's flat tensors, between those that lay them out and those that cut the results apart. */
function updateOf(members: readonly Node[], gradient: Node): Node[] {
  const [first] = members as [Node];
  const laid = [0, 1, 2].map((at) => flatten(members.map(({ inputs }) => inputs[at] as Value)));
  const flat = [...laid, gradient].map(({ outputs }) => outputs[0] as Value);
  const results = laid.map(({ outputs }) => newValue(outputs[0] as Value));
  const update = { ...first, inputs: [...flat, ...first.inputs.slice(TENSORS)], outputs: results };
  const cuts = results.map((result, at) => ({
    op: CUT,
    inputs: [result],
    attributes: {},
    outputs: members.map(({ outputs }) => outputs[at] as Value),
  }));
  return [...laid, update, ...cuts];
}
