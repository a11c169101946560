// What the rules that lower an op to ONNX are given, and what several of them share.

import type { Int8Layout } from "../../model/int8";
import type { DType, Elements, Node, Shape, Value } from "../graph/graph";
import { ElementType, type OnnxAttribute } from "./proto";

/** What a rule writes into. Names stand for values. */
export interface Emitter {
  /** The name of a value of the graph. */
  name(value: Value): string;
  /** Adds a node and returns its first output. `as` gives the output the name of a value of the graph. */
  node(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>, as?: Value): string;
  /** Adds a node with several outputs; null leaves one out. */
  nodes(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    outputs: readonly (Value | null)[],
  ): void;
  /** Adds a node with `count` outputs that are no values of the graph; returns their names. */
  parts(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    count: number,
  ): readonly string[];
  /** The name of a scalar constant. */
  scalar(value: number, dtype: ScalarType): string;
  /** The name of a constant. */
  constant(elements: Elements, shape: Shape, dtype: DType): string;
  /** The name of a one-dimensional int64 constant: axes, pads. */
  integers(values: readonly number[]): string;
  /** The name of a one-dimensional int64 value that holds a shape, computed where a size is symbolic. */
  shape(sizes: Shape): string;
  /** Whether any node or output needs a value. */
  isUsed(value: Value): boolean;
  /** Names of values that several nodes need, made for the first of them. */
  once(key: string, make: () => readonly string[]): readonly string[];
  /** The parts of a weight that is stored as int8; null for any other value. */
  packed(value: Value): PackedNames | null;
  /** What no element of a value lies below, where its node says so; null elsewhere. */
  lowest(value: Value): number | null;
  /** What products are computed in. */
  readonly products: ProductType;
  /** Whether the nodes must all be of the standard. */
  readonly standard: boolean;
  /** Whether the nodes are for onnxruntime's WebGPU provider. */
  readonly webgpu: boolean;
}

/** Types of matrix products; operands are rounded to it, and the product is float32 again. */
export type ProductType = "float32" | "bfloat16" | "float16";

/** Scalars beside those of traced values. */
export type ScalarType = DType | "int64" | "uint8";

/** Names of the parts of an int8 weight. */
export interface PackedNames {
  readonly layout: Int8Layout;
  readonly codes: string;
  readonly scales: string;
  readonly inverse: string | null;
}

export type Lowering = (node: Node, emitter: Emitter) => void;

export const inputNames = (node: Node, emitter: Emitter): string[] => node.inputs.map(emitter.name);

/**
 * A product in the emitter's type, given as float32: its operands are rounded to that type, each once for all products that read it.
 * @param as the value that it is
 */
export function roundedProduct(
  op: string,
  operands: readonly string[],
  attributes: Readonly<Record<string, OnnxAttribute>>,
  { products, node, once }: Emitter,
  as?: Value,
): string {
  if (products === "float32") return node(op, operands, attributes, as);
  const cast = (x: string) =>
    once(`${products} ${x}`, () => [node("Cast", [x], { to: { int: ElementType[products] } })]);
  const product = node(op, operands.flatMap(cast), attributes);
  return node("Cast", [product], { to: { int: ElementType.float32 } }, as);
}

/**
 * The sum over all axes but the last as a product with ones: onnxruntime's ReduceSum over leading axes takes two to
 * six times as long (docs/decisions.md).
 */
export function sumRows(x: string, shape: Shape, emitter: Emitter, as: Value): void {
  const width = shape.at(-1) as number;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const matrix = shape.length === 2 ? x : emitter.node("Reshape", [x, emitter.shape([rows, width])]);
  const ones = emitter.node("Expand", [emitter.scalar(1, "float32"), emitter.shape([1, rows])]);
  const sum = emitter.node("MatMul", [ones, matrix]); // [1, width]
  emitter.node("Reshape", [sum, emitter.integers(as.shape)], {}, as);
}
