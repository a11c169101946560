// A thread that draws parts of masks for mask-threads.ts.

import { parentPort } from "node:worker_threads";
import { dropoutBits } from "./draws";
import type { DrawnPart, MaskPart } from "./mask-threads";

parentPort?.on("message", ({ id, key, from, size, rate }: MaskPart) => {
  const bits = dropoutBits(key, size, rate, from);
  const drawn: DrawnPart = { id, bits };
  parentPort?.postMessage(drawn, [bits.buffer]);
});
