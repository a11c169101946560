// ONNX models as files: plain objects for the part of ONNX that we write, encoded through the messages generated from ONNX's
// onnx.proto (npm run generate). toBinary would move large weights four times (a growing buffer, the lengths of two messages
// around them, the result), so the initializers' bytes stay beside their messages and are copied once, into the file.

import { create, type DescField, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { modelError } from "../../errors/errors";
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProtoSchema,
  type ValueInfoProtoSchema,
  Version,
} from "./onnx.gen";

export const ElementType = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
} as const;
export type ElementType = (typeof ElementType)[keyof typeof ElementType];

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] };

export interface OnnxNode {
  /** For people; no two nodes of a graph may have the same. */
  readonly name?: string;
  readonly op: string;
  /** "" is the standard. */
  readonly domain: string;
  /** "" stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** Bytes that lie in another file. */
export interface ExternalBytes {
  /** Relative to the model's folder, with forward slashes. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array | ExternalBytes;
}

export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  /** Names are symbolic dimensions. */
  readonly dims: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxModel {
  readonly graph: OnnxGraph;
  readonly producer: string;
  /** Versions by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** For people: what the model is and how to call it. */
  readonly docs?: string;
  /** For programs: what they need to know beside the graph. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Readers refuse longer messages. */
const MAX_SIZE = 2 ** 31 - 1;

/** A serialised message as pieces, so that large tensors are not copied on the way. */
interface Pieces {
  readonly parts: readonly Uint8Array[];
  readonly size: number;
}

/** The model file. Throws where it would pass the 2 GiB that a protobuf message may have. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const { parts, size } = modelPieces(model);
  const file = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** The same file as pieces, the weights uncopied. */
export function modelChunks(model: OnnxModel): readonly Uint8Array[] {
  return modelPieces(model).parts;
}

function modelPieces({ graph, producer, opsets, docs, metadata = {} }: OnnxModel): Pieces {
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(Version.IR_VERSION_2024_3_25),
    producerName: producer,
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({ domain, version: BigInt(version) })),
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    ...(docs === undefined ? {} : { docString: docs }),
  });
  return joined([whole(toBinary(ModelProtoSchema, model)), field(ModelProtoSchema.field.graph, graphPieces(graph))]);
}

function graphPieces(graph: OnnxGraph): Pieces {
  const message = create(GraphProtoSchema, graphMessage(graph));
  const initializers = graph.initializers.map((tensor) =>
    field(GraphProtoSchema.field.initializer, tensorPieces(tensor)),
  );
  return joined([whole(toBinary(GraphProtoSchema, message)), ...initializers]);
}

function tensorPieces({ bytes, ...head }: OnnxTensor): Pieces {
  if (!(bytes instanceof Uint8Array)) {
    return whole(toBinary(TensorProtoSchema, create(TensorProtoSchema, { ...tensorHead(head), ...external(bytes) })));
  }
  const message = create(TensorProtoSchema, tensorHead(head));
  return joined([whole(toBinary(TensorProtoSchema, message)), field(TensorProtoSchema.field.rawData, whole(bytes))]);
}

const whole = (bytes: Uint8Array): Pieces => ({ parts: [bytes], size: bytes.length });

function joined(pieces: readonly Pieces[]): Pieces {
  const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
  if (size > MAX_SIZE) {
    throw modelError(`the ONNX file would have ${size} bytes; the format ends at ${MAX_SIZE}. Take a smaller base`);
  }
  return { parts: pieces.flatMap(({ parts }) => parts), size };
}

/** A field that holds a message or bytes. */
function field({ number }: DescField, content: Pieces): Pieces {
  const writer = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(content.size);
  return joined([whole(writer.finish()), content]);
}

function graphMessage({ name, nodes, inputs, outputs }: OnnxGraph) {
  return {
    name,
    node: nodes.map(nodeMessage),
    input: inputs.map(valueMessage),
    output: outputs.map(valueMessage),
  } satisfies MessageInitShape<typeof GraphProtoSchema>;
}

function nodeMessage(node: OnnxNode): MessageInitShape<typeof NodeProtoSchema> {
  const { name, op, domain, inputs, outputs, attributes } = node;
  return {
    ...(name === undefined ? {} : { name }),
    opType: op,
    ...(domain === "" ? {} : { domain }),
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...attributeMessage(value) })),
  };
}

/** A value and its type go together. */
function attributeMessage(value: OnnxAttribute): MessageInitShape<typeof AttributeProtoSchema> {
  if ("float" in value) return { type: AttributeType.FLOAT, f: value.float };
  if ("int" in value) return { type: AttributeType.INT, i: BigInt(value.int) };
  if ("text" in value) return { type: AttributeType.STRING, s: new TextEncoder().encode(value.text) };
  if ("floats" in value) return { type: AttributeType.FLOATS, floats: [...value.floats] };
  return { type: AttributeType.INTS, ints: value.ints.map(BigInt) };
}

function tensorHead({ name, type, dims }: Omit<OnnxTensor, "bytes">) {
  return { name, dataType: type, dims: dims.map(BigInt) } satisfies MessageInitShape<typeof TensorProtoSchema>;
}

function external({ location, offset, length }: ExternalBytes) {
  return {
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries({ location, offset, length }).map(([key, value]) => ({ key, value: String(value) })),
  } satisfies MessageInitShape<typeof TensorProtoSchema>;
}

function valueMessage({ name, type, dims }: OnnxValue): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = dims.map((size) => ({
    value:
      typeof size === "number"
        ? { case: "dimValue" as const, value: BigInt(size) }
        : { case: "dimParam" as const, value: size },
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType: type, shape: { dim } } } } };
}
