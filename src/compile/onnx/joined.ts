// Products of the same rows with several int8 matrices, as query, key and value are, become one product with the matrices side
// by side: the rows are read once, and a product costs a start, a scaling and a bias. Every output is the sum of the same
// integers, so no bit changes. Stored weights are joined by the same rule, for the one matrix to be where a graph finds it.

import { familyOf, joinedName, joinMatrices } from "../../model/int8";
import type { HostTensor } from "../../model/tensors";
import { type Graph, type Node, newValue, only, useCounts, type Value } from "../graph/graph";
import type { Constant } from "./constants";
import { type HeldInt8, layoutAt } from "./packed";

/** Products that become one, in the graph's order. */
interface Group {
  readonly nodes: readonly Node[];
  readonly weights: Joined;
  /** null where each product keeps its own. */
  readonly biases: Joined | null;
}

interface Joined {
  readonly name: string;
  readonly members: readonly string[];
}

type Constants = Readonly<Record<string, Constant>>;

/** The graph with one product in the place of each group, and its constants. */
export function joinProducts(
  graph: Graph,
  constants: Constants,
): { readonly graph: Graph; readonly constants: Constants } {
  const groups = groupsOf(graph, constants);
  if (groups.length === 0) return { graph, constants };
  const inputs = new Map(graph.inputs);
  const made = new Map<Node, readonly Node[]>();
  for (const { nodes, weights, biases } of groups) {
    const add = ({ name, members }: Joined): Value => {
      const [rows, ...others] = (inputs.get(members[0] as string) as Value).shape as [number, ...number[]];
      const value = newValue({ shape: [rows * members.length, ...others], dtype: "float32" });
      for (const member of members) inputs.delete(member);
      inputs.set(name, value);
      return value;
    };
    for (const [node, own] of joinedNodes(nodes, add(weights), biases && add(biases))) made.set(node, own);
  }
  const nodes = graph.nodes.flatMap((node) => made.get(node) ?? [node]);
  return { graph: { ...graph, inputs, nodes }, constants: joinConstants(groups, constants) };
}

/** Weights as they are stored with such a graph. */
export const joinWeights = (graph: Graph, weights: Readonly<Record<string, HostTensor | HeldInt8>>) =>
  joinConstants(groupsOf(graph, weights), weights) as Record<string, HostTensor | HeldInt8>;

/** What stands in each product's place: in the first one's all of them and their parts, then biases that were not joined. */
function joinedNodes(nodes: readonly Node[], weight: Value, bias: Value | null): Map<Node, readonly Node[]> {
  const [first] = nodes as readonly [Node];
  const [x] = first.inputs as readonly [Value];
  const all = newValue({ shape: [x.shape[0] as number, weight.shape[0] as number], dtype: "float32" });
  const inputs = bias ? [x, weight, bias] : [x, weight];
  const product = { op: bias ? "Affine" : "BatchMatMul", inputs, attributes: first.attributes, outputs: [all] };
  const parts: Value[] = [];
  const made = new Map<Node, readonly Node[]>();
  for (const node of nodes) {
    const [output, own] = [only(node), bias ? undefined : node.inputs[2]];
    const part = own ? newValue(output) : output;
    parts.push(part);
    made.set(node, own ? [{ op: "Add", inputs: [part, own], attributes: {}, outputs: [output] }] : []);
  }
  const split = { op: "Split", inputs: [all], attributes: { axis: 1 }, outputs: parts };
  return made.set(first, [product, split, ...(made.get(first) as readonly Node[])]);
}

function joinConstants(groups: readonly Group[], constants: Constants): Constants {
  const all: Record<string, Constant> = { ...constants };
  for (const { weights, biases } of groups) {
    for (const { name, members } of biases ? [weights, biases] : [weights]) {
      const parts = members.map((member) => constants[member] as Constant);
      for (const member of members) delete all[member];
      all[name] = joinParts(parts);
    }
  }
  return all;
}

function joinParts(parts: readonly Constant[]): Constant {
  const [first] = parts as readonly [Constant];
  if ("whole" in first) return first.whole.constant;
  const [rows, ...others] = first.shape as [number, ...number[]];
  const shape = [rows * parts.length, ...others];
  if ("codes" in first) return { ...first, shape, ...joinMatrices(parts as readonly HeldInt8[]) };
  const data = new Float32Array(shape[0] as number);
  for (const [at, part] of (parts as readonly HostTensor[]).entries()) data.set(part.data as Float32Array, at * rows);
  return { shape, dtype: "float32", data };
}

/**
 * Products of the same rows with int8 matrices of one shape, with the same moved into them, whose names belong together: the
 * branches of two tasks may read the same rows too, and one result for all would hold what each needs for its own while.
 */
function groupsOf(graph: Graph, constants: Constants): Group[] {
  const names = new Map([...graph.inputs].map(([name, { id }]) => [id, name]));
  const uses = useCounts(graph);
  const alone = ({ id }: Value) => (uses.get(id) === 1 ? names.get(id) : undefined);
  const found = new Map<string, { readonly node: Node; readonly weight: string }[]>();
  for (const node of graph.nodes) {
    const [x, matrix] = node.inputs as readonly [Value, Value?];
    const weight = matrix && layoutAt(node, 1) === "matrix" ? alone(matrix) : undefined;
    const kind = weight === undefined ? null : kindOf(constants[weight]);
    if (weight === undefined || kind === null || familyOf(weight) === null) continue;
    const key = `${x.id} [${matrix?.shape}] ${familyOf(weight)} ${kind}`;
    found.set(key, [...(found.get(key) ?? []), { node, weight }]);
  }
  return [...found.values()].flatMap((members): Group[] => {
    const weights = joinedOf(
      members.map(({ weight }) => weight),
      constants,
    );
    if (!weights) return [];
    const nodes = members.map(({ node }) => node);
    const biases = nodes.map(
      ({ inputs: [, matrix, bias] }) => (bias && bias.shape[0] === matrix?.shape[0] && alone(bias)) || "",
    );
    return [{ nodes, weights, biases: biases.includes("") ? null : joinedOf(biases, constants) }];
  });
}

/** What int8 matrices must have in common; null for any other constant, and for one that lies in a file for itself. */
function kindOf(constant: Constant | undefined): string | null {
  if (!constant) return null;
  if ("whole" in constant) return "codes" in constant.whole.constant ? `in ${constant.whole.name}` : null;
  if (!("codes" in constant) || constant.layout !== "matrix" || "location" in constant.codes) return null;
  return `moved ${constant.inverse ?? "nothing"}`;
}

/** null for fewer than two, and for such as neither are at hand nor lie joined. */
function joinedOf(members: readonly string[], constants: Constants): Joined | null {
  const name = members.length > 1 ? joinedName(members) : null;
  if (name === null) return null;
  const fits = (constant: Constant | undefined) => {
    if (!constant) return false;
    if ("whole" in constant) return constant.whole.name === name;
    return "codes" in constant || ("data" in constant && !("location" in constant.data) && constant.shape.length === 1);
  };
  return members.every((member) => fits(constants[member])) ? { name, members } : null;
}
