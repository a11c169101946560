// flexbert engine install: TensorFlow's library for the tensorflow engine.

import { installOptions, installTensorflow, planInstall, requireTensorflow } from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";

export const engineInstallCommand = defineCommand({
  description:
    "TensorFlow's library from its PyPI wheel, through pip of any Python from 3.9 on and as pip is set up (index, " +
    "proxy, certificates), and tfjs-node's addon compiled against it. Needs a C++ compiler; no root. Safe to repeat, to " +
    "interrupt and to run twice at once.",
  arguments: [{ name: "[engine]", help: "tensorflow" }],
  options: { ...installOptions, ...dryRun },
  examples: [
    "engine install tensorflow",
    "engine install tensorflow --gpu",
    "engine install tensorflow --version 2.20.0 --dry-run",
  ],
  async run(values, terminal, [engine]) {
    requireTensorflow(engine, "install");
    const options = settingsOf(installOptions, values);
    if (values.dryRun) {
      const plan = await planInstall(options, terminal);
      const { version, flavour, folder } = plan;
      if (terminal.json) terminal.printJson({ dryRun: true, ...plan });
      else terminal.print(`would install TensorFlow ${version} for the ${flavour.toUpperCase()} in ${folder}`);
      return;
    }
    const build = await installTensorflow(options, terminal);
    if (terminal.json) {
      terminal.printJson(build);
      return;
    }
    const { tensorflow, flavour, installed, bytes, folder } = build;
    terminal.print(
      `TensorFlow ${tensorflow} for the ${flavour.toUpperCase()} ${installed ? "is installed" : "was installed already"}: ${formatBytes(bytes)} in ${folder}\ntry: flexbert doctor`,
    );
  },
});
