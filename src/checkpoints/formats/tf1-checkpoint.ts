// TensorFlow's checkpoints (format V2, "tensor bundle": tensorflow/core/util/tensor_bundle), such as Google's published
// BERTs: NAME.index, a table of BundleEntryProto by variable name, and NAME.data-00000-of-0000N with the bytes.
// Partitioned variables (slices) and big-endian files are refused; no published BERT has them.

import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { modelError, oneLine } from "../../errors/errors";
import { printable } from "../../errors/printable";
import { readRange } from "../../files/positioned-read";
import { type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import { maskedCrc32c } from "./crc32c";
import { bytesPerElement, decodeTensor, type StoredDtype } from "./number-formats";
import { openWeights } from "./safetensors-header";
import { readTable } from "./sstable";

/** DT_FLOAT, DT_DOUBLE, ... by their numbers in tensorflow/core/framework/types.proto. */
const dataTypes: Readonly<Record<number, StoredDtype>> = {
  1: "F32",
  2: "F64",
  3: "I32",
  9: "I64",
  14: "BF16",
  19: "F16",
};

interface BundleEntry {
  dtype: number;
  shape: number[];
  shard: number;
  offset: number;
  size: number;
  crc32c: number;
  sliced: boolean;
}

/**
 * Reads a checkpoint's variables that `select` picks (default: all) under TensorFlow's own names and in its layout.
 * `prefixOrFolder` is the path without `.index`, or a folder (see {@link findPrefix}).
 * Throws modelError (4) naming file, variable and cause where it is damaged or of an unsupported kind.
 */
export async function readTf1Checkpoint(
  prefixOrFolder: string,
  options: { readonly select?: (name: string) => boolean } = {},
): Promise<HostTensors> {
  const prefix = await findPrefix(prefixOrFolder);
  const index = `${prefix}.index`;
  const { shards, entries } = await readIndex(index);
  const tensors: [string, HostTensor][] = [];
  const wanted = entries.filter(([name]) => options.select?.(name) ?? true);
  for (const shard of [...new Set(wanted.map(([, entry]) => entry.shard))].sort((a, b) => a - b)) {
    const own = wanted.filter(([, entry]) => entry.shard === shard);
    tensors.push(...(await readShard(shardPath(prefix, shard, shards), own)));
  }
  return Object.fromEntries(tensors);
}

/**
 * The prefix of a folder's checkpoint: the only one there, or of several the one that the file `checkpoint` names, as
 * TensorFlow's own reader takes it. Other paths are prefixes themselves.
 */
export async function findPrefix(prefixOrFolder: string): Promise<string> {
  const isFolder = (await stat(prefixOrFolder).catch(() => null))?.isDirectory() ?? false;
  if (!isFolder) return prefixOrFolder;
  const found = (await readdir(prefixOrFolder)).filter((name) => name.endsWith(".index"));
  const [only] = found;
  if (only !== undefined && found.length === 1) return path.join(prefixOrFolder, only.slice(0, -".index".length));
  if (only === undefined) {
    throw modelError(`${prefixOrFolder} has no checkpoint (NAME.index). Give a folder with one`);
  }
  const named = await namedCheckpoint(path.join(prefixOrFolder, "checkpoint"));
  if (named !== null && found.includes(`${named}.index`)) return path.join(prefixOrFolder, named);
  const which = named === null ? "no file checkpoint that names one" : `its file checkpoint names ${printable(named)}`;
  throw modelError(
    `${prefixOrFolder} has several checkpoints: ${found.map(printable).join(", ")}, and ${which}. Give a folder with one`,
  );
}

/** Of CheckpointState, a text of protobuf. Its path may be another machine's: the file's name in this folder counts. */
async function namedCheckpoint(file: string): Promise<string | null> {
  const text = await readFile(file, "utf8").catch(() => "");
  const named = /^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"/m.exec(text)?.[1];
  return named === undefined ? null : (named.split(/[/\\]/).at(-1) as string);
}

function shardPath(prefix: string, shard: number, shards: number): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `${prefix}.data-${digits(shard)}-of-${digits(shards)}`;
}

