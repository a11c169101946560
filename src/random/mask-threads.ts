// Masks drawn by several threads, for a device that computes a step in less time than one thread takes to draw its masks: at
// BERT-base's sizes a step of 12 ms on an H200 has 19 million elements to draw, 46 ms for one thread.

import { availableParallelism } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { dropoutBits } from "./draws";
import type { Key } from "./threefry";

/** Elements of a mask from `from` on. */
export interface MaskPart {
  readonly id: number;
  readonly key: Key;
  readonly from: number;
  readonly size: number;
  readonly rate: number;
}

export interface DrawnPart {
  readonly id: number;
  readonly bits: Uint8Array<ArrayBuffer>;
}

interface Waiting {
  readonly resolve: (bits: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly thread: Worker;
}

/** As it was compiled, where this file is run from its source too. */
const ENTRY = path.resolve(__dirname, "../../dist/random/mask-thread.js");
/** Elements of a part: 64 KiB of bits, half a millisecond. */
const PART = 2 ** 19;
const MOST_THREADS = 12;

const waiting = new Map<number, Waiting>();
let threads: Worker[] | undefined;
let parts = 0;

/** As {@link dropoutBits}, by other threads where there is more than one part. */
export async function drawBits(key: Key, size: number, rate: number): Promise<Uint8Array> {
  if (size <= PART) return dropoutBits(key, size, rate);
  const starts = Array.from({ length: Math.ceil(size / PART) }, (_, part) => part * PART);
  const drawn = await Promise.all(starts.map((from) => drawPart(key, from, Math.min(PART, size - from), rate)));
  const bits = new Uint8Array(Math.ceil(size / 8));
  for (const [part, own] of drawn.entries()) bits.set(own, (part * PART) / 8);
  return bits;
}

function drawPart(key: Key, from: number, size: number, rate: number): Promise<Uint8Array> {
  threads ??= startThreads();
  parts += 1;
  const id = parts;
  const thread = threads[id % threads.length] as Worker;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, thread });
    thread.ref(); // while something is waited for
    thread.postMessage({ id, key, from, size, rate } satisfies MaskPart);
  });
}

/** One is left for the device's driver and for this program. */
function startThreads(): Worker[] {
  const count = Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 1));
  return Array.from({ length: count }, () => {
    const thread = new Worker(ENTRY);
    thread.unref();
    thread.on("message", ({ id, bits }: DrawnPart) => settle(thread, id, ({ resolve }) => resolve(bits)));
    thread.on("error", (error: Error) => {
      threads = undefined; // the next mask starts others
      for (const [id, { thread: own }] of waiting)
        if (own === thread) settle(thread, id, ({ reject }) => reject(error));
    });
    return thread;
  });
}

function settle(thread: Worker, id: number, tell: (waiting: Waiting) => void): void {
  const found = waiting.get(id);
  waiting.delete(id);
  if (![...waiting.values()].some((other) => other.thread === thread)) thread.unref();
  if (found) tell(found);
}
