// Reads of exact byte ranges.

import type { FileHandle } from "node:fs/promises";

/** Bytes that a single read may return; Linux stops at just under 2 GiB. */
const LARGEST_READ = 1 << 30;

/** Reads `bytes` bytes at `position`, or fewer where the file ends before them. */
export async function readRange(handle: FileHandle, position: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(new ArrayBuffer(bytes));
  let done = 0;
  while (done < bytes) {
    const length = Math.min(bytes - done, LARGEST_READ);
    const { bytesRead } = await handle.read(buffer, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
