// Lowering a graph to an ONNX model. Values get names in the order of the graph, so that equal graphs are equal files.

import { bytesOf, type Elements, type Graph, type Shape, useCounts, type Value } from "../graph/graph";
import { factorSize, type SymbolicSize } from "../graph/symbols";
import { flattenRows } from "../passes/flatten";
import { declaredBits, unpackBits } from "./bits";
import { biasRows, type Constant, float16Casts, initializersOf, packedInputs } from "./constants";
import { joinProducts } from "./joined";
import type { Emitter, PackedNames, ProductType, ScalarType } from "./lowering";
import { elementTypes, lowerings, microsoftOps } from "./ops";
import {
  ElementType,
  encodeModel,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./proto";

export interface LoweringOptions {
  /** Inputs that become constants of the model, with their values: weights that no call changes, in the form that they have. */
  readonly constants?: Readonly<Record<string, Constant>>;
  /** Sizes that stand for any size. */
  readonly symbols?: readonly SymbolicSize[];
  /** Only operators of the standard, for runtimes other than onnxruntime; it fuses them to its own when it loads them. */
  readonly standard?: boolean;
  /** What products are computed in; absent: float32. Only with onnxruntime's own operators. */
  readonly products?: ProductType;
  /** Inputs that are given as bits (model/tensors.ts), with what a set bit stands for. */
  readonly bits?: ReadonlyMap<string, number>;
  /** For onnxruntime's WebGPU provider, which lacks LogSoftmax and products with factors, and whose Split has few outputs. */
  readonly webgpu?: boolean;
  /** Declares inputs of int32 as int64, which other exporters give ids, and casts them. */
  readonly wideInputs?: boolean;
}

const STANDARD_OPSET = { "": 20 };
/** With QuantizeLinear by blocks. */
const BLOCKED = { "": 21 };
const OPSETS = { ...STANDARD_OPSET, "com.microsoft": 1 };
const PRODUCER = "flexbert";

/** The graph as an ONNX model file; inputs and outputs keep their names. Throws where an op has no lowering. */
export function toOnnx(graph: Graph, options: LoweringOptions = {}): Uint8Array {
  return encodeModel(toOnnxModel(graph, options));
}

/** The model before it is a file. */
export function toOnnxModel(graph: Graph, options: LoweringOptions = {}): OnnxModel {
  const lowered = lower(graph, options);
  const own = !options.standard || lowered.nodes.some(({ domain }) => domain !== ""); // int8 has operators of its own
  const blocked = lowered.nodes.some(({ op }) => op === "QuantizeLinear");
  return {
    graph: lowered,
    producer: PRODUCER,
    opsets: { ...(own ? OPSETS : STANDARD_OPSET), ...(blocked ? BLOCKED : {}) },
  };
}

function lower(traced: Graph, options: LoweringOptions): OnnxGraph {
  const { symbols = [], standard = options.webgpu ?? false, webgpu = false, wideInputs = false } = options;
  const { bits = new Map<string, number>(), products = "float32" } = options;
  if (standard && products !== "float32") throw new Error(`products in ${products} need onnxruntime's own operators`);
  const { graph: joined, constants } = joinProducts(traced, options.constants ?? {});
  const packed = packedInputs(joined, constants);
  const graph = packed.size > 0 ? flattenRows(joined) : joined; // small nodes count where products are fast
  const written: Written = {
    initializers: new Map(),
    names: new Map(),
    taken: new Set([...graph.inputs.keys(), ...graph.outputs.keys()]),
    symbols,
    standard,
    webgpu,
    products,
    packed,
    rows: biasRows(graph, packed, constants),
    count: { values: 0 },
  };
  const fed = [...graph.inputs].filter(([name]) => !(name in constants));
  const clash = [...graph.inputs.keys()].find((name) => graph.outputs.has(name));
  if (clash !== undefined) throw new Error(`${clash} is the name of an input and of an output: a model needs two`);
  for (const [name, value] of graph.inputs) written.names.set(value.id, name);
  const casts = wideInputs ? narrowed(fed, written) : [];
  const nodes = lowerNodes(graph, written, bits);
  for (const [name, tensor] of Object.entries(constants)) {
    const asRow = written.rows.has(graph.inputs.get(name)?.id ?? -1);
    for (const made of initializersOf(name, tensor, asRow)) written.initializers.set(made.name, made);
  }
  return {
    name: PRODUCER,
    nodes: inDepthOrder([...casts, ...float16Casts(graph, constants), ...nodes]),
    initializers: [...written.initializers.values()],
    inputs: fed
      .map(([name, value]) => (bits.has(name) ? declaredBits(name, webgpu) : declared(name, value, symbols)))
      .map((x) => (wideInputs ? widened(x) : x)),
    outputs: [...graph.outputs].map(([name, value]) => declared(name, value, symbols)),
  };
}

/**
 * The order that keeps the fewest activations at a time. onnxruntime runs a graph depth first from its ends, beginning
 * with the last one in the file, and of a node's inputs first what stands last in the file. So ends (nodes that no
 * other node needs) go last, the last one first: a layer's weight gradients are then computed as soon as its
 * activations' gradients are there, where in the order of the trace all of them would wait for the lowest layer. And
 * the others go by their depth: what is recomputed from the forward pass waits for the gradient that it meets.
 */
function inDepthOrder(nodes: readonly OnnxNode[]): OnnxNode[] {
  const needed = new Set(nodes.flatMap(({ inputs }) => inputs));
  const isEnd = ({ outputs }: OnnxNode) => !outputs.some((name) => needed.has(name));
  const depths = new Map<string, number>();
  const inner = nodes.map((node) => {
    const depth = 1 + node.inputs.reduce((deepest, name) => Math.max(deepest, depths.get(name) ?? 0), 0);
    for (const name of node.outputs) depths.set(name, depth);
    return { node, depth };
  });
  const others = inner.filter(({ node }) => !isEnd(node)).sort((a, b) => a.depth - b.depth);
  return [...others.map(({ node }) => node), ...nodes.filter(isEnd).reverse()];
}

const widened = (input: OnnxValue): OnnxValue =>
  input.type === ElementType.int32 ? { ...input, type: ElementType.int64 } : input;

/** Casts of the int32 inputs, whose values have the casts' names from then on. */
function narrowed(inputs: readonly (readonly [string, Value])[], written: Written): OnnxNode[] {
  return inputs
    .filter(([, { dtype }]) => dtype === "int32")
    .map(([name, { id }]) => {
      const output = fresh(written);
      written.names.set(id, output);
      return {
        op: "Cast",
        domain: "",
        inputs: [name],
        outputs: [output],
        attributes: { to: { int: ElementType.int32 } },
      };
    });
}

/** The nodes of a graph whose inputs have names; its outputs get the names that they have in the graph. */
function lowerNodes(graph: Graph, written: Written, bits: ReadonlyMap<string, number>): OnnxNode[] {
  const nodes: OnnxNode[] = [];
  const emitter = createEmitter(nodes, written, outputNames(graph), useCounts(graph), lowestOf(graph));
  for (const [name, value] of graph.inputs) {
    const kept = bits.get(name);
    if (kept !== undefined && emitter.isUsed(value)) unpackBits(name, value, kept, emitter);
  }
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

/** Bounds from below, of values by id. */
function lowestOf({ nodes }: Graph): Map<number, number> {
  const bounds = new Map<number, number>();
  for (const { op, inputs, outputs } of nodes) {
    const bound = op === "Reshape" ? bounds.get(inputs[0]?.id ?? -1) : leasts[op];
    if (bound !== undefined) bounds.set((outputs[0] as Value).id, bound);
  }
  return bounds;
}

/** GELU's least value is -0.16997, at -0.7518. */
const leasts: Readonly<Record<string, number>> = { Gelu: -0.17, Relu: 0, Sigmoid: 0, Softmax: 0 };

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

/** What has been written so far. */
interface Written {
  readonly initializers: Map<string, OnnxTensor>;
  readonly names: Map<number, string>;
  /** Names of the graph's inputs and outputs, which no value between may have. */
  readonly taken: ReadonlySet<string>;
  readonly symbols: readonly SymbolicSize[];
  readonly standard: boolean;
  readonly webgpu: boolean;
  readonly products: ProductType;
  readonly packed: ReadonlyMap<number, PackedNames>;
  /** Vectors that are declared as rows. */
  readonly rows: ReadonlySet<number>;
  readonly count: { values: number };
}

function fresh({ taken, count }: Written): string {
  let name: string;
  do {
    count.values += 1;
    name = `v${count.values}`;
  } while (taken.has(name));
  return name;
}

function createEmitter(
  nodes: OnnxNode[],
  written: Written,
  outputs: ReadonlyMap<number, string>,
  used: ReadonlyMap<number, number>,
  lowest: ReadonlyMap<number, number>,
): Emitter {
  const { initializers, names, symbols, standard, webgpu, products, packed } = written;
  const shapes = new Map<string, string>();
  const shared = new Map<string, readonly string[]>();

  const nameOf = (value: Value): string => {
    const int8 = packed.get(value.id);
    if (int8) throw new Error(`${int8.codes} is used as a value, and only products and tables read int8`);
    const name = names.get(value.id);
    if (name === undefined) throw new Error(`a value [${value.shape}] is used before it is made`);
    return name;
  };
  const assign = (value: Value): string => {
    const name = outputs.get(value.id) ?? fresh(written);
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
      const output = as ? assign(as) : fresh(written);
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
    parts(op, inputs, attributes, count) {
      const names = Array.from({ length: count }, () => fresh(written));
      add(op, inputs, names, attributes);
      return names;
    },
    scalar: (value, dtype) =>
      store(`${dtype}(${Object.is(value, -0) ? "-0" : value})`, scalarTypes[dtype], [], scalarBytes(value, dtype)),
    constant(elements, shape, dtype) {
      return store(fresh(written), elementTypes[dtype], shape, bytesOf(elements));
    },
    integers: (list) => store(`[${list}]`, ElementType.int64, [list.length], int64Bytes(list)),
    shape(sizes) {
      const known = shapes.get(`${sizes}`) ?? shapeName(sizes, symbols, emitter);
      shapes.set(`${sizes}`, known);
      return known;
    },
    once(key, make) {
      const known = shared.get(key) ?? make();
      shared.set(key, known);
      return known;
    },
    packed: ({ id }) => packed.get(id) ?? null,
    lowest: ({ id }) => lowest.get(id) ?? null,
    standard,
    webgpu,
    products,
    isUsed: ({ id }) => used.has(id),
  };
  return emitter;
}

const scalarTypes: Readonly<Record<ScalarType, ElementType>> = {
  ...elementTypes,
  int64: ElementType.int64,
  uint8: ElementType.uint8,
};

function scalarBytes(value: number, dtype: ScalarType): Uint8Array {
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
