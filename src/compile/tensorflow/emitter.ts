// What rules write TensorFlow nodes through: it numbers nodes, keeps constants and shapes once each, and knows which
// node stands for a value of the graph.

import { bytesOf, type DType, type Elements, type Node, type Shape, type Value } from "../graph/graph";
import { factorSize, type SymbolicSize } from "../graph/symbols";
import { completed } from "./nodes";
import type { GraphNode, NodeAttributes, Ref, TensorType } from "./saved-model";

/**
 * What matrix products are computed in. "rounded" is float16 where the device has no such product (oneDNN ends the
 * process on most CPUs): operands and result are rounded to it, and the product is one of float32.
 */
export type ProductType = "float32" | "bfloat16" | "float16" | "rounded";

export interface Emitter {
  ref(value: Value): Ref;
  /** Adds a node. `as` makes its output the value of the graph. */
  node(op: string, inputs: readonly Ref[], attributes?: NodeAttributes, as?: Value): Ref;
  /** Adds a call of a function that XLA compiles, which makes values or comes after other nodes. @returns its name */
  call(name: string, inputs: readonly Ref[], options: CallOptions): string;
  scalar(value: number, type: DType): Ref;
  constant(elements: Elements, shape: Shape, dtype: DType): Ref;
  /** A one-dimensional int32 constant: axes, permutations. */
  integers(values: readonly number[]): Ref;
  /** A one-dimensional int32 value that holds a shape, computed where a size is symbolic. */
  shape(sizes: Shape): Ref;
  /** The same, for a reshape: one symbolic size is left for TensorFlow to find. */
  targetShape(sizes: Shape): Ref;
  /** Whether any node or output needs a value. */
  isUsed(value: Value): boolean;
  readonly products: ProductType;
}

interface CallOptions {
  readonly as?: readonly Value[];
  readonly after?: readonly string[];
}

export type Lowering = (node: Node, emitter: Emitter) => void;

export interface EmitterOptions {
  /** Of every node's name, so that graphs can lie beside each other. */
  readonly prefix: string;
  /** What stands for the graph's inputs. */
  readonly inputs: ReadonlyMap<Value, Ref>;
  readonly symbols: readonly SymbolicSize[];
  /** The input that carries each symbol's size. */
  readonly carriers: ReadonlyMap<string, Ref>;
  readonly used: ReadonlyMap<number, number>;
  readonly products: ProductType;
}

/** An emitter that writes into `nodes`. */
export function createEmitter(nodes: GraphNode[], options: EmitterOptions): Emitter {
  const { prefix, symbols, carriers, used, products } = options;
  const refs = new Map([...options.inputs].map(([{ id }, ref]) => [id, ref]));
  const kept = new Map<string, Ref>();

  const once = (key: string, make: () => Ref): Ref => {
    const ref = kept.get(key) ?? make();
    kept.set(key, ref);
    return ref;
  };

  const node = (op: string, inputs: readonly Ref[], given: NodeAttributes = {}, as?: Value): Ref => {
    const name = `${prefix}n${nodes.length}`;
    const { attributes, output, type } = completed(op, inputs, given);
    nodes.push({ name, op, inputs, attributes });
    const ref: Ref = { node: name, output, index: 0, type };
    if (as) refs.set(as.id, ref);
    return ref;
  };

  const constant = (bytes: Uint8Array, shape: Shape, type: TensorType): Ref =>
    node("Const", [], { dtype: { type }, value: { tensor: { type, shape, bytes } } });

  const emitter: Emitter = {
    ref(value) {
      const ref = refs.get(value.id);
      if (!ref) throw new Error(`a value [${value.shape}] is used before it is made`);
      return ref;
    },
    node,
    call(called, inputs, { as = [], after = [] }) {
      const name = `${prefix}n${nodes.length}`;
      const types = as.map(({ dtype }) => dtype);
      const attributes = callAttributes(called, inputs, types);
      nodes.push({ name, op: "StatefulPartitionedCall", inputs, after, attributes });
      for (const [index, { id, dtype }] of as.entries()) {
        refs.set(id, { node: name, output: "output", index, type: dtype });
      }
      return name;
    },
    scalar(value, type) {
      const text = Object.is(value, -0) ? "-0" : String(value);
      return once(`${type}(${text})`, () => constant(scalarBytes(value, type), [], type));
    },
    constant: (elements, shape, dtype) => constant(bytesOf(elements), shape, dtype),
    integers: (list) => once(`[${list}]`, () => constant(bytesOf(Int32Array.from(list)), [list.length], "int32")),
    shape: (sizes) => once(`shape ${sizes}`, () => shapeOf(sizes, symbols, carriers, emitter)),
    targetShape(sizes) {
      const unknown = sizes.filter((size) => factorSize(size, symbols).symbols.length > 0);
      if (unknown.length !== 1 || sizes.includes(0)) return emitter.shape(sizes);
      return emitter.integers(sizes.map((size) => (size === unknown[0] ? -1 : size)));
    },
    isUsed: ({ id }) => used.has(id),
    products,
  };
  return emitter;
}

/** Of a call whose function must be compiled. */
export const callAttributes = (
  name: string,
  inputs: readonly Ref[],
  outputs: readonly TensorType[],
): NodeAttributes => ({
  Tin: { types: inputs.map(({ type }) => type) },
  Tout: { types: outputs },
  f: { function: name },
  _XlaMustCompile: { bool: true },
});

function scalarBytes(value: number, type: DType): Uint8Array {
  if (type === "float32") return bytesOf(Float32Array.of(value));
  return type === "int32" ? bytesOf(Int32Array.of(value)) : Uint8Array.of(value);
}

/** A shape, with symbolic sizes computed from the inputs that carry them. */
function shapeOf(
  sizes: Shape,
  symbols: readonly SymbolicSize[],
  carriers: ReadonlyMap<string, Ref>,
  emitter: Emitter,
): Ref {
  const parts = sizes.map((size) => factorSize(size, symbols));
  if (parts.every((part) => part.symbols.length === 0)) return emitter.integers(sizes);
  const scalars = parts.map(({ factor, symbols: found }) => {
    const carried = found.map((symbol) => symbolSize(symbol, carriers, emitter));
    const factors = factor === 1 && carried.length > 0 ? carried : [emitter.scalar(factor, "int32"), ...carried];
    return factors.reduce((product, next) => emitter.node("Mul", [product, next]));
  });
  return emitter.node("Pack", scalars, { N: { int: scalars.length }, axis: { int: 0 } });
}

function symbolSize({ name, axis }: SymbolicSize, carriers: ReadonlyMap<string, Ref>, emitter: Emitter): Ref {
  const carrier = carriers.get(name);
  if (!carrier) throw new Error(`no input carries the size ${name}`);
  const shape = emitter.node("Shape", [carrier], { out_type: { type: "int32" } });
  const range = [emitter.integers([axis]), emitter.integers([axis + 1]), emitter.integers([1])];
  return emitter.node("StridedSlice", [shape, ...range], { shrink_axis_mask: { int: 1 } });
}
