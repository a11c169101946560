// Tensors of the Open Inference Protocol: BYTES in, BYTES, FP32 and INT32 out, as JSON or as bytes behind it (the binary tensor
// extension: each BYTES element is preceded by its length, uint32 little-endian).
// https://github.com/kserve/open-inference-protocol, https://github.com/triton-inference-server/server (docs/protocol)

import { isUtf8 } from "node:buffer";
import { parseBody, TENSOR_HEADER } from "./body";
import { ApiError, given } from "./errors";
import { invalid } from "./rows";

/** A request without what is binary in it: texts by input. */
export interface TensorRequest {
  readonly id: string | undefined;
  readonly inputs: ReadonlyMap<string, readonly string[]>;
  /** Of its parameters, as it was given; "off" where there is none: clients of the protocol know nothing of early exits. */
  readonly exit: unknown;
  /** Names of outputs, and whether each is binary; all by default. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
}

export interface OutputTensor {
  readonly name: string;
  readonly datatype: "FP32" | "INT32" | "BYTES";
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array | readonly string[];
}

/**
 * @param length the header's value where the body has binary tensors
 * @param outputNames the model's outputs
 */
export function readTensors(
  body: unknown,
  length: string | undefined,
  maxRows: number,
  outputNames: readonly string[],
): TensorRequest {
  const { json, rest } = length === undefined ? { json: body, rest: null } : splitBody(body, length);
  const { id, inputs, outputs, parameters } = fieldsOf(json, "the body");
  if (id !== undefined && typeof id !== "string") throw invalid(`id is ${given(id)}, not a string`);
  if (!Array.isArray(inputs) || inputs.length === 0) throw invalid(`inputs is ${given(inputs)}, not a list of tensors`);
  const texts = new Map<string, readonly string[]>();
  let at = 0;
  for (const [i, input] of inputs.entries()) {
    const { name, datatype, shape, data, parameters: own } = fieldsOf(input, `inputs[${i}]`);
    if (name !== "text" && name !== "pair")
      throw invalid(`inputs[${i}] is called ${given(name)}: it takes text and pair`);
    if (texts.has(name)) throw invalid(`there are two inputs ${name}: give one`);
    if (datatype !== "BYTES") throw invalid(`${name} has the datatype ${given(datatype)}, and takes BYTES`);
    const rows = rowsOf(shape, name, maxRows);
    const size = binarySize(own, name);
    if (size === null) texts.set(name, readJson(data, rows, name));
    else {
      if (!rest) throw invalid(`${name} has a binary_data_size, and the request no header ${TENSOR_HEADER}`);
      texts.set(name, readBinary(rest.subarray(at, at + size), size, rows, name));
      at += size;
    }
  }
  if (rest && at !== rest.length) throw invalid(`${rest.length - at} bytes behind the last tensor belong to none`);
  const [text, pair] = [texts.get("text"), texts.get("pair")];
  if (!text) throw invalid("there is no input text");
  if (pair && pair.length !== text.length) throw invalid(`text has ${text.length} rows, and pair ${pair.length}`);
  const { binary_data_output: all, exit = "off" } = parametersOf(parameters, "the body");
  const wanted = readOutputs(outputs, isTrue(all, "binary_data_output") ?? false, outputNames);
  return { id: id as string | undefined, inputs: texts, exit, outputs: wanted };
}

/** The body, and its header where it has binary tensors. */
export function writeTensors(
  head: Readonly<Record<string, unknown>>,
  tensors: readonly OutputTensor[],
  binary: (name: string) => boolean,
): { readonly body: string | Buffer; readonly jsonBytes: number | null } {
  const parts: Buffer[] = [];
  const outputs = tensors.map(({ values, ...tensor }) => {
    if (!binary(tensor.name)) return { ...tensor, data: Array.from(values as ArrayLike<number | string>) };
    const bytes =
      values instanceof Float32Array
        ? floatBytes(values)
        : values instanceof Int32Array
          ? wholeBytes(values)
          : textBytes(values);
    parts.push(bytes);
    return { ...tensor, parameters: { binary_data_size: bytes.length } };
  });
  const json = JSON.stringify({ ...head, outputs });
  if (parts.length === 0) return { body: json, jsonBytes: null };
  const jsonBytes = Buffer.byteLength(json);
  return { body: Buffer.concat([Buffer.from(json), ...parts]), jsonBytes };
}

function splitBody(body: unknown, length: string): { readonly json: unknown; readonly rest: Buffer } {
  const bytes = body as Buffer;
  const size = /^\d+$/.test(length) ? Number(length) : Number.NaN;
  if (!(size <= bytes.length)) {
    throw new ApiError("bad_request", `${TENSOR_HEADER} is ${given(length)}, of a body of ${bytes.length} bytes`);
  }
  return { json: parseBody(bytes.subarray(0, size)), rest: bytes.subarray(size) };
}

function fieldsOf(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`${place} is ${given(value)}, not an object`);
}

