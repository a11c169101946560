// The bytes of a file of rows, with its errors in words.

import { createReadStream } from "node:fs";
import { dataError } from "../../errors/errors";
import type { ByteSource } from "./text-blocks";

const CHUNK_BYTES = 1 << 18;

export const fileBytes = (file: string): ByteSource => ({
  name: file,
  async *open() {
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) yield chunk as Buffer;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw dataError(`${file}: cannot be read (${code}); check that it is a file and its permissions`, error);
    }
  },
});

/** Bytes that come once (stdin, a pipe): each opening begins with what earlier ones have read, until `release`. */
export function passingBytes(name: string, stream: AsyncIterable<Uint8Array>): ByteSource & { release(): void } {
  const seen: Buffer[] = [];
  let kept = true;
  const chunks = stream[Symbol.asyncIterator]();
  return {
    name,
    release() {
      kept = false;
    },
    async *open() {
      for (let i = 0; ; i++) {
        if (i < seen.length) {
          yield seen[i] as Buffer;
          continue;
        }
        const next = await chunks.next();
        if (next.done) return;
        const chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
        if (kept) seen.push(chunk);
        yield chunk;
      }
    },
  };
}
