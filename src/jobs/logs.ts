// A job's log, of which the last error is shown.

import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";

export const logFile = (folder: string, array: string, index: number) =>
  path.join(folder, "logs", `${array}-${index}.log`);

/** Bytes of its end that are looked at. */
const TAIL = 8192;

/** The last line that flexbert, Slurm or the shell calls an error; null where there is none. */
export async function lastError(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(TAIL), 0, TAIL, Math.max(0, size - TAIL));
    const lines = buffer.subarray(0, bytesRead).toString("utf8").split("\n");
    return lines.findLast((line) => /^(flexbert: |slurmstepd: error|.*: line \d+: )/.test(line)) ?? null;
  } finally {
    await handle.close();
  }
}