async function readIndex(file: string): Promise<{ shards: number; entries: [string, BundleEntry][] }> {
  const bytes = await readFile(file).catch((error) => {
    throw modelError(`${file} cannot be read (${error.code}). Give the folder of a TensorFlow checkpoint`, error);
  });
  try {
    const [header, ...rest] = readTable(bytes);
    if (header?.[0] !== "") throw new Error("it has no bundle header");
    const shards = parseHeader(header[1]);
    return { shards, entries: rest.map(([name, value]) => [name, parseEntry(name, value, shards)]) };
  } catch (error) {
    throw modelError(`${file} is damaged: ${oneLine(error)}. Fetch the checkpoint again`, error);
  }
}

/** BundleHeaderProto: the number of shards. */
function parseHeader(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let shards = 0;
  let endianness = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) shards = reader.int32();
    else if (field === 2) endianness = reader.int32();
    else reader.skip(wireType, field);
  }
  if (endianness !== 0) throw new Error("it was written on a big-endian machine, which is not supported");
  return shards;
}

function parseEntry(name: string, bytes: Uint8Array, shards: number): BundleEntry {
  const entry: BundleEntry = { dtype: 0, shape: [], shard: 0, offset: 0, size: 0, crc32c: 0, sliced: false };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) entry.dtype = reader.int32();
    else if (field === 2) entry.shape = parseShape(reader.bytes());
    else if (field === 3) entry.shard = reader.int32();
    else if (field === 4) entry.offset = Number(reader.int64());
    else if (field === 5) entry.size = Number(reader.int64());
    else if (field === 6) entry.crc32c = reader.fixed32();
    else {
      if (field === 7) entry.sliced = true;
      reader.skip(wireType, field);
    }
  }
  if (entry.shard < 0 || entry.shard >= shards) throw new Error(`${name} lies in shard ${entry.shard} of ${shards}`);
  const { shape, offset, size } = entry;
  if (![...shape, offset, size].every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new Error(`${name} has the shape [${shape}] and ${size} bytes from ${offset} on`);
  }
  return entry;
}

/** TensorShapeProto: repeated Dim { int64 size = 1 } dim = 2. */
function parseShape(bytes: Uint8Array): number[] {
  const reader = new BinaryReader(bytes);
  const shape: number[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== 2) {
      reader.skip(wireType, field);
      continue;
    }
    const dimension = new BinaryReader(reader.bytes());
    let size = 0;
    while (dimension.pos < dimension.len) {
      const [inner, innerType] = dimension.tag();
      if (inner === 1) size = Number(dimension.int64());
      else dimension.skip(innerType, inner);
    }
    shape.push(size);
  }
  return shape;
}

async function readShard(file: string, wanted: readonly [string, BundleEntry][]): Promise<[string, HostTensor][]> {
  const handle = await openWeights(file);
  const tensors: [string, HostTensor][] = [];
  try {
    const { size: end } = await handle.stat();
    for (const [name, entry] of wanted) {
      const fail = (cause: string) =>
        modelError(`${file}: variable ${printable(name)} ${cause}. Fetch the checkpoint again`);
      const dtype = dataTypes[entry.dtype];
      if (!dtype) throw fail(`has TensorFlow's data type ${entry.dtype}, which is not supported`);
      if (entry.sliced) throw fail("is partitioned, which is not supported");
      const expected = sizeOf(entry.shape) * bytesPerElement[dtype];
      if (entry.size !== expected) {
        throw fail(`has ${entry.size} bytes, ${dtype} [${entry.shape}] needs ${expected}`);
      }
      const early = entry.offset + entry.size - end;
      if (early > 0) throw fail(`is cut off: the file ends ${Math.min(early, entry.size)} bytes early`);
      const bytes = await readRange(handle, entry.offset, entry.size);
      if (bytes.length < entry.size) throw fail("is cut off: another process may be writing it");
      if (maskedCrc32c(bytes) !== entry.crc32c) throw fail("is damaged: its CRC is wrong");
      const tensor = decodeTensor(dtype, entry.shape, bytes.buffer);
      if (typeof tensor === "string") throw fail(tensor);
      tensors.push([name, tensor]);
    }
    return tensors;
  } finally {
    await handle.close();
  }
}
