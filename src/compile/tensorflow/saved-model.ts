// TensorFlow SavedModels as files: plain objects for the part of GraphDef that we write, encoded through the messages of
// proto/tensorflow.proto (npm run generate). Weights are variables and never in the file, so it stays small: a session
// of ours is given them, and a model for others has them in a checkpoint beside.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AttrValueSchema,
  DataType,
  type FunctionDefSchema,
  type NodeDefSchema,
  SavedModelSchema,
  SaverDef_CheckpointFormatVersion,
  type SaverDefSchema,
  type SignatureDefSchema,
  type TensorShapeProtoSchema,
} from "./tensorflow.gen";

export type TensorType = "float32" | "int32" | "bool" | "bfloat16" | "float16" | "resource" | "string";

/** A value of a GraphDef: an output of a node, or an argument of a function. */
export interface Ref {
  readonly node: string;
  /** The output's name in the op's definition, which functions spell out; null for an argument. */
  readonly output: string | null;
  /** Its number, which graphs spell out. Within functions only first outputs are used. */
  readonly index: number;
  readonly type: TensorType;
}

/** Sizes, -1 where one is unknown. */
export type Dims = readonly number[];

export type NodeAttribute =
  | { readonly type: TensorType }
  | { readonly types: readonly TensorType[] }
  | { readonly bool: boolean }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly shape: Dims }
  | { readonly function: string }
  | { readonly tensor: { readonly type: TensorType; readonly shape: Dims; readonly bytes: Uint8Array } }
  | { readonly strings: readonly string[]; readonly shape: Dims };

export type NodeAttributes = Readonly<Record<string, NodeAttribute>>;

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Ref[];
  /** Names of nodes that run before. */
  readonly after?: readonly string[];
  readonly attributes: NodeAttributes;
}

export interface GraphFunction {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly { readonly name: string; readonly type: TensorType }[];
  readonly outputs: readonly { readonly name: string; readonly value: Ref }[];
}

/** A tensor that a signature takes or gives. */
export interface SignatureTensor {
  /** As TensorFlow writes it: `node:0`. */
  readonly tensor: string;
  readonly type: TensorType;
  readonly shape: Dims;
}

export interface Signature {
  readonly inputs: Readonly<Record<string, SignatureTensor>>;
  readonly outputs: Readonly<Record<string, SignatureTensor>>;
}

/** How a loader brings the variables: it feeds `prefix` with the checkpoint's and runs the node `operation`. */
export interface Restore {
  readonly prefix: Ref;
  readonly operation: string;
}

export interface SavedModelParts {
  readonly nodes: readonly GraphNode[];
  readonly functions: readonly GraphFunction[];
  readonly signatures: Readonly<Record<string, Signature>>;
  /** Left out where variables are set by signatures. */
  readonly restore?: Restore;
}

/** The tag under which the graph is found. */
export const SERVING_TAG = "serve";

/** The signature that servers run where a request names none. */
export const DEFAULT_SIGNATURE = "serving_default";

/** Names that loaders look for in a model's folder. */
export const SAVED_MODEL = "saved_model.pb";
export const VARIABLES = "variables/variables";

/** TensorFlow 2.9 and later read this version of the format. */
const GRAPH_VERSION = { producer: 1087, minConsumer: 12 };

const dataTypes: Readonly<Record<TensorType, DataType>> = {
  float32: DataType.DT_FLOAT,
  int32: DataType.DT_INT32,
  bool: DataType.DT_BOOL,
  bfloat16: DataType.DT_BFLOAT16,
  float16: DataType.DT_HALF,
  resource: DataType.DT_RESOURCE,
  string: DataType.DT_STRING,
};

/** The file saved_model.pb. */
export function encodeSavedModel({ nodes, functions, signatures, restore }: SavedModelParts): Uint8Array {
  const graph = {
    node: nodes.map((node) => nodeMessage(node, inGraph)),
    library: { function: functions.map(functionMessage) },
    versions: GRAPH_VERSION,
  };
  const message = create(SavedModelSchema, {
    savedModelSchemaVersion: 1n,
    metaGraphs: [
      {
        metaInfoDef: { tags: [SERVING_TAG] },
        graphDef: graph,
        ...(restore ? { saverDef: saverMessage(restore) } : {}),
        signatureDef: mapped(signatures, signatureMessage),
      },
    ],
  });
  return toBinary(SavedModelSchema, message);
}

