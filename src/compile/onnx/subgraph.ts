// The part of an ONNX model that an output needs: alone as a model, and as a digest by which two models are seen to compute
// an output alike. Of weights in other files it looks at where they lie, not at their bytes.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { sha256Hex } from "../../files/hash";
import { AttributeProtoSchema, type GraphProto, type ModelProto, ModelProtoSchema, type TensorProto } from "./onnx.gen";

/** The model with these outputs, and what they need. */
export function onlyOutputs(model: Uint8Array, names: readonly string[]): Uint8Array {
  const decoded = fromBinary(ModelProtoSchema, model);
  const graph = graphOf(decoded);
  const makers = makersOf(graph);
  const needed = new Set<string>();
  const visit = (name: string): void => {
    if (needed.has(name)) return;
    needed.add(name);
    for (const input of makers.get(name)?.input ?? []) visit(input);
  };
  for (const name of names) visit(name);
  const has = ({ name }: { readonly name: string }) => needed.has(name);
  const part = {
    ...graph,
    node: graph.node.filter(({ output }) => output.some((name) => needed.has(name))),
    initializer: graph.initializer.filter(has),
    // All inputs, so that it is called as the whole is.
    output: graph.output.filter(({ name }) => names.includes(name)),
  };
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { ...decoded, graph: part }));
}

/** By output: equal digests are equal nodes, attributes, constants and places of weights, whatever the values between are called. */
export function outputDigests(model: Uint8Array): Map<string, string> {
  const graph = graphOf(fromBinary(ModelProtoSchema, model));
  const makers = makersOf(graph);
  const known = new Map<string, string>([["", ""]]);
  for (const { name } of graph.input) known.set(name, sha256Hex("input", name));
  for (const tensor of graph.initializer) known.set(tensor.name, digestOfTensor(tensor));
  const digest = (name: string): string => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const node = makers.get(name);
    if (!node) throw new Error(`${name} is made by no node`);
    const attributes = node.attribute.map((attribute) => toBinary(AttributeProtoSchema, attribute));
    const inputs = node.input.map(digest);
    const parts = [node.domain, node.opType, String(node.output.indexOf(name)), ...inputs].map((part) => `${part}\n`);
    const made = sha256Hex(...parts, ...attributes);
    known.set(name, made);
    return made;
  };
  return new Map(graph.output.map(({ name }) => [name, digest(name)]));
}

function graphOf({ graph }: ModelProto): GraphProto {
  if (!graph) throw new Error("a model without a graph");
  return graph;
}

const makersOf = ({ node }: GraphProto) => new Map(node.flatMap((made) => made.output.map((name) => [name, made])));

/** Without its name, which is that of its place, but for weights that are told apart by it. */
function digestOfTensor({ dataType, dims, rawData, externalData, name }: TensorProto): string {
  const place = externalData.map(({ key, value }) => `${key}=${value}\n`);
  const said = [`tensor ${dataType} [${dims}]\n`, ...(place.length > 0 ? place : [rawData ?? name])];
  return sha256Hex(...said);
}
