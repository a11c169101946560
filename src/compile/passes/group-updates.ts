// AdamW of many parameters as that of one: a device starts a kernel for every node, and a parameter's update is fourteen of
// them. Parameters, moments and gradients that share their scalars are laid one after the other, updated at once and cut
// apart again; the copies cost less than the starts of the kernels that they save.

import { sizeOf } from "../../model/tensors";
import { type Graph, type Node, newValue, type Value } from "../graph/graph";

/** Ops of this pass: tensors laid one after the other as rows of one matrix, and such a matrix cut into tensors again. */
export const [FLATTEN, CUT] = ["FlatConcat", "FlatSplit"] as const;

/** Of an AdamW's inputs: parameter, m, v, gradient, then the scalars. */
const TENSORS = 4;
const GRADIENT = 3;

/** Elements below which a tensor is laid out as one column: its rows need not fit others'. */
const SMALL = 8192;
/** Rows narrower than this are not worth it: onnxruntime's Concat and Split on CUDA bring a number a row to the device. */
const NARROWEST = 32;

interface Group {
  readonly members: readonly Node[];
  /** Elements of a row. */
  readonly width: number;
}

/** Groups a step's updates; a graph without any is given back. */
export function groupUpdates(graph: Graph): Graph {
  const updates = graph.nodes.filter(({ op }) => op === "AdamW");
  if (updates.length === 0) return graph;
  const groups = groupsOf(updates);
  const laid = groups.map((group) => ({ group, gradient: flatten(group, GRADIENT) }));
  const grouped = new Set(groups.flatMap(({ members }) => members));
  const loose = updates.filter((node) => !grouped.has(node));
  const { before, after } = aroundUpdates(graph, updates);
  const norm = before.findIndex(({ op }) => op === "GlobalNorm");
  const split = norm < 0 ? before.length : norm;
  const gradients = laid.map(({ gradient }) => gradient);
  const nodes = [
    ...before.slice(0, split),
    ...gradients,
    ...before.slice(split).map((node) => (node.op === "GlobalNorm" ? normOfGroups(node, gradients) : node)),
    ...laid.flatMap(({ group, gradient }) => updateOf(group, gradient)),
    ...loose,
    ...after,
  ];
  return { ...graph, nodes };
}

/** The other nodes: those that need nothing of an update, and those that do. */
function aroundUpdates(graph: Graph, updates: readonly Node[]): { before: Node[]; after: Node[] } {
  const late = new Set(updates.flatMap(({ outputs }) => outputs.map(({ id }) => id)));
  const [before, after]: [Node[], Node[]] = [[], []];
  for (const node of graph.nodes) {
    if (node.op === "AdamW") continue;
    if (!node.inputs.some(({ id }) => late.has(id))) before.push(node);
    else {
      after.push(node);
      for (const { id } of node.outputs) late.add(id);
    }
  }
  return { before, after };
}

/** Of each set of scalars the large tensors, in rows as wide as they all allow, and the small ones, one element a row. */
function groupsOf(updates: readonly Node[]): Group[] {
  const byScalars = new Map<string, Node[]>();
  for (const node of updates) {
    const scalars = `${node.inputs.slice(TENSORS).map(({ id }) => id)}`;
    byScalars.set(scalars, [...(byScalars.get(scalars) ?? []), node]);
  }
  return [...byScalars.values()].flatMap((members) => {
    const small = members.filter((node) => sizeOfUpdate(node) < SMALL);
    const large = members.filter((node) => sizeOfUpdate(node) >= SMALL);
    const width = large.map(sizeOfUpdate).reduce(greatestDivisor, 0);
    const groups = [{ members: small, width: 1 }, ...(width < NARROWEST ? [] : [{ members: large, width }])];
    return groups.filter(({ members: own }) => own.length > 1);
  });
}

const sizeOfUpdate = ({ inputs }: Node): number => sizeOf((inputs[GRADIENT] as Value).shape);

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

function flatten({ members, width }: Group, input: number): Node {
  const values = members.map(({ inputs }) => inputs[input] as Value);
  const size = values.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const matrix = newValue({ shape: [size / width, width], dtype: "float32" });
  return { op: FLATTEN, inputs: values, attributes: { width }, outputs: [matrix] };
}

/** The norm over all gradients is the norm over the groups that hold them, and over those in none. */
function normOfGroups(node: Node, groups: readonly Node[]): Node {
  const loose = [...node.inputs];
  for (const { id } of groups.flatMap(({ inputs }) => inputs)) {
    const at = loose.findIndex((gradient) => gradient.id === id); // two parameters may have one gradient: it counts twice
    if (at < 0) throw new Error("an update's gradient has no part in the norm");
    loose.splice(at, 1);
  }
  return { ...node, inputs: [...groups.map(({ outputs }) => outputs[0] as Value), ...loose] };
}

/** One update of a group's matrices, between what lays them out and what cuts the results apart. */
function updateOf(group: Group, gradient: Node): Node[] {
  const { members, width } = group;
  const [first] = members as [Node];
  const laid = [0, 1, 2].map((at) => flatten(group, at));
  const matrices = [...laid, gradient].map(({ outputs }) => outputs[0] as Value);
  const results = laid.map(({ outputs }) => newValue(outputs[0] as Value));
  const update = { ...first, inputs: [...matrices, ...first.inputs.slice(TENSORS)], outputs: results };
  const cuts = results.map((result, at) => ({
    op: CUT,
    inputs: [result],
    attributes: { width },
    outputs: members.map(({ outputs }) => outputs[at] as Value),
  }));
  return [...laid, update, ...cuts];
}
