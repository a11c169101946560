// Lowering a graph to a tfjs GraphModel: the GraphDef of TensorFlow's lowering in JSON, its constants and weights in
// shards beside it. The format is that of tfjs-converter 4.22 (`tf.loadGraphModel`).

import type { HostTensors } from "../../model/tensors";
import { bytesOf, type Graph, type ValueType } from "../graph/graph";
import type { SymbolicSize } from "../graph/symbols";
import type { GraphNode, NodeAttribute, Ref, TensorType } from "./saved-model";
import { describeValue, lowerBody } from "./tensorflow";
import { placeholder } from "./variables";

/** Browsers cache files of this size; the converter's default. */
const SHARD_BYTES = 4 * 2 ** 20;

export interface GraphModel {
  /** model.json. */
  readonly json: string;
  /** By file name. */
  readonly shards: Readonly<Record<string, Uint8Array>>;
}

export interface GraphModelOptions {
  readonly symbols: readonly SymbolicSize[];
  /** Inputs of the graph that are constants of the model, with their values. */
  readonly weights: HostTensors;
  /** What a caller must know beside the graph, by key. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Weight extends ValueType {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Inputs and outputs keep their names: `model.execute({input_ids, ...}, ["rte"])`. Throws where an op has no lowering. */
export function toGraphModel(graph: Graph, { symbols, weights, metadata }: GraphModelOptions): GraphModel {
  const nodes: GraphNode[] = [];
  const stored: Weight[] = [];
  const inputs = new Map<string, Ref>();
  for (const [name, value] of graph.inputs) {
    const tensor = weights[name];
    if (!tensor) {
      inputs.set(name, placeholder(name, value.dtype, describeValue(value, symbols), nodes));
      continue;
    }
    nodes.push({ name, op: "Const", inputs: [], attributes: { dtype: { type: tensor.dtype } } });
    inputs.set(name, { node: name, output: "output", index: 0, type: tensor.dtype });
    stored.push({ name, shape: tensor.shape, dtype: tensor.dtype, bytes: bytesOf(tensor.data) });
  }
  const step = { name: "logits", graph, symbols, reads: new Map(), writes: new Map(), compile: "nothing" } as const;
  const around = { nodes, functions: [], variables: {}, handles: new Map(), inputs, products: "float32" as const };
  const { outputs } = lowerBody(step, { ...around, prefix: "node/" }); // no task or weight has such a name
  for (const [name, ref] of outputs) {
    nodes.push({ name, op: "Identity", inputs: [ref], attributes: { T: { type: ref.type } } });
  }
  const written = nodes.map((node) => nodeJson(node, stored));
  return { ...modelFiles(graph, symbols, written, stored, metadata) };
}

/** A constant's value goes to the shards: the reader takes none from the graph. */
function nodeJson({ name, op, inputs, attributes }: GraphNode, stored: Weight[]): object {
  const attr = Object.entries(attributes).filter(([key, attribute]) => {
    if (key !== "value" || !("tensor" in attribute)) return true;
    const { type, shape, bytes } = attribute.tensor;
    stored.push({ name, shape, dtype: type as ValueType["dtype"], bytes });
    return false;
  });
  return {
    name,
    op,
    input: inputs.map(({ node, index }) => (index === 0 ? node : `${node}:${index}`)),
    attr: Object.fromEntries(attr.map(([key, attribute]) => [key, attributeJson(attribute)])),
  };
}

const typeNames: Partial<Record<TensorType, string>> = { float32: "DT_FLOAT", int32: "DT_INT32", bool: "DT_BOOL" };

/** Numbers of 64 bits are strings in protobuf's JSON. */
function attributeJson(attribute: NodeAttribute): object {
  if ("type" in attribute) return { type: typeName(attribute.type) };
  if ("bool" in attribute) return { b: attribute.bool };
  if ("int" in attribute) return { i: String(attribute.int) };
  if ("float" in attribute) return { f: attribute.float };
  if ("text" in attribute) return { s: Buffer.from(attribute.text).toString("base64") };
  if ("shape" in attribute && !("strings" in attribute)) return { shape: shapeJson(attribute.shape) };
  throw new Error(`the attribute ${Object.keys(attribute)} has no place in a GraphModel`);
}

function typeName(type: TensorType): string {
  const name = typeNames[type];
  if (name === undefined) throw new Error(`tfjs has no tensors of ${type}`);
  return name;
}

const shapeJson = (dims: readonly number[]) => ({ dim: dims.map((size) => ({ size: String(size) })) });

function modelFiles(
  graph: Graph,
  symbols: readonly SymbolicSize[],
  node: readonly object[],
  stored: readonly Weight[],
  metadata: GraphModelOptions["metadata"],
): GraphModel {
  const shards = cut(stored.map(({ bytes }) => bytes));
  const names = shards.map((_, i) => `group1-shard${i + 1}of${shards.length}.bin`);
  const weighed = new Set(stored.map(({ name }) => name));
  const described = (values: Graph["inputs"]) =>
    Object.fromEntries(
      [...values]
        .filter(([name]) => !weighed.has(name))
        .map(([name, value]) => [
          name,
          { name: `${name}:0`, dtype: typeName(value.dtype), tensorShape: shapeJson(describeValue(value, symbols)) },
        ]),
    );
  const model = {
    format: "graph-model",
    generatedBy: "flexbert",
    convertedBy: null,
    signature: { inputs: described(graph.inputs), outputs: described(graph.outputs) },
    userDefinedMetadata: metadata,
    modelTopology: { node, library: {}, versions: { producer: 1087 } },
    weightsManifest: [{ paths: names, weights: stored.map(({ name, shape, dtype }) => ({ name, shape, dtype })) }],
  };
  return {
    json: `${JSON.stringify(model)}\n`,
    shards: Object.fromEntries(names.map((name, i) => [name, shards[i] as Uint8Array])),
  };
}

/** The bytes one after the other, in pieces of {@link SHARD_BYTES}. */
function cut(parts: readonly Uint8Array[]): Uint8Array[] {
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const shards = Array.from(
    { length: Math.ceil(total / SHARD_BYTES) },
    (_, i) => new Uint8Array(Math.min(SHARD_BYTES, total - i * SHARD_BYTES)),
  );
  let at = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      const shard = shards[Math.floor(at / SHARD_BYTES)] as Uint8Array;
      const inside = at % SHARD_BYTES;
      const length = Math.min(part.length - from, shard.length - inside);
      shard.set(part.subarray(from, from + length), inside);
      from += length;
      at += length;
    }
  }
  return shards;
}
