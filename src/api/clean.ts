// What killed processes left. Finished runs and saved states are never touched.

import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { isLeftover } from "../files/atomic";
import { cacheFolder } from "../files/cache";
import { isRunning } from "../files/process-start";
import { type Given, readGiven } from "../options/given";
import { dryRun } from "../settings/call";
import { taskOptions } from "../settings/tasks";
import { checkpointOptions } from "../settings/work";

export const cleanOptions = { ...checkpointOptions, glueData: taskOptions.glueData, ...dryRun };

export type CleanOptions = Given<typeof cleanOptions>;

export interface Leftover {
  readonly file: string;
  readonly bytes: number;
}

/** Removes half-written and scratch files whose process no longer runs; with dryRun it lists them alone. */
export async function clean(options: CleanOptions = {}): Promise<Leftover[]> {
  const { checkpoints, glueData, dryRun } = readGiven(cleanOptions, options);
  const found: Leftover[] = [];
  for (const folder of [checkpoints, glueData, cacheFolder()]) {
    for (const file of await leftovers(folder)) {
      const { size } = await stat(file);
      if (!dryRun) await rm(file, { recursive: true, force: true });
      found.push({ file, bytes: size });
    }
  }
  return found;
}

async function leftovers(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const { SCRATCH_SUFFIX } = await import("../training/trunk/activation-store.js");
  const entries = await readdir(folder, { recursive: true });
  return entries
    .filter((entry) => {
      const name = path.basename(entry);
      return name.endsWith(SCRATCH_SUFFIX) ? !isRunning(Number.parseInt(name, 10)) : isLeftover(name);
    })
    .map((entry) => path.join(folder, entry));
}
