// Weight files in Hugging Face's safetensors format. Read: F32, F16, BF16 and F64 as float32, I32 and I64 as int32.
// Written: float32, int32 and int8, tensors in the order of their names, so that equal content gives equal bytes.

import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { modelError } from "../../errors/errors";
import { printable } from "../../errors/printable";
import { writeFileAtomic } from "../../files/atomic";
import { readRange } from "../../files/positioned-read";
import type { HostTensor, HostTensors, Int8Tensor } from "../../model/tensors";
import { bytesPerElement, decodeTensor, isStoredDtype } from "./number-formats";
import { damaged, openWeights, readHeader, type StoredTensor } from "./safetensors-header";
import type { WeightFile } from "./weight-file";

const DATA_ALIGNMENT = 8;

/** A file's tensors, and the SHA-256 of its bytes. */
export interface HashedWeights {
  readonly tensors: HostTensors;
  readonly sha256: string;
}

/** Reads a whole file once. Throws modelError as {@link readSafetensors}. */
export async function readHashedSafetensors(path: string): Promise<HashedWeights> {
  const handle = await openWeights(path);
  try {
    return await readHashedWeights(handle, path);
  } finally {
    await handle.close();
  }
}

/** The same from an open file, which stays open. */
export async function readHashedWeights(handle: FileHandle, path: string): Promise<HashedWeights> {
  const header = await readHeader(handle, path);
  const hash = createHash("sha256");
  // The header's tensors tile the file; in whatever order it names them, bytes are hashed as they lie.
  const stored = [...header.tensors].sort(([, a], [, b]) => a.position - b.position);
  hash.update(await readRange(handle, 0, header.dataStart));
  const read: [string, HostTensor][] = [];
  for (const [name, tensor] of stored) {
    read.push([name, await readTensor(handle, path, name, tensor, (bytes) => hash.update(bytes))]);
  }
  return { tensors: Object.fromEntries(read), sha256: hash.digest("hex") };
}

/**
 * Reads the tensors that `select` picks by name (default: all); the bytes of others are not read.
 * Throws modelError (4) naming file, tensor and cause where the file is damaged or a dtype is not supported.
 */
export async function readSafetensors(
  path: string,
  options: { readonly select?: (name: string) => boolean } = {},
): Promise<{ tensors: HostTensors; metadata: Record<string, string> }> {
  const handle = await openWeights(path);
  try {
    const header = await readHeader(handle, path);
    const read: [string, HostTensor][] = [];
    for (const [name, stored] of header.tensors) {
      if (options.select?.(name) ?? true) read.push([name, await readTensor(handle, path, name, stored)]);
    }
    return { tensors: Object.fromEntries(read), metadata: { ...header.metadata } };
  } finally {
    await handle.close();
  }
}

/** Opens a file for reading one tensor after the other. Throws as {@link readSafetensors}. */
export async function openSafetensors(path: string): Promise<WeightFile> {
  const handle = await openWeights(path);
  try {
    const { tensors } = await readHeader(handle, path);
    return {
      path,
      dtypes: new Map([...tensors].map(([name, { dtype }]) => [name, dtype])),
      read: (name) => readTensor(handle, path, name, tensors.get(name) as StoredTensor),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readTensor(
  handle: FileHandle,
  path: string,
  name: string,
  stored: StoredTensor,
  onBytes: (bytes: Uint8Array) => void = () => undefined,
): Promise<HostTensor> {
  if (!isStoredDtype(stored.dtype)) {
    const readable = Object.keys(bytesPerElement).join(", ");
    throw modelError(
      `${path}: tensor ${printable(name)} has the dtype ${stored.dtype}; readable are ${readable}. Convert it to F32`,
    );
  }
  const bytes = await readRange(handle, stored.position, stored.bytes);
  if (bytes.length < stored.bytes) throw damaged(path, `tensor ${name} is cut off: another process may be writing it`);
  onBytes(bytes);
  const tensor = decodeTensor(stored.dtype, stored.shape, bytes.buffer);
  if (typeof tensor === "string") throw modelError(`${path}: tensor ${printable(name)} ${tensor}`);
  return tensor;
}

/** The bytes of a file, chunk by chunk: header, then each tensor's own memory, uncopied. */
export function* safetensorsChunks(
  tensors: Readonly<Record<string, HostTensor | Int8Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Iterable<Uint8Array> {
  const sorted = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1));
  yield headerBytes(sorted, metadata);
  for (const [, { data }] of sorted) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

const writtenDtypes = { float32: "F32", int32: "I32", int8: "I8" } as const;

function headerBytes(
  sorted: readonly [string, HostTensor | Int8Tensor][],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // transformers refuses files without a format.
  const texts = Object.entries({ format: "pt", ...metadata }).sort(([a], [b]) => (a < b ? -1 : 1));
  const members: [string, unknown][] = [["__metadata__", Object.fromEntries(texts)]];
  let end = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    if (name === "__metadata__") throw new Error("a tensor cannot be named __metadata__");
    const begin = end;
    end += data.byteLength;
    members.push([name, { dtype: writtenDtypes[dtype], shape, data_offsets: [begin, end] }]);
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(members)));
  const padding = -(8 + json.length) & (DATA_ALIGNMENT - 1); // the format allows trailing spaces
  const header = Buffer.alloc(8 + json.length + padding, " ");
  header.writeBigUInt64LE(BigInt(json.length + padding));
  header.set(json, 8);
  return header;
}

/**
 * Writes a file that appears complete or not at all. `metadata` keeps `format: "pt"` unless it names another.
 * Throws failure (1) naming the path where the disk is full or access is denied.
 */
export async function writeSafetensors(
  path: string,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(tensors, metadata));
}
