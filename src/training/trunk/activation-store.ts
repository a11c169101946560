// Where trunk activations lie between passes: ragged float32 rows in memory, or in a scratch file. Each pass
// overwrites the rows of the one before, so a sweep holds one layer's activations, not one per fork.

import { readSync } from "node:fs";
import { type FileHandle, open, rm, statfs } from "node:fs/promises";
import path from "node:path";
import type { Batch } from "../../batches/batches";
import { makeFolder } from "../../files/folder";

export interface ActivationStore {
  readonly place: string;
  /** Of its values; 0 where they are on disk. */
  readonly memoryBytes: number;
  /** [size, batch.length, hidden], zero beyond each row's tokens. */
  read(batch: Batch, size: number): Promise<Float32Array>;
  /** Takes the batch's rows out of [any size, batch.length, hidden]. */
  write(batch: Batch, padded: Float32Array): Promise<void>;
  dispose(): Promise<void>;
}

/** Scratch files carry this ending: `clean` removes what a killed process left. */
export const SCRATCH_SUFFIX = ".trunk.tmp";

/** Bytes of disk left free beside activations. */
const DISK_MARGIN = 1e9;

/** What a store takes: ragged rows of `width` floats a position. */
export const storeBytes = (lengths: ArrayLike<number>, width: number): number => {
  let positions = 0;
  for (let row = 0; row < lengths.length; row++) positions += lengths[row] as number;
  return positions * width * 4;
};

export interface StoreOptions {
  /** Bytes of memory that it may take. */
  readonly budget: number;
  /** Of the scratch file where that is not enough. */
  readonly folder: string;
}

/** In memory within the budget, else in a scratch file; null where the disk has no room for it either. */
export async function openStore(
  lengths: ArrayLike<number>,
  width: number,
  { budget, folder }: StoreOptions,
): Promise<ActivationStore | null> {
  return storeBytes(lengths, width) <= budget ? memoryStore(lengths, width) : diskStore(lengths, width, folder);
}

/** Floats of a block of memory: an array for each of a million rows would take more than short rows themselves. */
const BLOCK_FLOATS = 2 ** 22;

export function memoryStore(lengths: ArrayLike<number>, hidden: number): ActivationStore {
  const { blocks, blockOf, startOf } = allocate(lengths, hidden);
  const valuesOf = (row: number) => {
    const start = startOf[row] as number;
    return (blocks[blockOf[row] as number] as Float32Array).subarray(start, start + (lengths[row] as number) * hidden);
  };
  const bytes = storeBytes(lengths, hidden);
  return {
    place: `in memory (${Math.round(bytes / 1e6)} MB)`,
    memoryBytes: bytes,
    async read(batch, size) {
      const padded = new Float32Array(size * batch.length * hidden);
      for (const [i, row] of batch.rows.entries()) padded.set(valuesOf(row), i * batch.length * hidden);
      return padded;
    },
    async write(batch, padded) {
      for (const [i, row] of batch.rows.entries()) {
        const at = i * batch.length * hidden;
        const target = valuesOf(row);
        target.set(padded.subarray(at, at + target.length));
      }
    },
    async dispose() {
      blocks.length = 0;
    },
  };
}

/** Blocks for all rows, each whole in one of them, and where it begins. */
function allocate(lengths: ArrayLike<number>, hidden: number) {
  const [blockOf, startOf] = [new Int32Array(lengths.length), new Int32Array(lengths.length)];
  const sizes: number[] = [0];
  for (let row = 0; row < lengths.length; row++) {
    const floats = (lengths[row] as number) * hidden;
    const filled = sizes.at(-1) as number;
    if (filled > 0 && filled + floats > BLOCK_FLOATS) sizes.push(0);
    blockOf[row] = sizes.length - 1;
    startOf[row] = sizes.at(-1) as number;
    sizes[sizes.length - 1] = (startOf[row] as number) + floats;
  }
  return { blocks: sizes.map((size) => new Float32Array(size)), blockOf, startOf };
}

/** Tells apart the files that one process opens within a millisecond. */
let opened = 0;

/** A new file for what a process keeps while it runs. */
export const scratchFile = (folder: string) =>
  path.join(folder, `${process.pid}-${Date.now()}-${opened++}${SCRATCH_SUFFIX}`);

/** What scratch files may take of a folder's disk. Makes the folder. */
export async function freeBytes(folder: string): Promise<number> {
  await makeFolder(folder);
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize - DISK_MARGIN;
}

/** Ragged rows one after another in an open file, from byte `from` on. */
export function rowsInFile(
  handle: FileHandle,
  lengths: ArrayLike<number>,
  hidden: number,
  from = 0,
): Pick<ActivationStore, "read" | "write"> {
  const offsets = new Float64Array(lengths.length + 1).fill(from); // bytes
  for (let row = 0; row < lengths.length; row++) {
    offsets[row + 1] = (offsets[row] as number) + (lengths[row] as number) * hidden * 4;
  }
  const rowBytes = (row: number) => (offsets[row + 1] as number) - (offsets[row] as number);
  return {
    async read(batch, size) {
      const padded = new Float32Array(size * batch.length * hidden);
      const target = Buffer.from(padded.buffer);
      for (const [i, row] of batch.rows.entries()) {
        // Not awaited row by row: that takes longer than copying a row out of the system's cache.
        readSync(handle.fd, target, i * batch.length * hidden * 4, rowBytes(row), offsets[row] as number);
      }
      return padded;
    },
    async write(batch, padded) {
      const source = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
      for (const [i, row] of batch.rows.entries()) {
        await handle.write(source, i * batch.length * hidden * 4, rowBytes(row), offsets[row] as number);
      }
    },
  };
}

/** A scratch file in `folder`, or null where the disk has no room for it. */
export async function diskStore(
  lengths: ArrayLike<number>,
  hidden: number,
  folder: string,
): Promise<ActivationStore | null> {
  const bytes = storeBytes(lengths, hidden);
  if ((await freeBytes(folder)) < bytes) return null;
  const file = scratchFile(folder);
  const handle = await open(file, "wx+");
  return {
    place: `on disk (${(bytes / 1e9).toFixed(1)} GB in ${file})`,
    memoryBytes: 0,
    ...rowsInFile(handle, lengths, hidden),
    async dispose() {
      await handle.close();
      await rm(file, { force: true });
    },
  };
}
