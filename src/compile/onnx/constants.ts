// Constants of a model: weights in the forms in which they may be stored, as initializers and what reads them.

import { float16Name, type Int8Layout, int8Names } from "../../model/int8";
import type { HostTensor } from "../../model/tensors";
import { bytesOf, type Graph, type Shape, type ValueType } from "../graph/graph";
import type { PackedNames } from "./lowering";
import { elementTypes } from "./ops";
import { ElementType, type ExternalBytes, type OnnxNode, type OnnxTensor } from "./proto";

/** A weight whose bytes lie in another file. */
export interface ExternalTensor extends ValueType {
  readonly data: ExternalBytes;
}

/**
 * A constant of the model. An int8 one must be a product's matrix or a table of rows (quantised.ts); a float16 one is
 * cast to float32, which onnxruntime does once when it loads the model.
 */
export type Constant = HostTensor | ExternalTensor | Int8Weight | Float16Weight | JoinedPart;

/** As model/int8.ts makes it. The shape is that of the float32 weight. */
export interface Int8Weight extends ValueType {
  readonly dtype: "float32";
  readonly layout: Int8Layout;
  readonly codes: Int8Array | ExternalBytes;
  readonly scales: Float32Array | ExternalBytes;
  /** Of a matrix, [in]: rows are multiplied by it before they are quantised; its columns hold the opposite. */
  readonly inverse?: Float32Array | ExternalBytes;
}

export interface Float16Weight extends ValueType {
  readonly dtype: "float32";
  readonly halves: Uint16Array | ExternalBytes;
}

/** A weight that lies in another file joined with others (joined.ts): only their one product reads it. */
export interface JoinedPart extends ValueType {
  readonly dtype: "float32";
  readonly whole: { readonly name: string; readonly constant: ExternalTensor | Int8Weight };
}

/** @param asRow declares a vector as a matrix of one row */
export function initializersOf(name: string, constant: Constant, asRow = false): OnnxTensor[] {
  const { shape, dtype } = constant;
  const stored = (as: string, type: ElementType, dims: Shape, data: ArrayBufferView | ExternalBytes): OnnxTensor => ({
    name: as,
    type,
    dims,
    bytes: "location" in data ? data : bytesOf(data),
  });
  if ("data" in constant) return [stored(name, elementTypes[dtype], asRow ? [1, ...shape] : shape, constant.data)];
  if ("whole" in constant)
    throw new Error(`${name} lies in ${constant.whole.name}, and its product is another one here`);
  if ("halves" in constant) return [stored(float16Name(name), ElementType.float16, shape, constant.halves)];
  return int8Parts(name, constant).map((part) => stored(part.name, ElementType[part.dtype], part.shape, part.data));
}

/** The tensors that hold an int8 weight, in memory or elsewhere. */
export function int8Parts<W extends Int8Weight>(
  name: string,
  { codes, scales, layout, inverse, shape }: W,
): Int8Part<W>[] {
  const names = int8Names(name);
  const [rows, width] = shape as [number, number];
  return [
    { name: names[layout], dtype: "int8", shape: layout === "matrix" ? [width, rows] : shape, data: codes },
    { name: names.scales, dtype: "float32", shape: [rows], data: scales },
    ...(inverse ? [{ name: names.inverse, dtype: "float32", shape: [width], data: inverse } as const] : []),
  ];
}

type Int8Part<W extends Int8Weight> = { readonly name: string; readonly shape: Shape } & (
  | { readonly dtype: "int8"; readonly data: W["codes"] }
  | { readonly dtype: "float32"; readonly data: W["scales"] | NonNullable<W["inverse"]> }
);

/** Names of the int8 parts of inputs, by the ids of their values. */
export function packedInputs(graph: Graph, constants: Readonly<Record<string, Constant>>): Map<number, PackedNames> {
  const packed = new Map<number, PackedNames>();
  for (const [name, { id }] of graph.inputs) {
    const constant = constants[name];
    if (!constant || !("codes" in constant)) continue;
    const { layout, inverse } = constant;
    const names = int8Names(name);
    packed.set(id, { layout, codes: names[layout], scales: names.scales, inverse: inverse ? names.inverse : null });
  }
  return packed;
}

/**
 * The constants that nothing reads but products with int8 matrices, as their biases: ids of their values. They are rows,
 * because of an Add of a vector before a GELU onnxruntime makes its BiasGelu, which takes longer than both (docs/decisions.md).
 */
export function biasRows(
  graph: Graph,
  packed: ReadonlyMap<number, PackedNames>,
  constants: Readonly<Record<string, Constant>>,
): Set<number> {
  const others = new Set([...graph.outputs.values()].map(({ id }) => id));
  const biases = new Set<number>();
  for (const { op, inputs } of graph.nodes) {
    const ofPacked = op === "Affine" && packed.has(inputs[1]?.id ?? -1);
    for (const [at, { id }] of inputs.entries()) (ofPacked && at === 2 ? biases : others).add(id);
  }
  const held = [...graph.inputs].filter(([name, { id }]) => "data" in (constants[name] ?? {}) && !others.has(id));
  return new Set(held.flatMap(([, { id }]) => (biases.has(id) ? [id] : [])));
}

/** Casts of the float16 weights, which have the weights' names from then on. */
export function float16Casts(graph: Graph, constants: Readonly<Record<string, Constant>>): OnnxNode[] {
  return [...graph.inputs]
    .filter(([name]) => "halves" in (constants[name] ?? {}))
    .map(([name]) => ({
      op: "Cast",
      domain: "",
      inputs: [float16Name(name)],
      outputs: [name],
      attributes: { to: { int: ElementType.float32 } },
    }));
}
