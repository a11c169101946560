// flexbert engine: installs, lists and removes what engines need beside flexbert's own packages. That is TensorFlow's
// library; the other engines come with npm.

import { fileProgress } from "../../api/file-progress";
import { usageError } from "../../errors/errors";
import { formatBytes } from "../../files/atomic";
import { optional, toggle, type Values } from "../../options/option";
import { text } from "../../options/readers";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

const options = {
  gpu: toggle({
    flag: "--gpu",
    help: "TensorFlow for NVIDIA GPUs, with the CUDA libraries that it names (about 3 GB to fetch)",
    inConfig: false,
  }),
  cpu: toggle({
    flag: "--cpu",
    help: "TensorFlow for the CPU (without either: --gpu where there is a driver)",
    inConfig: false,
  }),
  version: optional(text, {
    flag: "--version",
    value: "<version>",
    help: "TensorFlow's version (default 2.21.0)",
    inConfig: false,
  }),
  force: toggle({ flag: "--force", short: "-f", help: "build again what is there", inConfig: false }),
  ...dryRun,
};

type EngineValues = Values<typeof options>;

export const engineCommand = defineCommand({
  summary: "install, list and remove builds of TensorFlow",
  description:
    "install: TensorFlow's library from its PyPI wheel, through pip of any Python from 3.9 on and as pip is set up (index, " +
    "proxy, certificates), and tfjs-node's addon compiled against it. Needs a C++ compiler; no root. Safe to repeat, to " +
    "interrupt and to run twice at once.\n\n" +
    "list: the builds in the cache, and which one --engine tensorflow takes.\n\n" +
    "remove: all builds, or those of --version, --gpu or --cpu.",
  arguments: [
    { name: "<action>", help: "install, list or remove" },
    { name: "[engine]", help: "for install and remove: tensorflow" },
  ],
  options,
  examples: [
    "engine install tensorflow",
    "engine install tensorflow --gpu",
    "engine install tensorflow --version 2.20.0 --dry-run",
    "engine list --json",
    "engine remove tensorflow --version 2.20.0",
  ],
  async run(values, terminal, [action, engine]) {
    if (action !== "install" && action !== "remove" && action !== "list") {
      throw usageError(`engine takes install, list or remove, not ${action}. Run: flexbert engine --help`);
    }
    if (engine !== "tensorflow" && !(action === "list" && engine === undefined)) {
      const given = engine === undefined ? "takes an engine" : `knows no engine ${engine} to ${action}`;
      throw usageError(`engine ${action} ${given}: tensorflow is the one; the others come with npm`);
    }
    if (values.gpu && values.cpu) throw usageError("--gpu and --cpu exclude each other: give one");
    if (values.version !== undefined && !/^\d+\.\d+\.\d+[\w.]*$/.test(values.version)) {
      throw usageError(`--version "${values.version}": it takes a version such as 2.21.0`);
    }
    if (action === "list") return list(terminal);
    return action === "install" ? install(values, terminal) : remove(values, terminal);
  },
});

async function install(values: EngineValues, terminal: Terminal): Promise<void> {
  const { buildName, buildsFolder, DEFAULT_TENSORFLOW } = await import("../../engines/tensorflow/install/builds.js");
  const { hasNvidiaDriver } = await import("../../engines/nvidia.js");
  const version = values.version ?? DEFAULT_TENSORFLOW;
  const flavour = values.gpu || (!values.cpu && hasNvidiaDriver()) ? "gpu" : "cpu";
  if (values.gpu && !hasNvidiaDriver()) {
    terminal.reporter.warn("this machine has no NVIDIA driver: the build will run on the CPU until it has one");
  }
  const named = process.env["FLEXBERT_TFJS_NODE"];
  if (named) {
    terminal.reporter.warn(`FLEXBERT_TFJS_NODE is set: --engine tensorflow takes ${named} until it is unset, no build`);
  }
  if (values.dryRun) {
    const name = buildName(version, flavour);
    const plan = { engine: "tensorflow", version, flavour, folder: `${buildsFolder()}/${name}` };
    if (terminal.json) terminal.printJson({ dryRun: true, ...plan });
    else terminal.print(`would install TensorFlow ${version} for the ${flavour.toUpperCase()} in ${plan.folder}`);
    return;
  }
  const { installTensorflow } = await import("../../engines/tensorflow/install/install.js");
  const progress = fileProgress("", terminal);
  try {
    const { build, installed } = await installTensorflow({
      version,
      flavour,
      force: values.force,
      signal: terminal.signal,
      log: terminal.reporter.log,
      onProgress: progress.onProgress,
    });
    const { name, folder, bytes } = build;
    if (terminal.json) {
      terminal.printJson({ name, folder, bytes, installed, tensorflow: build.tensorflow, flavour: build.flavour });
    } else {
      terminal.print(
        `TensorFlow ${build.tensorflow} for the ${flavour.toUpperCase()} ${installed ? "is installed" : "was installed already"}: ${formatBytes(bytes)} in ${folder}\ntry: flexbert doctor`,
      );
    }
  } finally {
    progress.end();
  }
}

async function list(terminal: Terminal): Promise<void> {
  const { listBuilds, stoppedInstalls } = await import("../../engines/tensorflow/install/builds.js");
  const { explainTensorflowAbsence, locateTensorflow } = await import("../../engines/tensorflow/load.js");
  const builds = listBuilds().map(({ files: _, ...build }) => build);
  const stopped = stoppedInstalls().filter((name) => !builds.some((build) => build.name === name));
  let taken: { from: string; addon: string } | null = null;
  let absence: string | null = null;
  let remedy: string | null = null;
  try {
    const { from, addon } = locateTensorflow();
    taken = { from, addon };
  } catch (error) {
    ({ reason: absence, remedy } = explainTensorflowAbsence(error));
  }
  if (terminal.json) {
    terminal.printJson({ tensorflow: { taken, absence, remedy, builds, stopped } });
    return;
  }
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
}

async function remove(values: EngineValues, terminal: Terminal): Promise<void> {
  const { listBuilds, removeBuild, stoppedInstalls } = await import("../../engines/tensorflow/install/builds.js");
  const flavour = values.gpu ? "gpu" : values.cpu ? "cpu" : null;
  const matches = (name: string) =>
    (values.version === undefined || name.startsWith(`${values.version}-`)) &&
    (flavour === null || name.includes(`-${flavour}-`));
  const builds = listBuilds();
  const sizes = new Map(builds.map(({ name, bytes }) => [name, bytes]));
  const names = [...new Set([...builds.map(({ name }) => name), ...stoppedInstalls()])].filter(matches);
  if (!values.dryRun) for (const name of names) await removeBuild(name);
  if (terminal.json) {
    terminal.printJson({ dryRun: values.dryRun, removed: names });
    return;
  }
  for (const name of names) {
    terminal.print(`${values.dryRun ? "would remove" : "removed"} ${name} (${formatBytes(sizes.get(name) ?? 0)})`);
  }
  if (names.length === 0) {
    const wanted = [values.version, flavour].filter(Boolean).join(" for ");
    terminal.print(`no such build is installed${wanted && ` (${wanted})`}. See them: flexbert engine list`);
  }
}
