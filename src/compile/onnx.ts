// Lowering a graph to an ONNX model. Values get names in the order of the graph, so that equal graphs are equal files.

import type { HostTensor, HostTensors } from "../model/tensors";
import { type DType, type Elements, type Graph, type Shape, useCounts, type Value } from "./graph";
import { type Emitter, elementTypes, lowerings, microsoftOps } from "./onnx-ops";
import {
  ElementType,
  encodeModel,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./onnx-proto";
import { factorSize, type SymbolicSize } from "./symbols";

export interface LoweringOptions {
  /** Inputs that become constants of the model, with their values: weights that no call changes. */
  readonly constants?: HostTensors;
  /** Sizes that stand for any size. */
  readonly symbols?: readonly SymbolicSize[];
}

const OPSETS = { "": 20, "com.microsoft": 1 };
const PRODUCER = "flexbert";

/** The graph as an ONNX model file; inputs and outputs keep their names. Throws where an op has no lowering. */
export function toOnnx(graph: Graph, options: LoweringOptions = {}): Uint8Array {
  return encodeModel({ graph: lower(graph, options), producer: PRODUCER, opsets: OPSETS });
}

function lower(graph: Graph, { constants = {}, symbols = [] }: LoweringOptions): OnnxGraph {
  const written: Written = { initializers: new Map(), names: new Map(), symbols, count: { values: 0 } };
  for (const [name, value] of graph.inputs) written.names.set(value.id, name);
  const nodes = lowerNodes(graph, written);
  for (const [name, tensor] of Object.entries(constants)) {
    written.initializers.set(name, initializer(name, tensor));
  }
  const inputs = [...graph.inputs].filter(([name]) => !(name in constants));
  return {
    name: PRODUCER,
    nodes,
    initializers: [...written.initializers.values()],
    inputs: inputs.map(([name, value]) => declared(name, value, symbols)),
    outputs: [...graph.outputs].map(([name, value]) => declared(name, value, symbols)),
  };
}

/** The nodes of a graph whose inputs have names; its outputs get the names that they have in the graph. */
function lowerNodes(graph: Graph, written: Written): OnnxNode[] {
  const nodes: OnnxNode[] = [];
  const emitter = createEmitter(nodes, written, outputNames(graph), useCounts(graph));
  for (const node of graph.nodes) {
    if (node.op === "Constant") {
      const [value] = node.outputs as [Value];
      const name = emitter.constant(node.attributes["elements"] as Elements, value.shape, value.dtype);
      written.names.set(value.id, name);
    } else if (node.op === "Fill" && node.outputs[0]?.shape.length === 0) {
      const [value] = node.outputs as [Value];
      written.names.set(value.id, emitter.scalar(node.attributes["value"] as number, value.dtype));
    } else {
      const lowering = lowerings[node.op];
      if (!lowering) throw new Error(`${node.op} has no lowering to ONNX`);
      lowering(node, emitter);
    }
  }
  // An output may be an input or a constant, and one value may be several outputs: ONNX wants a node for each.
  for (const [name, value] of graph.outputs) {
    const made = emitter.name(value);
    if (made === name) continue;
    nodes.push({ op: "Identity", domain: "", inputs: [made], outputs: [name], attributes: {} });
  }
  return nodes;
}

/** The output's name for each value that a node makes: the first one, where a value has several. */
function outputNames({ outputs }: Graph): Map<number, string> {
  return new Map([...outputs].reverse().map(([name, { id }]) => [id, name]));
}

function declared(name: string, { shape, dtype }: Value, symbols: readonly SymbolicSize[]): OnnxValue {
  const dims = shape.map((size) => {
    const { factor, symbols: found } = factorSize(size, symbols);
    if (found.length === 0) return size;
    return [...(factor === 1 ? [] : [factor]), ...found.map((symbol) => symbol.name)].join("_x_");
  });
  return { name, type: elementTypes[dtype], dims };
}

function initializer(name: string, { shape, dtype, data }: HostTensor): OnnxTensor {
  return { name, type: elementTypes[dtype], dims: shape, bytes: bytesOf(data) };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);

/** What has been written so far. */
interface Written {
  readonly initializers: Map<string, OnnxTensor>;
  readonly names: Map<number, string>;
  readonly symbols: readonly SymbolicSize[];
  readonly count: { values: number };
}

function createEmitter(
  nodes: OnnxNode[],
  written: Written,
  outputs: ReadonlyMap<number, string>,
  used: ReadonlyMap<number, number>,
): Emitter {
  const { initializers, names, symbols, count } = written;
  const fresh = () => {
    count.values += 1;
    return `v${count.values}`;
  };

  const nameOf = (value: Value): string => {
    const name = names.get(value.id);
    if (name === undefined) throw new Error(`a value [${value.shape}] is used before it is made`);
    return name;
  };
  const assign = (value: Value): string => {
    const name = outputs.get(value.id) ?? fresh();
    names.set(value.id, name);
    return name;
  };
  const store = (name: string, type: ElementType, dims: Shape, bytes: Uint8Array): string => {
    if (!initializers.has(name)) initializers.set(name, { name, type, dims, bytes });
    return name;
  };
  const add = (
    op: string,
    inputs: readonly string[],
    results: string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
  ) => nodes.push({ op, domain: microsoftOps.has(op) ? "com.microsoft" : "", inputs, outputs: results, attributes });

  const emitter: Emitter = {
    name: nameOf,
    node(op, inputs, attributes = {}, as) {
      const output = as ? assign(as) : fresh();
      add(op, inputs, [output], attributes);
      return output;
    },
    nodes(op, inputs, attributes, results) {
      add(
        op,
        inputs,
        results.map((value) => (value ? assign(value) : "")),
        attributes,
      );
    },
    scalar: (value, dtype) =>
      store(`${dtype}(${Object.is(value, -0) ? "-0" : value})`, scalarTypes[dtype], [], scalarBytes(value, dtype)),
    constant(elements, shape, dtype) {
      const name = `c${initializers.size + 1}`;
      return store(name, elementTypes[dtype], shape, bytesOf(elements));
    },
    integers: (list) => store(`[${list}]`, ElementType.int64, [list.length], int64Bytes(list)),
    shape: (sizes) => shapeName(sizes, symbols, emitter),
    isUsed: ({ id }) => used.has(id),
  };
  return emitter;
}

const scalarTypes: Readonly<Record<DType | "int64", ElementType>> = { ...elementTypes, int64: ElementType.int64 };

function scalarBytes(value: number, dtype: DType | "int64"): Uint8Array {
  if (dtype === "int64") return int64Bytes([value]);
  if (dtype === "float32") return bytesOf(Float32Array.of(value));
  return dtype === "int32" ? bytesOf(Int32Array.of(value)) : Uint8Array.of(value);
}

const int64Bytes = (values: readonly number[]) => bytesOf(BigInt64Array.from(values, BigInt));

/** A shape, with symbolic sizes computed from the inputs that carry them. */
function shapeName(sizes: Shape, symbols: readonly SymbolicSize[], emitter: Emitter): string {
  const parts = sizes.map((size) => factorSize(size, symbols));
  if (parts.every((part) => part.symbols.length === 0)) return emitter.integers(sizes);
  const names = parts.map(({ factor, symbols: found }) => {
    const carried = found.map(({ input, axis }) => {
      const range = { start: { int: axis }, end: { int: axis + 1 } };
      return emitter.node("Shape", [input], range); // [1]
    });
    const factors = factor === 1 && carried.length > 0 ? carried : [emitter.integers([factor]), ...carried];
    return factors.reduce((product, next) => emitter.node("Mul", [product, next]));
  });
  return names.length === 1 ? (names[0] as string) : emitter.node("Concat", names, { axis: { int: 0 } });
}
