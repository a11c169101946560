// Fusion into matrix products: a scalar factor before or after a product becomes its alpha, and a bias added to a
// two-dimensional product becomes part of it. Both save a pass over memory.

import { type Graph, type Node, only, sameShape, useCounts, type Value } from "../graph/graph";
import { type Builder, type Rewrite, rewrite } from "./rewrite";
import { fillOf, isNormal } from "./simplify";

export function fuseProducts(graph: Graph): Graph {
  const scaled = rewrite(graph, scaleProducts(useCounts(graph)));
  return rewrite(scaled, addBiases(useCounts(scaled)));
}

type Uses = ReadonlyMap<number, number>;

/** Factors of operands, and of a result that nothing else needs. */
const scaleProducts = (uses: Uses): Rewrite => {
  return (node, inputs, builder) => {
    if (node.outputs[0]?.dtype !== "float32") return null;
    if (node.op === "BatchMatMul") {
      const operands = inputs.map((value) => unscaled(value, builder));
      const alpha = operands.reduce((product, { factor }) => product * factor, 1);
      if (alpha === 1 || !isNormal(Math.fround(alpha))) return null;
      const values = operands.map(({ value }) => value);
      return builder.emit("BatchMatMul", values, { ...node.attributes, alpha }, node.outputs);
    }
    if (node.op !== "Multiply") return null;
    const { value, factor } = unscaledOperands(inputs, builder);
    const product = builder.producer(value);
    if (factor === 1 || product?.op !== "BatchMatMul") return null;
    const [original] = node.inputs.filter(({ shape }) => sameShape(shape, only(node).shape));
    if (!original || uses.get(original.id) !== 1) return null;
    const inner = (product.attributes["alpha"] as number | undefined) ?? 1;
    const alpha = inner * factor;
    if (!isNormal(Math.fround(alpha))) return null;
    return builder.emit("BatchMatMul", product.inputs, { ...product.attributes, alpha }, node.outputs);
  };
};

/** x and c where a value is x times a scalar constant c; itself and 1 elsewhere. */
function unscaled(value: Value, builder: Builder): { value: Value; factor: number } {
  const made = builder.producer(value);
  return made?.op === "Multiply" ? unscaledOperands(made.inputs, builder, value) : { value, factor: 1 };
}

function unscaledOperands(operands: readonly Value[], builder: Builder, otherwise?: Value) {
  const [a, b] = operands as [Value, Value];
  const [left, right] = [a, b].map((x) => (x.shape.length === 0 ? fillOf(x, builder) : null));
  if (typeof right === "number") return { value: a, factor: right };
  if (typeof left === "number") return { value: b, factor: left };
  return { value: otherwise ?? a, factor: 1 };
}

/** x W + b as one Affine node. */
const addBiases = (uses: Uses): Rewrite => {
  return (node, inputs, builder) => {
    if (node.op !== "Add") return null;
    for (const at of [0, 1]) {
      const original = node.inputs[at] as Value;
      const [product, bias] = [builder.producer(inputs[at] as Value), inputs[1 - at] as Value];
      if (product && isPlainProduct(product) && bias.shape.length === 1 && uses.get(original.id) === 1) {
        if (!sameShape(only(product).shape, only(node).shape)) continue;
        return builder.emit("Affine", [...product.inputs, bias], product.attributes, node.outputs);
      }
    }
    return null;
  };
};

const isPlainProduct = ({ op, attributes, outputs }: Node): boolean =>
  op === "BatchMatMul" && !("alpha" in attributes) && outputs[0]?.shape.length === 2 && outputs[0].dtype === "float32";
