// Logits of texts that were asked before, within a number of bytes. Texts are not kept, only their hashes: what a server
// holds in memory says nothing of what its users wrote. A key has the weights that gave the logits in it, so that a swap of
// one task leaves the answers of all others, and of that task none is old.

import { hash } from "node:crypto";

export interface AnswerCache {
  /** null where it is not known. */
  find(key: string): Float32Array | null;
  keep(key: string, logits: Float32Array): void;
  readonly entries: number;
  readonly bytes: number;
}

/** A row's part of a key, one for all of its tasks. */
export const rowKey = (text: string, pair: string | null): string =>
  // The length parts a text from its pair: no two rows are written alike.
  hash("sha256", pair === null ? text : `${text.length}:${text}${pair}`, "base64") + (pair === null ? "s" : "p");

/** What an entry takes beside its logits: key, array and its place in the map, as measured, rounded up. */
const ENTRY_BYTES = 400;

/** The one that was asked for longest ago goes first. */
export function createAnswerCache(maxBytes: number): AnswerCache {
  const known = new Map<string, Float32Array>();
  let bytes = 0;
  const sizeOf = (logits: Float32Array) => ENTRY_BYTES + logits.byteLength;
  return {
    find(key) {
      const found = known.get(key);
      if (!found) return null;
      known.delete(key);
      known.set(key, found);
      return found;
    },
    keep(key, logits) {
      if (sizeOf(logits) > maxBytes || known.has(key)) return;
      known.set(key, logits.slice()); // a part of a batch would keep all of it
      bytes += sizeOf(logits);
      for (const [oldest, held] of known) {
        if (bytes <= maxBytes) return;
        known.delete(oldest);
        bytes -= sizeOf(held);
      }
    },
    get entries() {
      return known.size;
    },
    get bytes() {
      return bytes;
    },
  };
}
