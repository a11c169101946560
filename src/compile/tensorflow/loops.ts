// Kernels that XLA compiles, each to one loop over its elements, while products stay with oneDNN: the optimizer's
// updates, which change variables in place, and what TensorFlow's own kernels would do in many passes over memory.

import { type Graph, type Node, useCounts, type Value } from "../graph/graph";
import { createEmitter, type Emitter, type Lowering } from "./emitter";
import { lowerings } from "./ops";
import type { GraphFunction, GraphNode, Ref, TensorType } from "./saved-model";
import { reader, writer } from "./variables";

/** The nodes of a graph that are loops of their own. */
export function loops(graph: Graph): ReadonlySet<Node> {
  const used = useCounts(graph);
  return new Set(graph.nodes.filter((node) => isLoop(node, used)));
}

function isLoop({ op, inputs, outputs }: Node, used: ReadonlyMap<number, number>): boolean {
  if (op === "GeluGradient" || op === "LayerNormGradient") return true;
  // GELU of what nothing else reads is part of its product, and LayerNorm without its statistics is one oneDNN call.
  if (op === "Gelu") return (used.get((inputs[0] as Value).id) ?? 0) > 1;
  return op === "LayerNorm" && outputs.slice(1).some(({ id }) => used.has(id));
}

/** A node as a call of its compiled function; equal kernels share one. */
export function callLoop(node: Node, emitter: Emitter, functions: GraphFunction[]): void {
  const outputs = node.outputs.filter(emitter.isUsed);
  const name = loopName(node, emitter);
  if (!functions.some((known) => known.name === name)) functions.push(loopFunction(name, node, outputs));
  emitter.call(name, node.inputs.map(emitter.ref), { as: outputs });
}

/** What the function depends on: the op, its attributes, the ranks of its inputs, and which outputs are used. */
function loopName({ op, attributes, inputs, outputs }: Node, { isUsed }: Emitter): string {
  const parts = [
    op,
    ...Object.entries(attributes).flat(),
    ...inputs.map(({ shape }) => shape.length),
    ...outputs.map((output) => (isUsed(output) ? "used" : "unused")),
  ];
  return parts.join("_").replaceAll(/[^A-Za-z0-9_]/g, "_");
}

function loopFunction(name: string, node: Node, outputs: readonly Value[]): GraphFunction {
  const nodes: GraphNode[] = [];
  const args = node.inputs.map(({ dtype }, i) => argument(i, dtype));
  const used = new Map(outputs.map(({ id }) => [id, 1]));
  const emitter = bodyEmitter(
    nodes,
    node.inputs.map((value, i) => [value, args[i] as Ref]),
    used,
  );
  (lowerings[node.op] as Lowering)(node, emitter);
  const results = outputs.map((value, i) => ({ name: `out${i}`, value: emitter.ref(value) }));
  return { name, nodes, inputs: args.map(({ node: arg, type }) => ({ name: arg, type })), outputs: results };
}

/**
 * The update of three variables by one node as a call of a function that reads and writes them, which equal updates
 * share. @returns the name of the call
 */
export function callUpdate(
  node: Node,
  variables: readonly Ref[],
  emitter: Emitter,
  functions: GraphFunction[],
  after: string,
): string {
  const name = `update_of_${node.inputs.length}`;
  if (!functions.some((known) => known.name === name)) functions.push(updateFunction(name, node));
  return emitter.call(name, [...variables, ...node.inputs.slice(3).map(emitter.ref)], { after: [after] });
}

function updateFunction(name: string, node: Node): GraphFunction {
  const nodes: GraphNode[] = [];
  const args = node.inputs.map(({ dtype }, i) => argument(i, i < 3 ? "resource" : dtype));
  const handles = new Map(args.map((ref) => [ref.node, ref]));
  const inputs = node.inputs.map((value, i): [Value, Ref] => [
    value,
    i < 3 ? reader(`read${i}`, `in${i}`, value, handles, nodes) : (args[i] as Ref),
  ]);
  const emitter = bodyEmitter(nodes, inputs, new Map());
  (lowerings[node.op] as Lowering)(node, emitter);
  for (const [i, value] of node.outputs.entries()) {
    nodes.push(writer(`write${i}`, args[i] as Ref, emitter.ref(value), ["read0", "read1", "read2"]));
  }
  return { name, nodes, inputs: args.map((arg) => ({ name: arg.node, type: arg.type })), outputs: [] };
}

const argument = (i: number, type: TensorType): Ref => ({ node: `in${i}`, output: null, index: 0, type });

/** Of kernels whose lowering needs no sizes. */
const bodyEmitter = (
  nodes: GraphNode[],
  inputs: readonly (readonly [Value, Ref])[],
  used: ReadonlyMap<number, number>,
): Emitter =>
  createEmitter(nodes, {
    ...{ prefix: "", inputs: new Map(inputs), symbols: [], carriers: new Map() },
    ...{ used, products: "float32" as const },
  });
