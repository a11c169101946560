// flexbert engine list: the builds of TensorFlow in the cache.

import { listBuilds, requireTensorflow } from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { defineCommand } from "../../command";
import { table } from "../../terminal";

export const engineListCommand = defineCommand({
  arguments: [{ name: "[engine]", help: "tensorflow" }],
  options: {},
  examples: ["engine list", "engine list --json"],
  async run(_, terminal, [engine]) {
    if (engine !== undefined) requireTensorflow(engine, "list");
    const tensorflow = await listBuilds();
    if (terminal.json) {
      terminal.printJson({ tensorflow });
      return;
    }
    const { builds, stopped, taken, absence, remedy } = tensorflow;
    if (builds.length > 0) {
      const rows = builds.map((build) => [build.name, formatBytes(build.bytes), build.problem ?? "", build.folder]);
      terminal.print(`${table(["build", "size", "", "folder"], rows)}\n`);
    }
    for (const name of stopped)
      terminal.print(`${name}: its install or removal was stopped or is under way; repeat it to go on`);
    const source = taken?.from === "package" ? "the registry's package" : (taken?.from ?? "");
    terminal.print(
      taken ? `--engine tensorflow takes ${source}: ${taken.addon}` : `tensorflow is absent: ${absence}. ${remedy}`,
    );
  },
});
