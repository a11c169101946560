// Rows of a batch, [batch, length, width], kept as [batch x length, width] from product to product: what works on each row or
// each element does so in either shape, and a reshape between every two of them costs as much as a small node does.

import { type Graph, type Shape, useCounts, type Value } from "../graph/graph";
import { type Builder, type Rewrite, rewrite } from "./rewrite";
import { reshape } from "./simplify";

/** Reshapes that only part the rows sink below elementwise nodes and layer norms, until something needs the parts. */
export function flattenRows(graph: Graph): Graph {
  const uses = useCounts(graph);
  const rule: Rewrite = (node, inputs, builder) => {
    const [output, ...others] = node.outputs as [Value, ...Value[]];
    if (node.op === "Reshape") return [reshape(inputs[0] as Value, output.shape, builder)];
    const wide = inputs.filter(({ shape }) => shape.length > 1);
    const shapes = wide.map((value) => flatShape(value, builder)).filter((shape) => shape !== null);
    const [flat] = shapes as [Shape?];
    const rowwise = elementwise.has(node.op) || (node.op === "LayerNorm" && !others.some(({ id }) => uses.has(id)));
    const fit = wide.every(({ shape }) => `${shape}` === `${output.shape}`);
    if (!rowwise || !flat || !fit || output.shape.length < 3) return null;
    const operands = inputs.map((value) => (value.shape.length > 1 ? reshape(value, flat, builder) : value));
    const types = node.op === "LayerNorm" ? [flat, flat, [flat[0] as number, 1]] : [flat];
    const made = builder.emit(
      node.op,
      operands,
      node.attributes,
      types.map((shape) => ({ shape, dtype: output.dtype })),
    );
    return [reshape(made[0] as Value, output.shape, builder), ...others];
  };
  return rewrite(graph, rule);
}

const elementwise: ReadonlySet<string> = new Set(["Add", "Multiply", "Sub", "Gelu"]);

/** The shape of two axes that a value was parted from, with the same last one; null where it was not. */
function flatShape(value: Value, builder: Builder): Shape | null {
  const made = builder.producer(value);
  if (made?.op !== "Reshape") return null;
  const { shape } = made.inputs[0] as Value;
  return shape.length === 2 && shape[1] === value.shape.at(-1) && value.shape.length > 2 ? shape : null;
}
