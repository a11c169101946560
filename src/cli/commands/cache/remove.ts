// flexbert cache remove: bases, builds that engine install made, or everything, out of the cache.

import { removeCached, removeCachedOptions } from "../../../api/cache";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";

export const cacheRemoveCommand = defineCommand({
  description:
    "Removes bases by name, with --engines every build that engine install made, with --all everything that flexbert put there. " +
    "Runs and merged folders stay; runs need their base again to go on.",
  arguments: [{ name: "[names...]", help: "bases, as flexbert cache list names them" }],
  options: { ...removeCachedOptions, ...dryRun },
  examples: ["cache remove bert-base-uncased", "cache remove --engines", "cache remove --all --dry-run"],
  async run(values, terminal, names) {
    const removed = await removeCached(names, settingsOf(removeCachedOptions, values), values.dryRun);
    if (terminal.json) {
      terminal.printJson({ dryRun: values.dryRun, removed });
      return;
    }
    for (const { kind, name, bytes } of removed) {
      const what = kind === "base" || kind === "build" ? name : `what the ${kind} of ${name} left`;
      terminal.print(`${values.dryRun ? "would remove" : "removed"} ${what} (${formatBytes(bytes)})`);
    }
    if (removed.length === 0) terminal.print("nothing of that is in the cache. See what there is: flexbert cache list");
  },
});