/** What the protocol leaves to servers: they may know none of it, but it is an object. */
const parametersOf = (parameters: unknown, place: string): Readonly<Record<string, unknown>> =>
  parameters === undefined ? {} : fieldsOf(parameters, `parameters of ${place}`);

/** undefined where it is not given. */
function isTrue(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw invalid(`${name} is ${given(value)}, not true or false`);
}

/** [rows], or [rows, 1] as clients of models with a batch have it. */
function rowsOf(shape: unknown, name: string, maxRows: number): number {
  const sizes = Array.isArray(shape) ? shape : [];
  const [rows, ...others] = sizes as unknown[];
  if (!Number.isSafeInteger(rows) || (rows as number) < 1 || others.length > 1 || others.some((size) => size !== 1)) {
    throw invalid(`${name} has the shape ${given(shape)}, and takes [rows] or [rows, 1]`);
  }
  if ((rows as number) <= maxRows) return rows as number;
  throw new ApiError("too_large", `${name} has ${rows} rows, and a request may have ${maxRows}. Send them in parts`);
}

function binarySize(parameters: unknown, name: string): number | null {
  const { binary_data_size: size } = parametersOf(parameters, name);
  if (size === undefined) return null;
  if (Number.isSafeInteger(size) && (size as number) >= 0) return size as number;
  throw invalid(`binary_data_size of ${name} is ${given(size)}, not a number of bytes`);
}

function readJson(data: unknown, rows: number, name: string): readonly string[] {
  const flat = Array.isArray(data) ? (data as unknown[]).flat(1) : [];
  if (flat.length !== rows) throw invalid(`${name} has ${flat.length} elements in data, and a shape of ${rows}`);
  const other = flat.find((value) => typeof value !== "string");
  if (other !== undefined) throw invalid(`data of ${name} holds ${given(other)}, not a string`);
  return flat as string[];
}

function readBinary(bytes: Buffer, size: number, rows: number, name: string): readonly string[] {
  const wrong = () => invalid(`${name} is no tensor of ${rows} BYTES in ${size} bytes`);
  if (bytes.length !== size) throw wrong();
  const texts: string[] = [];
  for (let at = 0; at < size; ) {
    if (at + 4 > size || texts.length === rows) throw wrong();
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > size) throw wrong();
    const text = bytes.subarray(at + 4, end);
    if (!isUtf8(text)) throw invalid(`element ${texts.length} of ${name} is not UTF-8`);
    texts.push(text.toString("utf8"));
    at = end;
  }
  if (texts.length !== rows) throw wrong();
  return texts;
}

function readOutputs(outputs: unknown, binary: boolean, outputNames: readonly string[]): TensorRequest["outputs"] {
  if (outputs === undefined) return outputNames.map((name) => ({ name, binary }));
  if (!Array.isArray(outputs)) throw invalid(`outputs is ${given(outputs)}, not a list`);
  return outputs.map((output, i) => {
    const { name, parameters } = fieldsOf(output, `outputs[${i}]`);
    if (!outputNames.includes(name as string))
      throw invalid(`outputs[${i}] is ${given(name)}: there are ${listedNames(outputNames)}`);
    const { binary_data: own, classification } = parametersOf(parameters, `outputs[${i}]`);
    if (classification !== undefined) {
      throw invalid(`outputs[${i}] asks for a classification, which this server does not make: ask for label`);
    }
    return { name: name as string, binary: isTrue(own, `binary_data of outputs[${i}]`) ?? binary };
  });
}

const listedNames = (names: readonly string[]) => `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

function wholeBytes(values: Int32Array): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeInt32LE(value, 4 * i);
  return bytes;
}

function floatBytes(values: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeFloatLE(value, 4 * i);
  return bytes;
}

function textBytes(values: readonly string[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const text = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      return [length, text];
    }),
  );
}