const mapped = <T, U>(record: Readonly<Record<string, T>>, convert: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, convert(value)]));

type RefFormat = (ref: Ref) => string;
const inGraph: RefFormat = ({ node, index }) => `${node}:${index}`;
const inFunction: RefFormat = ({ node, output }) => (output === null ? node : `${node}:${output}:0`);

function nodeMessage(
  { name, op, inputs, after = [], attributes }: GraphNode,
  format: RefFormat,
): MessageInitShape<typeof NodeDefSchema> {
  return {
    name,
    op,
    input: [...inputs.map(format), ...after.map((node) => `^${node}`)],
    attr: mapped(attributes, attributeMessage),
  };
}

function attributeMessage(attribute: NodeAttribute): MessageInitShape<typeof AttrValueSchema> {
  if ("type" in attribute) return { value: { case: "type", value: dataTypes[attribute.type] } };
  if ("bool" in attribute) return { value: { case: "b", value: attribute.bool } };
  if ("int" in attribute) return { value: { case: "i", value: BigInt(attribute.int) } };
  if ("float" in attribute) return { value: { case: "f", value: attribute.float } };
  if ("text" in attribute) return { value: { case: "s", value: new TextEncoder().encode(attribute.text) } };
  if ("strings" in attribute) {
    const values = attribute.strings.map((text) => new TextEncoder().encode(text));
    const tensor = { dtype: DataType.DT_STRING, tensorShape: shapeMessage(attribute.shape), stringVal: values };
    return { value: { case: "tensor", value: tensor } };
  }
  if ("shape" in attribute) return { value: { case: "shape", value: shapeMessage(attribute.shape) } };
  if ("function" in attribute) return { value: { case: "func", value: { name: attribute.function } } };
  if ("types" in attribute) {
    return { value: { case: "list", value: { type: attribute.types.map((type) => dataTypes[type]) } } };
  }
  const { type, shape, bytes } = attribute.tensor;
  const tensor = { dtype: dataTypes[type], tensorShape: shapeMessage(shape), tensorContent: bytes };
  return { value: { case: "tensor", value: tensor } };
}

const shapeMessage = (dims: Dims): MessageInitShape<typeof TensorShapeProtoSchema> => ({
  dim: dims.map((size) => ({ size: BigInt(size) })),
});

function functionMessage({ name, nodes, inputs, outputs }: GraphFunction): MessageInitShape<typeof FunctionDefSchema> {
  return {
    signature: {
      name,
      inputArg: inputs.map((input) => ({ name: input.name, type: dataTypes[input.type] })),
      outputArg: outputs.map((output) => ({ name: output.name, type: dataTypes[output.value.type] })),
      isStateful: true,
    },
    nodeDef: nodes.map((node) => nodeMessage(node, inFunction)),
    ret: Object.fromEntries(outputs.map((output) => [output.name, inFunction(output.value)])),
  };
}

const saverMessage = ({ prefix, operation }: Restore): MessageInitShape<typeof SaverDefSchema> => ({
  filenameTensorName: inGraph(prefix),
  // Nothing saves it again; loaders want a tensor that is there.
  saveTensorName: inGraph(prefix),
  restoreOpName: operation,
  version: SaverDef_CheckpointFormatVersion.V2,
});

function signatureMessage({ inputs, outputs }: Signature): MessageInitShape<typeof SignatureDefSchema> {
  const tensorInfo = ({ tensor, type, shape }: SignatureTensor) => ({
    encoding: { case: "name" as const, value: tensor },
    dtype: dataTypes[type],
    tensorShape: shapeMessage(shape),
  });
  return {
    inputs: mapped(inputs, tensorInfo),
    outputs: mapped(outputs, tensorInfo),
    methodName: "tensorflow/serving/predict",
  };
}
