// Recomputation: what the backward pass alone still needs of the forward pass, and can have for less than it costs to
// keep. GELU's output is as large as its input, which its gradient keeps anyway, and its gradient computes Phi(x).

import { type Graph, type Node, newValue, only, producers, type Value } from "../graph/graph";

/**
 * GELU's output as a second output of its gradient, for those users of it that come after the loss (the weight
 * gradient of the next product): one activation of the intermediate size less to keep for every trained layer.
 */
export function recomputeGelu(graph: Graph): Graph {
  return graph.nodes.filter(({ op }) => op === "GeluGradient").reduce(recomputeOne, graph);
}

function recomputeOne(graph: Graph, gradient: Node): Graph {
  const [dy, x] = gradient.inputs as [Value, Value];
  const forward = graph.nodes.find((node) => node.op === "Gelu" && node.inputs[0] === x);
  if (!forward) return graph;
  const beforeLoss = ancestors(graph, dy);
  const again = newValue(only(forward));
  const replaced = new Map([[only(forward).id, again]]);
  const redirected = (node: Node): Node => ({
    ...node,
    inputs: node.inputs.map((value) => replaced.get(value.id) ?? value),
  });
  const nodes: Node[] = [];
  const copies: Node[] = [];
  for (const node of graph.nodes) {
    const isUser = node.inputs.some(({ id }) => replaced.has(id));
    if (isUser && node.op === "Reshape") {
      const output = newValue(only(node)); // users before and after the loss may share the original
      copies.push({ ...redirected(node), outputs: [output] });
      replaced.set(only(node).id, output);
    }
    if (node === gradient) nodes.push({ ...node, outputs: [...node.outputs, again] });
    else nodes.push(isUser && node.op !== "Reshape" && !beforeLoss.has(node) ? redirected(node) : node);
  }
  return { ...graph, nodes: sorted(nodes, copies) };
}

/** The nodes that a value depends on. */
function ancestors({ nodes }: Graph, value: Value): ReadonlySet<Node> {
  const made = producers(nodes);
  const found = new Set<Node>();
  const waiting = [value];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const node = made.get(next.id);
    if (!node || found.has(node)) continue;
    found.add(node);
    waiting.push(...node.inputs);
  }
  return found;
}

/** Nodes in an order that runs, as near to the given one as that allows, and those of `others` that they need. */
function sorted(nodes: readonly Node[], others: readonly Node[]): Node[] {
  const made = producers([...nodes, ...others]);
  const done = new Set<Node>();
  const order: Node[] = [];
  const visit = (node: Node) => {
    if (done.has(node)) return;
    done.add(node);
    for (const { id } of node.inputs) {
      const producer = made.get(id);
      if (producer) visit(producer);
    }
    order.push(node);
  };
  nodes.forEach(visit);
  return order;
}
