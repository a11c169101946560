// flexbert engine remove: builds of TensorFlow, or of onnxruntime's CUDA provider, out of the cache.

import { removeBuilds, removeBuildsOptions, removeCudaBuilds, requireInstallable } from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";

export const engineRemoveCommand = defineCommand({
  description:
    "Removes all builds of an engine; of TensorFlow those of --version, --gpu or --cpu where they are given.",
  arguments: [{ name: "[engine]", help: "tensorflow or onnx-cuda" }],
  options: { ...removeBuildsOptions, ...dryRun },
  examples: [
    "engine remove tensorflow --version 2.20.0",
    "engine remove tensorflow --dry-run",
    "engine remove onnx-cuda",
  ],
  async run(values, terminal, [engine]) {
    const remove = requireInstallable(engine, "remove") === "onnx-cuda" ? removeCudaBuilds : removeBuilds;
    const builds = await remove(settingsOf(removeBuildsOptions, values), values.dryRun);
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
