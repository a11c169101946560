// Train and dev rows in one file: a hash of a row's texts says which it is. So the same texts are never on both sides, and
// rows that are added, removed or moved change nothing for the others.

import { createHash } from "node:crypto";
import type { SplitSource } from "../tasks/task";

interface Texts {
  readonly text?: string;
  readonly pair?: string;
}

/** Whether a row is of the split that a source describes. What cannot be read counts as a train row, once. */
export function isOfPart({ text, pair }: Texts, { part }: Pick<SplitSource, "part">): boolean {
  if (!part) return true;
  const isDev = text !== undefined && shareOf(text, pair) < part.devShare;
  return isDev === (part.of === "dev");
}

/**
 * From 0 to below 1: the first four bytes of the SHA-256 of the texts as a JSON array, spaces at their ends apart (`data
 * check` compares texts so, too).
 */
export function shareOf(text: string, pair?: string): number {
  const texts = pair === undefined ? [text.trim()] : [text.trim(), pair.trim()];
  return createHash("sha256").update(JSON.stringify(texts)).digest().readUInt32BE() / 2 ** 32;
}
