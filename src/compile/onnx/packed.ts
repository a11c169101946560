// Which weights of a graph can be stored smaller, and their smaller forms. What is not named here stays float32: biases, layer
// norms, and tables that are added row by row, which are few.

import {
  type ColumnFactors,
  type Int8Codes,
  type Int8Layout,
  quantiseMatrix,
  quantiseTable,
  sevenBits,
  toFloat16,
} from "../../model/int8";
import type { HostTensor } from "../../model/tensors";
import type { Graph, Node, Value } from "../graph/graph";
import type { Float16Weight, Int8Weight } from "./constants";

/** Every input that is read as a matrix of plain products alone, or alone as a table of rows. */
export function int8Layouts(graph: Graph): Map<string, Int8Layout> {
  const read = new Map<number, Set<Int8Layout | null>>();
  for (const node of graph.nodes) {
    for (const [at, { id }] of node.inputs.entries()) read.set(id, (read.get(id) ?? new Set()).add(layoutAt(node, at)));
  }
  for (const { id } of graph.outputs.values()) read.set(id, (read.get(id) ?? new Set()).add(null));
  const layouts = new Map<string, Int8Layout>();
  for (const [name, { id, shape, dtype }] of graph.inputs) {
    const [layout, ...others] = read.get(id) ?? [];
    if (layout && others.length === 0 && shape.length === 2 && dtype === "float32") layouts.set(name, layout);
  }
  return layouts;
}

/** As what a node reads an input, if it can be int8 there. */
export function layoutAt({ op, inputs, attributes }: Node, at: number): Int8Layout | null {
  if (op === "GatherV2") return at === 0 && attributes["axis"] === 0 ? "table" : null;
  if (at !== 1 || (op !== "Affine" && op !== "BatchMatMul")) return null;
  const plain = attributes["transposeB"] && !attributes["transposeA"] && attributes["alpha"] === undefined;
  return plain && (inputs[0] as Value).shape.length === 2 ? "matrix" : null;
}

/** @param factors of a matrix: what was moved into it */
export function int8Weight({ shape, data }: HostTensor, layout: Int8Layout, factors?: ColumnFactors): HeldInt8 {
  const [values, size] = [data as Float32Array, shape as readonly [number, number]];
  const kept = { shape, dtype: "float32", layout } as const;
  if (layout === "table") return { ...kept, ...quantiseTable(values, size) };
  if (!factors) return { ...kept, ...quantiseMatrix(values, size) };
  return { ...kept, ...quantiseMatrix(values, size, factors.columns), inverse: factors.inverse };
}

/** An int8 weight in memory. */
export type HeldInt8 = Int8Weight & Int8Codes & { readonly inverse?: Float32Array };

/** A matrix for processors that saturate products of two full bytes; a table is no operand of such. */
export const forSaturating = (weight: HeldInt8): HeldInt8 =>
  weight.layout === "table" ? weight : { ...weight, ...sevenBits(weight) };

export const float16Weight = ({ shape, data }: HostTensor): Float16Weight => ({
  shape,
  dtype: "float32",
  halves: toFloat16(data as Float32Array),
});
