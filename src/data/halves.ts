// Dev rows in two halves: to choose on the one and to score on the other. A row's half is one bit of a hash of its texts, so
// it depends on nothing but the row: rows that are added or moved change no other's half, and equal texts, which are no
// independent witnesses, are never on both sides. Not stratified: that would make a row's half depend on all others, and
// halves whose labels differ a little are what another dev set would be, too.

import { createHash } from "node:crypto";
import type { Example } from "./read-split";

export type Half = 0 | 1;

/** Apart from the hash that splits dev rows off a train file (part.ts): its low values are all that dev has. */
const PURPOSE = "flexbert halves of dev";

/** The lowest bit of the first byte of the SHA-256 of purpose and texts as a JSON array, spaces at their ends apart. */
export function halfOf({ text, pair }: Pick<Example, "text" | "pair">): Half {
  const texts = [PURPOSE, text.trim(), ...(pair === null ? [] : [pair.trim()])];
  return ((createHash("sha256").update(JSON.stringify(texts)).digest()[0] as number) & 1) as Half;
}
