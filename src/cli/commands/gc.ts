// flexbert gc: removes old versions of a merged folder.

import { gc, gcOptions, planGc } from "../../api/merge/history";
import { formatBytes } from "../../files/atomic";
import { counted } from "../../messages/words";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";

export const gcCommand = defineCommand({
  description:
    "Removes versions that are not the current one, have no tag, are not among the last --keep and were not current within " +
    "--older-than; then every blob that no version names. What a process has open it keeps until it closes.",
  options: { ...gcOptions, ...dryRun },
  examples: ["gc --merged merged/ --dry-run", "gc --merged merged/ --keep 3 --older-than 7d"],
  async run(values, terminal) {
    const options = settingsOf(gcOptions, values);
    const { dryRun: isPlan } = values;
    const collected = isPlan ? await planGc(options) : await gc(options);
    if (terminal.json) return terminal.printJson({ dryRun: isPlan, ...collected });
    const { kept, removed, files, bytes } = collected;
    const versions = removed.length > 0 ? `: ${removed.join(", ")}` : "";
    terminal.print(
      `${values.merged}: ${isPlan ? "would remove" : "removed"} ${counted(removed.length, "version")}${versions}; ` +
        `${counted(files.length, "file")}, ${formatBytes(bytes)}; ${counted(kept.length, "version")} kept`,
    );
  },
});
