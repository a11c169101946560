// How passes change a graph: they rebuild it node by node. The builder gives equal work one node (common
// subexpressions); nodes that no output needs are dropped at the end.

import {
  type Attribute,
  type Attributes,
  type Graph,
  type Node,
  newValue,
  sameShape,
  type Value,
  type ValueType,
} from "../graph/graph";

export interface Builder {
  /** The outputs of a node with this content: an existing one where there is one. */
  emit(op: string, inputs: readonly Value[], attributes: Attributes, types: readonly ValueType[]): readonly Value[];
  /** The node of the new graph that makes a value; undefined for inputs. */
  producer(value: Value): Node | undefined;
}

/**
 * What becomes of a node: the values that stand for its outputs, or null to keep it. `inputs` are the values of the
 * new graph that stand for the node's inputs.
 */
export type Rewrite = (node: Node, inputs: readonly Value[], builder: Builder) => readonly Value[] | null;

export function rewrite(graph: Graph, rule: Rewrite): Graph {
  const { builder, nodes } = createBuilder();
  const standIns = new Map<number, Value>();
  const standIn = (value: Value) => standIns.get(value.id) ?? value;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(standIn);
    const replaced = rule(node, inputs, builder) ?? builder.emit(node.op, inputs, node.attributes, node.outputs);
    for (const [i, output] of node.outputs.entries()) {
      const replacement = replaced[i] as Value;
      if (!sameShape(output.shape, replacement.shape) || output.dtype !== replacement.dtype) {
        throw new Error(
          `a pass replaced ${node.op} (${output.dtype} [${output.shape}]) by ${replacement.dtype} [${replacement.shape}]`,
        );
      }
      standIns.set(output.id, replacement);
    }
  }
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, standIn(value)] as const));
  return withoutDeadNodes({ inputs: graph.inputs, nodes, outputs });
}

function createBuilder(): { builder: Builder; nodes: Node[] } {
  const nodes: Node[] = [];
  const known = new Map<string, Node>();
  const made = new Map<number, Node>();
  const builder: Builder = {
    emit(op, inputs, attributes, types) {
      const key = `${op}(${inputs.map(({ id }) => id)})${attributeKey(attributes)}:${types[0]?.dtype}`;
      const existing = known.get(key);
      if (existing) return existing.outputs;
      const node: Node = { op, inputs, attributes, outputs: types.map(newValue) };
      nodes.push(node);
      known.set(key, node);
      for (const value of node.outputs) made.set(value.id, node);
      return node.outputs;
    },
    producer: (value) => made.get(value.id),
  };
  return { builder, nodes };
}

const identities = new WeakMap<object, number>();
let objects = 0;

/** Attributes as text. Element arrays count as equal only when they are the same object. */
function attributeKey(attributes: Attributes): string {
  const text = (value: Attribute): string => {
    if (typeof value !== "object") return String(Object.is(value, -0) ? "-0" : value);
    if (Array.isArray(value)) return `[${value}]`;
    if (!identities.has(value)) identities.set(value, ++objects);
    return `#${identities.get(value)}`;
  };
  return Object.entries(attributes)
    .map(([name, value]) => `${name}=${text(value)}`)
    .sort()
    .join(";");
}

/** The nodes that outputs need, in the same order. */
export function withoutDeadNodes(graph: Graph): Graph {
  const needed = new Set([...graph.outputs.values()].map(({ id }) => id));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(({ id }) => needed.has(id))) continue;
    for (const { id } of node.inputs) needed.add(id);
    nodes.push(node);
  }
  return { ...graph, nodes: nodes.reverse() };
}
