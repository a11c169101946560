// Where trunk activations lie between passes: ragged float32 rows in memory, or in a scratch file. Each pass
// overwrites the rows of the one before, so a sweep holds one layer's activations, not one per fork.

import { type FileHandle, open, rm, statfs } from "node:fs/promises";
import path from "node:path";
import type { Batch } from "../../batches/batches";
import { makeFolder } from "../../files/folder";

export interface ActivationStore {
  readonly place: string;
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

export function memoryStore(lengths: ArrayLike<number>, hidden: number): ActivationStore {
  const rows = Array.from({ length: lengths.length }, (_, i) => new Float32Array((lengths[i] as number) * hidden));
  const bytes = rows.reduce((sum, row) => sum + row.byteLength, 0);
  return {
    place: `in memory (${Math.round(bytes / 1e6)} MB)`,
    async read(batch, size) {
      const padded = new Float32Array(size * batch.length * hidden);
      for (const [i, row] of batch.rows.entries()) padded.set(rows[row] as Float32Array, i * batch.length * hidden);
      return padded;
    },
    async write(batch, padded) {
      for (const [i, row] of batch.rows.entries()) {
        const at = i * batch.length * hidden;
        const target = rows[row] as Float32Array;
        target.set(padded.subarray(at, at + target.length));
      }
    },
    async dispose() {
      rows.length = 0;
    },
  };
}

/** Tells apart the files that one process opens within a millisecond. */
let opened = 0;

/** A scratch file in `folder`, or null where the disk has no room for it. */
export async function diskStore(
  lengths: ArrayLike<number>,
  hidden: number,
  folder: string,
): Promise<ActivationStore | null> {
  const offsets = new Float64Array(lengths.length + 1); // bytes
  for (let row = 0; row < lengths.length; row++) {
    offsets[row + 1] = (offsets[row] as number) + (lengths[row] as number) * hidden * 4;
  }
  const bytes = offsets[lengths.length] as number;
  await makeFolder(folder);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes + DISK_MARGIN) return null;
  const file = path.join(folder, `${process.pid}-${Date.now()}-${opened++}${SCRATCH_SUFFIX}`);
  const handle: FileHandle = await open(file, "wx+");
  const rowBytes = (row: number) => (offsets[row + 1] as number) - (offsets[row] as number);
  return {
    place: `on disk (${(bytes / 1e9).toFixed(1)} GB in ${file})`,
    async read(batch, size) {
      const padded = new Float32Array(size * batch.length * hidden);
      const target = Buffer.from(padded.buffer);
      for (const [i, row] of batch.rows.entries()) {
        await handle.read(target, i * batch.length * hidden * 4, rowBytes(row), offsets[row] as number);
      }
      return padded;
    },
    async write(batch, padded) {
      const source = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
      for (const [i, row] of batch.rows.entries()) {
        await handle.write(source, i * batch.length * hidden * 4, rowBytes(row), offsets[row] as number);
      }
    },
    async dispose() {
      await handle.close();
      await rm(file, { force: true });
    },
  };
}
