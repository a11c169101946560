// The directory of a zip whose entries are stored, not compressed: each is a range of the file. By hand, because yauzl
// throws outside of its promises where a damaged directory points beyond the file. ZIP64 included (APPNOTE.TXT 4.3).

import type { FileHandle } from "node:fs/promises";
import { printable } from "../../errors/printable";
import { readRange } from "../../files/positioned-read";
import { PickleError } from "./pickle";

export interface StoredEntry {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
  /** Where its local header begins, which its bytes follow. */
  readonly header: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
/** The storages of a large BERT are some 400. */
const LARGEST_DIRECTORY = 2 ** 24;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The entries by name. Throws PickleError with the cause where the directory is damaged or an entry is compressed. */
export async function readStoredZip(handle: FileHandle): Promise<Map<string, StoredEntry>> {
  const { size } = await handle.stat();
  const { offset, bytes, count } = await directoryRange(handle, size);
  if (bytes > LARGEST_DIRECTORY) throw new PickleError(`its directory has ${bytes} bytes`);
  const directory = await readExactly(handle, offset, bytes, "its directory");
  const entries = new Map<string, StoredEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readEntry(directory, at);
    if (entries.has(entry.name)) throw new PickleError(`it holds ${printable(entry.name)} twice`);
    entries.set(entry.name, entry);
    at = next;
  }
  return entries;
}

/** Where an entry's bytes begin. */
export async function contentOf(handle: FileHandle, { name, header }: StoredEntry): Promise<number> {
  const local = viewOf(await readExactly(handle, header, 30, printable(name)));
  if (local.getUint32(0, true) !== LOCAL) throw new PickleError(`${printable(name)} is not where its directory says`);
  return header + 30 + local.getUint16(26, true) + local.getUint16(28, true);
}

async function readExactly(handle: FileHandle, position: number, bytes: number, what: string): Promise<Uint8Array> {
  const { size } = await handle.stat();
  if (!(position >= 0 && position + bytes <= size))
    throw new PickleError(`${what} reaches over its end: it is cut off`);
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
  if (end < 0) throw new PickleError("its zip has no end: it is cut off");
  const [count, bytes, offset] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true),
  ];
  if (count !== 0xffff && bytes !== 0xffffffff && offset !== 0xffffffff) return { offset, bytes, count };
  const locator = end - 20;
  if (locator < 0 || tail.getUint32(locator, true) !== LOCATOR_64)
    throw new PickleError("its zip has no 64-bit directory");
  const position = Number(tail.getBigUint64(locator + 8, true));
  const record = viewOf(await readExactly(handle, position, 56, "its 64-bit directory"));
  if (record.getUint32(0, true) !== END_64) throw new PickleError("its zip has no 64-bit directory");
  const number = (at: number) => Number(record.getBigUint64(at, true));
  return { count: number(32), bytes: number(40), offset: number(48) };
}

function readEntry(directory: Uint8Array, at: number): { entry: StoredEntry; next: number } {
  const view = viewOf(directory);
  if (at + 46 > directory.length || view.getUint32(at, true) !== ENTRY)
    throw new PickleError("its zip's directory is damaged");
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
    number,
    number,
    number,
  ];
  const extra = at + 46 + nameBytes;
  const next = extra + extraBytes + commentBytes;
  if (next > directory.length) throw new PickleError("its zip's directory is damaged");
  const name = new TextDecoder().decode(directory.subarray(at + 46, extra));
  const sizes = [24, 20, 42].map((field) => view.getUint32(at + field, true));
  const [bytes, compressed, header] = wide(sizes, view, extra, extra + extraBytes) as [number, number, number];
  if (view.getUint16(at + 10, true) !== 0 || bytes !== compressed) {
    throw new PickleError(`${printable(name)} is compressed, which PyTorch does not do`);
  }
  return { entry: { name, bytes, crc32: view.getUint32(at + 16, true), header }, next };
}

/** Numbers that do not fit into 32 bits stand, in their order, in the extra field of kind 1. */
function wide(numbers: readonly number[], view: DataView, from: number, to: number): number[] {
  let at = from;
  while (at + 4 <= to && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true);
  at += 4;
  return numbers.map((number) => {
    if (number !== 0xffffffff) return number;
    if (at + 8 > to) throw new PickleError("its zip's directory is damaged");
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  });
}
