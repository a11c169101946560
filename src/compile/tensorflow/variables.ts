// Resource variables of a SavedModel: their handles, nodes that read and write them, and signatures that set and give
// them from outside. A session keeps their values from one call to the next.

import { byteSize, type ValueType } from "../graph/graph";
import type { GraphNode, NodeAttributes, Ref, Restore, Signature, SignatureTensor, TensorType } from "./saved-model";

/** Variables set or read in one call have at most so many bytes together, or there is one: it bounds copies. */
const GROUP_BYTES = 256e6;

/** The variables of a model, the nodes that name them, and where further nodes go. */
export interface VariableNodes {
  readonly variables: Readonly<Record<string, ValueType>>;
  readonly handles: ReadonlyMap<string, Ref>;
  readonly nodes: GraphNode[];
}

/** The node that names a variable. */
export function handle(index: number, { shape, dtype }: ValueType, nodes: GraphNode[]): Ref {
  const name = `variable_${index}`;
  const attributes: NodeAttributes = {
    dtype: { type: dtype },
    shape: { shape },
    shared_name: { text: name },
    container: { text: "" },
  };
  nodes.push({ name, op: "VarHandleOp", inputs: [], attributes });
  return { node: name, output: "resource", index: 0, type: "resource" };
}

export function reader(
  name: string,
  variable: string,
  { dtype }: ValueType,
  handles: ReadonlyMap<string, Ref>,
  nodes: GraphNode[],
): Ref {
  const attributes: NodeAttributes = { dtype: { type: dtype } };
  nodes.push({ name, op: "ReadVariableOp", inputs: [handles.get(variable) as Ref], attributes });
  return { node: name, output: "value", index: 0, type: dtype };
}

export const writer = (name: string, variable: Ref, value: Ref, after: readonly string[] = []): GraphNode => ({
  name,
  op: "AssignVariableOp",
  inputs: [variable, value],
  after,
  attributes: { dtype: { type: value.type } },
});

export function placeholder(name: string, type: TensorType, shape: readonly number[], nodes: GraphNode[]): Ref {
  nodes.push({ name, op: "Placeholder", inputs: [], attributes: { dtype: { type }, shape: { shape } } });
  return { node: name, output: "output", index: 0, type };
}

/** A scalar that is there once the nodes `after` have run: a session fetches nothing that has no output. */
export function doneAfter(name: string, after: readonly string[], nodes: GraphNode[]): Ref {
  const value = { type: "int32", shape: [], bytes: new Uint8Array(4) } as const;
  const attributes: NodeAttributes = { dtype: { type: "int32" }, value: { tensor: value } };
  nodes.push({ name, op: "Const", inputs: [], after, attributes });
  return { node: name, output: "output", index: 0, type: "int32" };
}

export const tensorInfo = ({ node, index, type }: Ref, shape: readonly number[]): SignatureTensor => ({
  tensor: `${node}:${index}`,
  type,
  shape,
});

/** Names of variables, in groups that are set or read together. */
export function grouped(variables: Readonly<Record<string, ValueType>>): string[][] {
  const groups: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const [name, type] of Object.entries(variables)) {
    if (bytes + byteSize(type) > GROUP_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(name);
    bytes += byteSize(type);
  }
  return groups;
}

/** A signature that takes variables under their names and gives a scalar, `done`. */
export function setter(
  prefix: string,
  group: readonly string[],
  { variables, handles, nodes }: VariableNodes,
): Signature {
  const fed = group.map((name, i) => {
    const { shape, dtype } = variables[name] as ValueType;
    const ref = placeholder(`${prefix}in${i}`, dtype, shape, nodes);
    const node = `${prefix}write${i}`;
    nodes.push(writer(node, handles.get(name) as Ref, ref));
    return { name, node, info: tensorInfo(ref, shape) };
  });
  const after = fed.map(({ node }) => node);
  return {
    inputs: Object.fromEntries(fed.map(({ name, info }) => [name, info])),
    outputs: { done: tensorInfo(doneAfter(`${prefix}done`, after, nodes), []) },
  };
}

/** A signature that gives variables under their names. */
export function getter(
  prefix: string,
  group: readonly string[],
  { variables, handles, nodes }: VariableNodes,
): Signature {
  const outputs = group.map((name, i) => {
    const type = variables[name] as ValueType;
    return [name, tensorInfo(reader(`${prefix}read${i}`, name, type, handles, nodes), type.shape)] as const;
  });
  return { inputs: {}, outputs: Object.fromEntries(outputs) };
}

/** Nodes that set all variables from a checkpoint that has them under their names. */
export function restorer(prefix: string, { variables, handles, nodes }: VariableNodes): Restore {
  const entries = Object.entries(variables);
  const text = (name: string, strings: readonly string[], shape: readonly number[]): Ref => {
    const attributes: NodeAttributes = { dtype: { type: "string" }, value: { strings, shape } };
    nodes.push({ name, op: "Const", inputs: [], attributes });
    return { node: name, output: "output", index: 0, type: "string" };
  };
  const file = text(`${prefix}prefix`, [""], []);
  const names = entries.map(([name]) => name);
  const inputs = [
    file,
    text(`${prefix}names`, names, [names.length]),
    // Whole tensors: no slices.
    text(
      `${prefix}slices`,
      names.map(() => ""),
      [names.length],
    ),
  ];
  const node = `${prefix}tensors`;
  nodes.push({
    name: node,
    op: "RestoreV2",
    inputs,
    attributes: { dtypes: { types: entries.map(([, { dtype }]) => dtype) } },
  });
  const writers = entries.map(([name, { dtype }], i) => {
    const written = `${prefix}write${i}`;
    const value: Ref = { node, output: "tensors", index: i, type: dtype };
    nodes.push(writer(written, handles.get(name) as Ref, value));
    return written;
  });
  const operation = `${prefix}all`;
  nodes.push({ name: operation, op: "NoOp", inputs: [], after: writers, attributes: {} });
  return { prefix: file, operation };
}
