// flexbert engine install: TensorFlow's library for the tensorflow engine, onnxruntime's CUDA provider for the onnx engine.

import {
  type InstallOptions,
  installCuda,
  installOptions,
  installTensorflow,
  planCudaInstall,
  planInstall,
  requireInstallable,
} from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";
import type { Terminal } from "../../terminal";

export const engineInstallCommand = defineCommand({
  description:
    "tensorflow: TensorFlow's library from its PyPI wheel, and tfjs-node's addon compiled against it, which needs a C++ " +
    "compiler. onnx-cuda: onnxruntime's CUDA provider from its wheel of onnxruntime-node's version, with those of NVIDIA's " +
    "libraries that the machine lacks (up to 2 GB to fetch). Wheels come through pip of any Python from 3.9 on, as pip is " +
    "set up (index, proxy, certificates). No root. Safe to repeat, to interrupt and to run twice at once.",
  arguments: [{ name: "[engine]", help: "tensorflow or onnx-cuda" }],
  options: { ...installOptions, ...dryRun },
  examples: [
    "engine install tensorflow",
    "engine install tensorflow --gpu",
    "engine install tensorflow --version 2.20.0 --dry-run",
    "engine install onnx-cuda",
    "engine install onnx-cuda --from providers",
  ],
  async run(values, terminal, [engine]) {
    const options = settingsOf(installOptions, values);
    if (requireInstallable(engine, "install") === "onnx-cuda") await runCuda(options, values.dryRun, terminal);
    else await runTensorflow(options, values.dryRun, terminal);
  },
});

async function runTensorflow(options: InstallOptions, dry: boolean, terminal: Terminal): Promise<void> {
  if (dry) {
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
  const { tensorflow, flavour } = build;
  terminal.print(`TensorFlow ${tensorflow} for the ${flavour.toUpperCase()} ${outcome(build)}`);
}

async function runCuda(options: InstallOptions, dry: boolean, terminal: Terminal): Promise<void> {
  if (dry) {
    const plan = await planCudaInstall(options, terminal);
    if (terminal.json) terminal.printJson({ dryRun: true, ...plan });
    else terminal.print(`would install onnxruntime ${plan.version}'s CUDA provider in ${plan.folder}`);
    return;
  }
  const build = await installCuda(options, terminal);
  if (terminal.json) terminal.printJson(build);
  else terminal.print(`onnxruntime ${build.onnxruntime}'s CUDA provider ${outcome(build)}`);
}

const outcome = (build: { readonly installed: boolean; readonly bytes: number; readonly folder: string }) =>
  `${build.installed ? "is installed" : "was installed already"}: ${formatBytes(build.bytes)} in ${build.folder}\ntry: flexbert doctor`;
