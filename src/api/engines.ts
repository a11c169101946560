// What engines need beside flexbert's own packages: TensorFlow's library. The other engines come with npm.

import type { Build, Flavour } from "../engines/tensorflow/install/builds";
import { usageError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { optional, toggle, type Values } from "../options/option";
import { text } from "../options/readers";
import { type Call, type Caller, callOf } from "./caller";
import { fileProgress } from "./file-progress";

function tensorflowVersion(given: unknown): string {
  const version = text(given);
  if (!/^\d+\.\d+\.\d+[\w.]*$/.test(version)) throw new Error("a version such as 2.21.0");
  return version;
}

/** Which build of TensorFlow. */
const version = {
  version: optional(tensorflowVersion, {
    flag: "--version",
    value: "<version>",
    help: "TensorFlow's version (default 2.21.0)",
    inConfig: false,
  }),
};

export const installOptions = {
  gpu: toggle({
    flag: "--gpu",
    help: "TensorFlow for NVIDIA GPUs, with the CUDA libraries that it names (about 3 GB to fetch)",
    excludes: "--cpu",
    inConfig: false,
  }),
  cpu: toggle({
    flag: "--cpu",
    help: "TensorFlow for the CPU (without either: --gpu where there is a driver)",
    inConfig: false,
  }),
  ...version,
  force: toggle({ flag: "--force", short: "-f", help: "build again what is there", inConfig: false }),
};

export const removeBuildsOptions = {
  gpu: toggle({ flag: "--gpu", help: "builds for NVIDIA GPUs alone", excludes: "--cpu", inConfig: false }),
  cpu: toggle({ flag: "--cpu", help: "builds for the CPU alone", inConfig: false }),
  version: { ...version.version, help: "builds of this version alone" },
};

export type InstallOptions = Given<typeof installOptions>;
export type RemoveBuildsOptions = Given<typeof removeBuildsOptions>;

/** The engine that an install or a removal is of. Throws usageError (2) for any but tensorflow. */
export function requireTensorflow(engine: string | undefined, action: string): void {
  if (engine === "tensorflow") return;
  const given = engine === undefined ? "takes an engine" : `knows no engine ${engine} to ${action}`;
  throw usageError(`engine ${action} ${given}: tensorflow is the one; the others come with npm`);
}

export interface InstallPlan {
  readonly engine: "tensorflow";
  readonly version: string;
  readonly flavour: Flavour;
  readonly folder: string;
}

export interface Installed extends Pick<Build, "name" | "folder" | "bytes" | "tensorflow" | "flavour"> {
  /** False where it was there already. */
  readonly installed: boolean;
}

export interface BuildList {
  /** Which one --engine tensorflow takes, or why none and what to do. */
  readonly taken: { readonly from: string; readonly addon: string } | null;
  readonly absence: string | null;
  readonly remedy: string | null;
  readonly builds: readonly Omit<Build, "files">[];
  /** Names of builds whose install or removal was stopped or is under way. */
  readonly stopped: readonly string[];
}

export interface RemovedBuild {
  readonly name: string;
  readonly bytes: number;
}

/** What an install would build, and where. */
export async function planInstall(options: InstallOptions = {}, caller: Caller = {}): Promise<InstallPlan> {
  return planOf(readGiven(installOptions, options), callOf(caller));
}

/** Fetches TensorFlow and compiles the addon. Throws UserError (1) where pip, the compiler or the build fails. */
export async function installTensorflow(options: InstallOptions = {}, caller: Caller = {}): Promise<Installed> {
  const call = callOf(caller);
  const values = readGiven(installOptions, options);
  const { version, flavour } = await planOf(values, call);
  const installing = await import("../engines/tensorflow/install/install.js");
  const progress = fileProgress("", call);
  try {
    const { build, installed } = await installing.installTensorflow({
      version,
      flavour,
      force: values.force,
      signal: call.signal,
      log: call.reporter.log,
      onProgress: progress.onProgress,
    });
    const { name, folder, bytes, tensorflow } = build;
    return { name, folder, bytes, installed, tensorflow, flavour: build.flavour };
  } finally {
    progress.end();
  }
}

async function planOf(values: Values<typeof installOptions>, { reporter }: Call): Promise<InstallPlan> {
  const { buildName, buildsFolder, DEFAULT_TENSORFLOW } = await import("../engines/tensorflow/install/builds.js");
  const { hasNvidiaDriver } = await import("../engines/nvidia.js");
  const version = values.version ?? DEFAULT_TENSORFLOW;
  const flavour = values.gpu || (!values.cpu && hasNvidiaDriver()) ? "gpu" : "cpu";
  if (values.gpu && !hasNvidiaDriver()) {
    reporter.warn("this machine has no NVIDIA driver: the build will run on the CPU until it has one");
  }
  const named = process.env["FLEXBERT_TFJS_NODE"];
  if (named) {
    reporter.warn(`FLEXBERT_TFJS_NODE is set: --engine tensorflow takes ${named} until it is unset, no build`);
  }
  return { engine: "tensorflow", version, flavour, folder: `${buildsFolder()}/${buildName(version, flavour)}` };
}

/** The builds in the cache. */
export async function listBuilds(): Promise<BuildList> {
  const cache = await import("../engines/tensorflow/install/builds.js");
  const { explainTensorflowAbsence, locateTensorflow } = await import("../engines/tensorflow/load.js");
  const builds = cache.listBuilds().map(({ files: _, ...build }) => build);
  const stopped = cache.stoppedInstalls().filter((name) => !builds.some((build) => build.name === name));
  try {
    const { from, addon } = locateTensorflow();
    return { taken: { from, addon }, absence: null, remedy: null, builds, stopped };
  } catch (error) {
    const { reason, remedy } = explainTensorflowAbsence(error);
    return { taken: null, absence: reason, remedy, builds, stopped };
  }
}

/** Removes all builds, or those that the options name. @param dryRun lists them alone */
export async function removeBuilds(options: RemoveBuildsOptions = {}, dryRun = false): Promise<RemovedBuild[]> {
  const { version, gpu, cpu } = readGiven(removeBuildsOptions, options);
  const { listBuilds, removeBuild, stoppedInstalls } = await import("../engines/tensorflow/install/builds.js");
  const flavour = gpu ? "gpu" : cpu ? "cpu" : null;
  const matches = (name: string) =>
    (version === undefined || name.startsWith(`${version}-`)) && (flavour === null || name.includes(`-${flavour}-`));
  const builds = listBuilds();
  const sizes = new Map(builds.map(({ name, bytes }) => [name, bytes]));
  const names = [...new Set([...builds.map(({ name }) => name), ...stoppedInstalls()])].filter(matches);
  if (!dryRun) for (const name of names) await removeBuild(name);
  return names.map((name) => ({ name, bytes: sizes.get(name) ?? 0 }));
}
