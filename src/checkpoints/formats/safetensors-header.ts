// The header of a safetensors file: 8 bytes little-endian length, then JSON with each tensor's dtype, shape and byte
// range. Checked as the reference implementation does (huggingface/safetensors, tensor.rs `validate`): ranges must tile the
// data without overlap or hole, so that no byte of a file is hidden or read twice.

import { type FileHandle, open } from "node:fs/promises";
import { modelError, oneLine } from "../../errors/errors";
import { onOneLine, shown } from "../../errors/printable";
import { isCount, parseJson } from "../../files/json";
import { readRange } from "../../files/positioned-read";
import { storageFailure } from "../../files/storage-failure";
import { requireContent } from "./placeholder";

/** Bytes of one element, of every dtype of the format; src/checkpoints/formats/safetensors.ts says which are read. */
const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
  C64: 8,
};

const LARGEST_HEADER = 100_000_000;

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Position in the file and length, both in bytes. */
  readonly position: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes before the first tensor. */
  readonly dataStart: number;
}

/** Opens a weight file; modelError (4) where there is none. */
export async function openWeights(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw modelError(`${path} does not exist`, error);
    throw storageFailure(error, path, "cannot read");
  }
}

/** Reads and checks a file's header. Throws modelError (4) naming file, tensor and cause. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const handle = await openWeights(path);
  try {
    return await readHeader(handle, path);
  } finally {
    await handle.close();
  }
}

/** The same from an open file. */
export async function readHeader(handle: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat();
  const prefix = await readRange(handle, 0, 8);
  if (prefix.length < 8) throw damaged(path, `it has ${size} bytes, too few for a header`);
  requireContent(await readRange(handle, 0, 64), path);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(LARGEST_HEADER)) {
    throw damaged(
      path,
      `its header would have ${length} bytes (at most ${LARGEST_HEADER}): this is no safetensors file`,
    );
  }
  const headerBytes = Number(length);
  const dataStart = 8 + headerBytes;
  if (dataStart > size)
    throw damaged(path, `its header has ${headerBytes} bytes, the file only ${size}: it is cut off`);
  const members = parseHeader(await readRange(handle, 8, headerBytes), path);
  const tensors = new Map<string, StoredTensor>();
  let metadata: Record<string, string> = {};
  for (const [name, member] of members) {
    if (name === "__metadata__") metadata = parseMetadata(member, path);
    else tensors.set(name, parseTensor(name, member, dataStart, path));
  }
  checkTiling(tensors, dataStart, size, path);
  return { tensors, metadata, dataStart };
}

function parseHeader(bytes: Uint8Array, path: string): [string, unknown][] {
  let header: unknown;
  try {
    header = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(path, `its header is no JSON (${oneLine(error)})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw damaged(path, "its header is no JSON object");
  }
  return Object.entries(header);
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  const isText =
    typeof value === "object" && value !== null && Object.values(value).every((v) => typeof v === "string");
  if (!isText) throw damaged(path, "its __metadata__ is no map of texts");
  return value as Record<string, string>;
}

function parseTensor(name: string, value: unknown, dataStart: number, path: string): StoredTensor {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const width = typeof dtype === "string" && Object.hasOwn(elementBytes, dtype) ? elementBytes[dtype] : undefined;
  if (width === undefined) throw damaged(path, `tensor ${name} has the unknown dtype ${shown(dtype)}`);
  if (!isCounts(shape)) throw damaged(path, `tensor ${name} has the shape ${shown(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw damaged(path, `tensor ${name} has the data_offsets ${shown(offsets)}`);
  }
  const [begin = 0, end = 0] = offsets;
  const bytes = shape.reduce((product, dimension) => product * dimension, width);
  if (end - begin !== bytes) {
    throw damaged(
      path,
      `tensor ${name}, ${dtype} [${shape}], needs ${bytes} bytes, its data_offsets give ${end - begin}`,
    );
  }
  return { dtype: dtype as string, shape, position: dataStart + begin, bytes };
}

const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

function checkTiling(tensors: ReadonlyMap<string, StoredTensor>, dataStart: number, size: number, path: string): void {
  let end = dataStart;
  const byPosition = [...tensors].sort(([, a], [, b]) => a.position - b.position || a.bytes - b.bytes);
  for (const [name, { position, bytes }] of byPosition) {
    if (position < end) throw damaged(path, `tensor ${name} overlaps the one before it by ${end - position} bytes`);
    if (position > end) throw damaged(path, `there is a hole of ${position - end} bytes before tensor ${name}`);
    end = position + bytes;
    if (end > size) throw damaged(path, `tensor ${name} ends at byte ${end}, the file at ${size}: it is cut off`);
  }
  if (end < size) throw damaged(path, `${size - end} bytes follow the last tensor`);
}

export const damaged = (path: string, cause: string) =>
  modelError(`${path} is damaged: ${onOneLine(cause)}. Fetch or write the file again`);
