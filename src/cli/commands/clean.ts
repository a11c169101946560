// flexbert clean: what killed processes left. Finished runs and saved states are never touched.

import { clean, cleanOptions } from "../../api/clean";
import { formatBytes } from "../../files/atomic";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";

export const cleanCommand = defineCommand({
  description:
    "Removes half-written files and scratch files of trunk activations whose process no longer runs, from the " +
    "checkpoints folder, glue-data and the cache. Runs, finished or not, stay.",
  options: cleanOptions,
  examples: ["clean --dry-run", "clean --checkpoints checkpoints"],
  async run(values, terminal) {
    const { dryRun } = values;
    const files = await clean(settingsOf(cleanOptions, values));
    if (terminal.json) {
      terminal.printJson({ dryRun, files });
      return;
    }
    for (const { file, bytes } of files) terminal.print(`${file} (${formatBytes(bytes)})`);
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    terminal.print(`${dryRun ? "would remove" : "removed"} ${files.length} files, ${formatBytes(total)}`);
  },
});
