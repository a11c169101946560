// flexbert clean: what killed processes left. Finished runs and saved states are never touched.

import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { formatBytes, isLeftover } from "../../files/atomic";
import { cacheFolder } from "../../files/cache";
import { isRunning } from "../../files/process-start";
import { dryRun } from "../../settings/call";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { SCRATCH_SUFFIX } from "../../training/trunk/activation-store";
import { defineCommand } from "../command";

export const cleanCommand = defineCommand({
  description:
    "Removes half-written files and scratch files of trunk activations whose process no longer runs, from the " +
    "checkpoints folder, glue-data and the cache. Runs, finished or not, stay.",
  options: { ...checkpointOptions, glueData: taskOptions.glueData, ...dryRun },
  examples: ["clean --dry-run", "clean --checkpoints checkpoints"],
  async run(values, terminal) {
    const removed: { file: string; bytes: number }[] = [];
    for (const folder of [values.checkpoints, values.glueData, cacheFolder()]) {
      for (const file of await leftovers(folder)) {
        const { size } = await stat(file);
        if (!values.dryRun) await rm(file, { recursive: true, force: true });
        removed.push({ file, bytes: size });
      }
    }
    if (terminal.json) {
      terminal.printJson({ dryRun: values.dryRun, files: removed });
      return;
    }
    for (const { file, bytes } of removed) terminal.print(`${file} (${formatBytes(bytes)})`);
    const total = removed.reduce((sum, { bytes }) => sum + bytes, 0);
    terminal.print(`${values.dryRun ? "would remove" : "removed"} ${removed.length} files, ${formatBytes(total)}`);
  },
});

async function leftovers(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true });
  return entries
    .filter((entry) => {
      const name = path.basename(entry);
      return name.endsWith(SCRATCH_SUFFIX) ? !isRunning(Number.parseInt(name, 10)) : isLeftover(name);
    })
    .map((entry) => path.join(folder, entry));
}
