// Tests wait for what happens, and never for a time: a busy machine takes any.
import { existsSync, statSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(5);
}

/** Bytes of a file so far; 0 where there is none. */
export const bytesIn = (file: string): number => (existsSync(file) ? statSync(file).size : 0);
