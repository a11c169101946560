// The graph between tracing and lowering: typed values and the nodes that make them, in an order that runs.
// Ops carry tfjs kernel names with canonical attributes; passes add a few of their own (see passes.ts).

import { sizeOf } from "../../model/tensors";

export type DType = "float32" | "int32" | "bool";
export type Shape = readonly number[];

export interface ValueType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface Value extends ValueType {
  /** Unique among the values of a process, so that graphs can share nodes. */
  readonly id: number;
}

/** Elements of a constant; one element stands for a tensor filled with it. */
export type Elements = Float32Array | Int32Array | Uint8Array;

export type Attribute = number | boolean | string | readonly number[] | Elements;
export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
}

export interface Graph {
  readonly inputs: ReadonlyMap<string, Value>;
  /** In an order in which every value is made before it is used. */
  readonly nodes: readonly Node[];
  /** A value may be an output under several names, and an input may be an output. */
  readonly outputs: ReadonlyMap<string, Value>;
}

let lastId = 0;

export function newValue({ shape, dtype }: ValueType): Value {
  lastId += 1;
  return { id: lastId, shape: [...shape], dtype };
}

/** The one output of a node. */
export function only(node: Node): Value {
  if (node.outputs.length !== 1) throw new Error(`${node.op} has ${node.outputs.length} outputs, one was expected`);
  return node.outputs[0] as Value;
}

/** The node that makes each value, by the value's id; inputs have none. */
export function producers(nodes: readonly Node[]): Map<number, Node> {
  const made = new Map<number, Node>();
  for (const node of nodes) for (const value of node.outputs) made.set(value.id, node);
  return made;
}

/** How often each value is used, by its id; being an output of the graph counts. */
export function useCounts({ nodes, outputs }: Graph): Map<number, number> {
  const counts = new Map<number, number>();
  const use = ({ id }: Value) => counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const node of nodes) node.inputs.forEach(use);
  for (const value of outputs.values()) use(value);
  return counts;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);

/** The shape of an elementwise result, or null where the operands do not fit. */
export function broadcastShape(a: Shape, b: Shape): number[] | null {
  const shape: number[] = [];
  for (let back = 1; back <= Math.max(a.length, b.length); back++) {
    const [left, right] = [a.at(-back) ?? 1, b.at(-back) ?? 1];
    if (left !== right && left !== 1 && right !== 1) return null;
    shape.unshift(left === 1 ? right : left);
  }
  return shape;
}

const typeText = ({ shape, dtype }: ValueType) => `${dtype === "float32" ? "f32" : dtype}[${shape}]`;

/** One line a node: `%7 = BatchMatMul(%1, %3) transposeB=true : f32[64,768]`. Numbered from the inputs on. */
export function printGraph(graph: Graph): string {
  const numbers = new Map<number, number>();
  const name = (value: Value) => {
    if (!numbers.has(value.id)) numbers.set(value.id, numbers.size);
    return `%${numbers.get(value.id)}`;
  };
  const lines = [...graph.inputs].map(([input, value]) => `${name(value)} = input ${input} : ${typeText(value)}`);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(name).join(", ");
    const outputs = node.outputs.map(name).join(", ");
    const attributes = Object.entries(node.attributes).map(([key, value]) => ` ${key}=${attributeText(value)}`);
    lines.push(`${outputs} = ${node.op}(${inputs})${attributes.join("")} : ${node.outputs.map(typeText).join(", ")}`);
  }
  for (const [output, value] of graph.outputs) lines.push(`output ${output} = ${name(value)}`);
  return lines.join("\n");
}

function attributeText(value: Attribute): string {
  if (typeof value !== "object") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value}]`;
  const elements = value as Elements;
  const shown = [...elements.subarray(0, 8)].join(",");
  return elements.length > 8 ? `<${shown},... of ${elements.length}>` : `<${shown}>`;
}

/** Bytes of a value in memory. */
export const byteSize = ({ shape, dtype }: ValueType): number => sizeOf(shape) * (dtype === "bool" ? 1 : 4);

/** The memory of numbers as bytes, uncopied. */
export const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);
