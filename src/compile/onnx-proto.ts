// ONNX's protobuf messages, as far as models need them: field numbers from onnx.proto3 (IR version 10).
// Written with @bufbuild/protobuf's wire writer; weights go into the file as they lie in memory, copied once.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export const ElementType = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
export type ElementType = (typeof ElementType)[keyof typeof ElementType];

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly graph: OnnxGraph };

export interface OnnxNode {
  readonly op: string;
  /** "" is the standard. */
  readonly domain: string;
  /** "" stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
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
}

const IR_VERSION = 10;

/** A serialised message as pieces: large tensors are pieces of their own and are not copied on the way. */
interface Pieces {
  readonly parts: Uint8Array[];
  readonly size: number;
}

/** The model file. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const opsets = Object.entries(model.opsets).map(([domain, version]) =>
    message((w) => {
      w.tag(1, WireType.LengthDelimited).string(domain);
      w.tag(2, WireType.Varint).int64(version);
    }),
  );
  const head = message((w) => {
    w.tag(1, WireType.Varint).int64(IR_VERSION);
    w.tag(2, WireType.LengthDelimited).string(model.producer);
  });
  const { parts, size } = joined([head, field(7, graph(model.graph)), ...opsets.map((opset) => field(8, opset))]);
  const file = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

function message(write: (writer: BinaryWriter) => void): Pieces {
  const writer = new BinaryWriter();
  write(writer);
  const bytes = writer.finish();
  return { parts: [bytes], size: bytes.length };
}

function joined(pieces: readonly Pieces[]): Pieces {
  return { parts: pieces.flatMap(({ parts }) => parts), size: pieces.reduce((sum, { size }) => sum + size, 0) };
}

/** A field that holds a message or bytes. */
function field(number: number, content: Pieces): Pieces {
  const head = message((w) => w.tag(number, WireType.LengthDelimited).uint32(content.size));
  return joined([head, content]);
}

function graph({ name, nodes, initializers, inputs, outputs }: OnnxGraph): Pieces {
  return joined([
    ...nodes.map((item) => field(1, node(item))),
    message((w) => w.tag(2, WireType.LengthDelimited).string(name)),
    ...initializers.map((item) => field(5, tensor(item))),
    ...inputs.map((item) => field(11, valueInfo(item))),
    ...outputs.map((item) => field(12, valueInfo(item))),
  ]);
}

function node({ op, domain, inputs, outputs, attributes }: OnnxNode): Pieces {
  const names = message((w) => {
    for (const input of inputs) w.tag(1, WireType.LengthDelimited).string(input);
    for (const output of outputs) w.tag(2, WireType.LengthDelimited).string(output);
    w.tag(4, WireType.LengthDelimited).string(op);
    if (domain !== "") w.tag(7, WireType.LengthDelimited).string(domain);
  });
  return joined([names, ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value)))]);
}

/** AttributeProto: the value's field and its type (field 20) go together. */
function attribute(name: string, value: OnnxAttribute): Pieces {
  const named = message((w) => w.tag(1, WireType.LengthDelimited).string(name));
  const typed = (type: number) => message((w) => w.tag(20, WireType.Varint).int32(type));
  if ("float" in value) return joined([named, message((w) => w.tag(2, WireType.Bit32).float(value.float)), typed(1)]);
  if ("int" in value) return joined([named, message((w) => w.tag(3, WireType.Varint).int64(value.int)), typed(2)]);
  if ("text" in value) {
    return joined([named, message((w) => w.tag(4, WireType.LengthDelimited).string(value.text)), typed(3)]);
  }
  if ("graph" in value) return joined([named, field(6, graph(value.graph)), typed(5)]);
  return joined([named, packed(8, value.ints), typed(7)]);
}

function packed(number: number, values: readonly number[]): Pieces {
  const content = message((w) => {
    for (const value of values) w.int64(value);
  });
  return field(number, content);
}

function tensor({ name, type, dims, bytes }: OnnxTensor): Pieces {
  const head = message((w) => {
    w.tag(2, WireType.Varint).int32(type);
    w.tag(8, WireType.LengthDelimited).string(name);
  });
  return joined([packed(1, dims), head, field(9, { parts: [bytes], size: bytes.length })]);
}

function valueInfo({ name, type, dims }: OnnxValue): Pieces {
  const dimensions = dims.map((dim) =>
    message((w) => {
      if (typeof dim === "number") w.tag(1, WireType.Varint).int64(dim);
      else w.tag(2, WireType.LengthDelimited).string(dim);
    }),
  );
  const shape = joined(dimensions.map((dim) => field(1, dim)));
  const elementType = message((w) => w.tag(1, WireType.Varint).int32(type));
  const tensorType = joined([elementType, field(2, shape)]);
  const named = message((w) => w.tag(1, WireType.LengthDelimited).string(name));
  return joined([named, field(2, field(1, tensorType))]);
}
