// A file of trunk activations that other processes read: a record, and then the rows one after another. It is whole where it has
// its name, and what was damaged since is told by its checksum.

import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { parseJson } from "../../files/json";
import { Interrupted } from "../../messages/reporter";
import { type ActivationStore, rowsInFile, storeBytes } from "./activation-store";

/** Bytes up to which a file is written without asking whether that pays: a tenth of a second. */
export const SMALL = 64e6;

/** In front of the rows: a record of the file, as JSON with blanks after it. */
const HEADER = 1024;
const PIECE = 4 * 2 ** 20;

export interface FileRecord {
  readonly format: 1;
  readonly bytes: number;
  readonly crc32: number;
  /** What computing them took, from the embeddings up; and what writing took, as reading will. */
  readonly seconds: number;
  readonly writing: number;
}

/** null where it is not there. */
export async function openThere(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

export async function recordOf(handle: FileHandle, bytes: number): Promise<FileRecord> {
  const head = Buffer.alloc(HEADER);
  await handle.read(head, 0, HEADER, 0);
  const record: FileRecord = Object(parseJson(head.toString("utf8")));
  const numbers = [record.crc32, record.seconds, record.writing];
  const { size } = await handle.stat();
  if (record.format === 1 && record.bytes === bytes && size === HEADER + bytes && numbers.every(Number.isFinite)) {
    return record;
  }
  throw new Error("its size is another");
}

export async function check(handle: FileHandle, record: FileRecord, signal: AbortSignal): Promise<void> {
  const piece = Buffer.alloc(PIECE);
  let found = 0;
  for (let at = 0; at < record.bytes; at += PIECE) {
    if (signal.aborted) throw new Interrupted(null);
    const length = Math.min(PIECE, record.bytes - at);
    const { bytesRead } = await handle.read(piece, 0, length, HEADER + at);
    found = crc32(piece.subarray(0, bytesRead), found);
  }
  if (found !== record.crc32) throw new Error("its checksum is another");
}

export function readOnly(
  handle: FileHandle,
  lengths: ArrayLike<number>,
  hidden: number,
  file: string,
): ActivationStore {
  return {
    place: `on disk (${file})`,
    memoryBytes: 0,
    read: rowsInFile(handle, lengths, hidden, HEADER).read,
    write: () => Promise.reject(new Error(`${file} is other processes' too`)),
    dispose: () => handle.close(),
  };
}

/**
 * Writes rows and, at last, the record of a file.
 * @param computing seconds that the rows took; where they would take longer to write and to read, the file is given up
 * @returns null for one that was
 */
export async function writeRows(
  handle: FileHandle,
  store: ActivationStore,
  lengths: ArrayLike<number>,
  hidden: number,
  computing: number,
  signal: AbortSignal,
): Promise<FileRecord | null> {
  const bytes = storeBytes(lengths, hidden);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const piece = Buffer.alloc(PIECE);
  let [written, filled, sum] = [0, 0, 0];
  const flush = async () => {
    const own = piece.subarray(0, filled);
    sum = crc32(own, sum);
    await handle.write(own, 0, filled, HEADER + written);
    [written, filled] = [written + filled, 0];
  };
  for (let row = 0; row < lengths.length; row++) {
    const length = lengths[row] as number;
    const values = await store.read({ rows: [row], length }, 1);
    const own = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    for (let at = 0; at < own.length; ) {
      const copied = own.copy(piece, filled, at);
      at += copied;
      filled += copied;
      if (filled < PIECE) continue;
      await flush();
      if (signal.aborted) throw new Interrupted(null);
      if (written > SMALL && (2 * seconds() * bytes) / written > computing) return null;
    }
  }
  await flush();
  const record: FileRecord = { format: 1, bytes, crc32: sum, seconds: computing, writing: seconds() };
  await handle.write(JSON.stringify(record).padEnd(HEADER), 0, "utf8");
  return record;
}
