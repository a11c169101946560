// flexbert engine remove: builds of TensorFlow out of the cache.

import { removeBuilds, removeBuildsOptions, requireTensorflow } from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";

export const engineRemoveCommand = defineCommand({
  description: "Removes all builds, or those of --version, --gpu or --cpu.",
  arguments: [{ name: "[engine]", help: "tensorflow" }],
  options: { ...removeBuildsOptions, ...dryRun },
  examples: ["engine remove tensorflow --version 2.20.0", "engine remove tensorflow --dry-run"],
  async run(values, terminal, [engine]) {
    requireTensorflow(engine, "remove");
    const builds = await removeBuilds(settingsOf(removeBuildsOptions, values), values.dryRun);
    if (terminal.json) {
      terminal.printJson({ dryRun: values.dryRun, removed: builds.map(({ name }) => name) });
      return;
    }
    for (const { name, bytes } of builds) {
      terminal.print(`${values.dryRun ? "would remove" : "removed"} ${name} (${formatBytes(bytes)})`);
    }
    if (builds.length === 0) {
      const wanted = [values.version, values.gpu ? "gpu" : values.cpu ? "cpu" : null].filter(Boolean).join(" for ");
      terminal.print(`no such build is installed${wanted && ` (${wanted})`}. See them: flexbert engine list`);
    }
  },
});
