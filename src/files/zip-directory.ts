// The directory of a zip, and what its entries hold: stored or deflated, ZIP64 included (APPNOTE.TXT 4.3), on one disk and not
// encrypted. By hand: docs/decisions.md says why.

import type { FileHandle } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { createInflateRaw } from "node:zlib";
import { printable } from "../errors/printable";
import { readRange } from "./positioned-read";

/** What is wrong with a zip, in words that follow its name. */
export class ZipError extends Error {}

export interface ZipEntry {
  readonly name: string;
  /** Of its content, and as it lies in the file. */
  readonly bytes: number;
  readonly compressed: number;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  /** Unix's mode in the upper half, where it was made there. */
  readonly attributes: number;
  /** Where its local header begins, which its bytes follow. */
  readonly header: number;
}

export const STORED = 0;
const DEFLATED = 8;

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
/** TensorFlow's wheel, of 15,000 files, has 2 MB. */
const LARGEST_DIRECTORY = 2 ** 24;
const CHUNK = 2 ** 18;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The entries in the order of the directory. Throws ZipError where it is damaged. */
export async function readZipDirectory(handle: FileHandle): Promise<ZipEntry[]> {
  const { size } = await handle.stat();
  const { offset, bytes, count } = await directoryRange(handle, size);
  if (bytes > LARGEST_DIRECTORY) throw new ZipError(`its directory has ${bytes} bytes`);
  const directory = await readExactly(handle, offset, bytes, "its directory");
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readEntry(directory, at);
    entries.push(entry);
    at = next;
  }
  return entries;
}

/** Where an entry's bytes begin. All of them lie in the file. */
export async function contentStart(handle: FileHandle, { name, header, compressed }: ZipEntry): Promise<number> {
  const local = viewOf(await readExactly(handle, header, 30, printable(name)));
  if (local.getUint32(0, true) !== LOCAL) throw new ZipError(`${printable(name)} is not where its directory says`);
  const start = header + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  const { size } = await handle.stat();
  if (start + compressed > size) throw new ZipError(`${printable(name)} reaches over its end: it is cut off`);
  return start;
}

/**
 * An entry's content in pieces: as many bytes as the directory says, or ZipError. Whether they have its CRC is for who reads
 * them to say.
 */
export async function* contentOf(handle: FileHandle, entry: ZipEntry): AsyncGenerator<Uint8Array, void, undefined> {
  const name = printable(entry.name);
  if (entry.encrypted) throw new ZipError(`${name} is encrypted`);
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw new ZipError(`${name} is compressed by method ${entry.method}, which is not read`);
  }
  const raw = pieces(handle, await contentStart(handle, entry), entry.compressed);
  let bytes = 0;
  for await (const piece of entry.method === STORED ? raw : inflated(raw)) {
    bytes += piece.length;
    if (bytes > entry.bytes)
      throw new ZipError(`${name} unpacks to more than the ${entry.bytes} bytes that it declares`);
    yield piece;
  }
  if (bytes < entry.bytes) throw new ZipError(`${name} unpacks to ${bytes} bytes, and declares ${entry.bytes}`);
}

async function* pieces(handle: FileHandle, start: number, bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let done = 0; done < bytes; done += CHUNK) yield readRange(handle, start + done, Math.min(CHUNK, bytes - done));
}

/** Its errors come to who iterates. */
function inflated(raw: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return pipeline(Readable.from(raw), createInflateRaw(), () => undefined);
}

async function readExactly(handle: FileHandle, position: number, bytes: number, what: string): Promise<Uint8Array> {
  const { size } = await handle.stat();
  if (!(position >= 0 && position + bytes <= size)) throw new ZipError(`${what} reaches over its end: it is cut off`);
  return readRange(handle, position, bytes);
}

interface Directory {
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
}

/** The last record of the file says where its directory lies; for large files another one does. */
async function directoryRange(handle: FileHandle, size: number): Promise<Directory> {
  const from = Math.max(0, size - END_BYTES - LONGEST_COMMENT);
  const tail = viewOf(await readRange(handle, from, size - from));
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw new ZipError("its zip has no end: it is cut off");
  const [count, bytes, offset] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true),
  ];
  if (count !== 0xffff && bytes !== 0xffffffff && offset !== 0xffffffff) return { offset, bytes, count };
  const locator = end - 20;
  if (locator < 0 || tail.getUint32(locator, true) !== LOCATOR_64)
    throw new ZipError("its zip has no 64-bit directory");
  const position = Number(tail.getBigUint64(locator + 8, true));
  const record = viewOf(await readExactly(handle, position, 56, "its 64-bit directory"));
  if (record.getUint32(0, true) !== END_64) throw new ZipError("its zip has no 64-bit directory");
  const number = (at: number) => Number(record.getBigUint64(at, true));
  return { count: number(32), bytes: number(40), offset: number(48) };
}

function readEntry(directory: Uint8Array, at: number): { entry: ZipEntry; next: number } {
  const view = viewOf(directory);
  if (at + 46 > directory.length || view.getUint32(at, true) !== ENTRY)
    throw new ZipError("its zip's directory is damaged");
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
    number,
    number,
    number,
  ];
  const extra = at + 46 + nameBytes;
  const next = extra + extraBytes + commentBytes;
  if (next > directory.length) throw new ZipError("its zip's directory is damaged");
  const name = new TextDecoder().decode(directory.subarray(at + 46, extra));
  const sizes = [24, 20, 42].map((field) => view.getUint32(at + field, true));
  const [bytes, compressed, header] = wide(sizes, view, extra, extra + extraBytes) as [number, number, number];
  const short = (field: number) => view.getUint16(at + field, true);
  const long = (field: number) => view.getUint32(at + field, true);
  return {
    entry: {
      ...{ name, bytes, compressed, header },
      ...{ method: short(10), encrypted: (short(8) & 1) === 1, crc32: long(16), attributes: long(38) },
    },
    next,
  };
}

/** Numbers that do not fit into 32 bits stand, in their order, in the extra field of kind 1. */
function wide(numbers: readonly number[], view: DataView, from: number, to: number): number[] {
  let at = from;
  while (at + 4 <= to && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true);
  at += 4;
  return numbers.map((number) => {
    if (number !== 0xffffffff) return number;
    if (at + 8 > to) throw new ZipError("its zip's directory is damaged");
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  });
}
