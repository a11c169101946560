// What engines need beside flexbert's own packages: TensorFlow's library, and onnxruntime's CUDA provider. All else comes with npm.

import type { BuildStore } from "../engines/install/build-store";
import type { CudaBuild } from "../engines/onnx/cuda/builds";
import type { Build, Flavour } from "../engines/tensorflow/install/builds";
import { UserError, usageError } from "../errors/errors";
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
    help: "tensorflow: for NVIDIA GPUs, with the CUDA libraries that it names (about 3 GB to fetch)",
    excludes: "--cpu",
    inConfig: false,
  }),
  cpu: toggle({
    flag: "--cpu",
    help: "tensorflow: for the CPU (without either: --gpu where there is a driver)",
    inConfig: false,
  }),
  ...version,
  from: optional(text, {
    flag: "--from",
    value: "<folder>",
    help: "onnx-cuda: the two provider libraries out of this folder, with no network",
    inConfig: false,
  }),
  force: toggle({ flag: "--force", short: "-f", help: "build again what is there", inConfig: false }),
};

export const removeBuildsOptions = {
  gpu: toggle({ flag: "--gpu", help: "builds for NVIDIA GPUs alone", excludes: "--cpu", inConfig: false }),
  cpu: toggle({ flag: "--cpu", help: "builds for the CPU alone", inConfig: false }),
  version: { ...version.version, help: "builds of this version alone" },
};

export type InstallOptions = Given<typeof installOptions>;
export type RemoveBuildsOptions = Given<typeof removeBuildsOptions>;

/** What `engine install` brings. */
export const installable = ["tensorflow", "onnx-cuda"] as const;
export type Installable = (typeof installable)[number];

/** What an install, a list or a removal is of. Throws usageError (2) for any other engine. */
export function requireInstallable(engine: string | undefined, action: string): Installable {
  const found = installable.find((name) => name === engine);
  if (found) return found;
  const given = engine === undefined ? "takes an engine" : `knows no engine ${engine} to ${action}`;
  throw usageError(`engine ${action} ${given}: tensorflow, or onnx-cuda for the onnx engine; all else comes with npm`);
}

/** Throws usageError (2) for an option that is the other engine's. */
function requireOwn(engine: Installable, given: Readonly<Record<string, unknown>>): void {
  const foreign = engine === "onnx-cuda" ? ["gpu", "cpu", "version"] : ["from"];
  const option = foreign.find((name) => given[name] !== undefined && given[name] !== false);
  if (option === undefined) return;
  const why =
    engine === "onnx-cuda" ? "it is for CUDA, and of onnxruntime-node's version" : "its wheel comes through pip";
  throw usageError(`--${option} is not for ${engine}: ${why}`);
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

export interface CudaInstallPlan {
  readonly engine: "onnx-cuda";
  /** onnxruntime-node's. */
  readonly version: string;
  readonly folder: string;
}

export interface InstalledCuda extends Pick<CudaBuild, "name" | "folder" | "bytes" | "onnxruntime"> {
  /** False where it was there already. */
  readonly installed: boolean;
}

export interface CudaList {
  /** Which one CUDA takes, or why none and what to do. */
  readonly taken: { readonly library: string } | null;
  readonly absence: string | null;
  readonly builds: readonly Omit<CudaBuild, "files">[];
  /** Names of builds whose install or removal was stopped or is under way. */
  readonly stopped: readonly string[];
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

/** What an install of onnxruntime's CUDA provider would build, and where. */
export async function planCudaInstall(options: InstallOptions = {}, caller: Caller = {}): Promise<CudaInstallPlan> {
  requireOwn("onnx-cuda", readGiven(installOptions, options));
  const { reporter } = callOf(caller);
  const { CUDA_VARIABLE, cudaBuildName, cudaBuilds } = await import("../engines/onnx/cuda/builds.js");
  const { requireOnnxruntime } = await import("../engines/onnx/cuda/install.js");
  const { hasNvidiaDriver } = await import("../engines/nvidia.js");
  const { version } = requireOnnxruntime();
  if (!hasNvidiaDriver()) reporter.warn("this machine has no NVIDIA driver: the build will not run until it has one");
  const named = process.env[CUDA_VARIABLE];
  if (named) reporter.warn(`${CUDA_VARIABLE} is set: CUDA takes ${named} until it is unset, no build`);
  return { engine: "onnx-cuda", version, folder: `${cudaBuilds.folder()}/${cudaBuildName(version)}` };
}

/** Fetches onnxruntime's CUDA provider, and NVIDIA's libraries that are missing. Throws UserError (1) where pip or the disk fails. */
export async function installCuda(options: InstallOptions = {}, caller: Caller = {}): Promise<InstalledCuda> {
  const call = callOf(caller);
  const { from, force } = readGiven(installOptions, options);
  await planCudaInstall(options, caller);
  const installing = await import("../engines/onnx/cuda/install.js");
  const progress = fileProgress("", call);
  try {
    const { build, installed } = await installing.installCuda({
      ...(from === undefined ? {} : { from }),
      force,
      signal: call.signal,
      log: call.reporter.log,
      onProgress: progress.onProgress,
    });
    const { name, folder, bytes, onnxruntime } = build;
    return { name, folder, bytes, installed, onnxruntime };
  } finally {
    progress.end();
  }
}

/** The builds of onnxruntime's CUDA provider in the cache. */
export async function listCudaBuilds(): Promise<CudaList> {
  const { cudaBuilds, locateCuda } = await import("../engines/onnx/cuda/builds.js");
  const listed = listedIn(cudaBuilds);
  try {
    return { taken: { library: locateCuda().library }, absence: null, ...listed };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { taken: null, absence: error.message, ...listed };
  }
}

/** Removes all builds of onnxruntime's CUDA provider. @param dryRun lists them alone */
export async function removeCudaBuilds(options: RemoveBuildsOptions = {}, dryRun = false): Promise<RemovedBuild[]> {
  requireOwn("onnx-cuda", readGiven(removeBuildsOptions, options));
  const { cudaBuilds } = await import("../engines/onnx/cuda/builds.js");
  return removeFrom(cudaBuilds, () => true, dryRun);
}

/** The builds of one engine, without their files, and the names of what stopped installs left of others. */
function listedIn<M extends { readonly files: unknown }>(store: BuildStore<M>) {
  const builds = store.list().map(({ files: _, ...build }) => build);
  return { builds, stopped: store.stopped().filter((name) => !builds.some((build) => build.name === name)) };
}

/** Removes the builds of matching names, and what stopped installs of them left. */
async function removeFrom<M>(
  store: BuildStore<M>,
  matches: (name: string) => boolean,
  dryRun: boolean,
): Promise<RemovedBuild[]> {
  const sizes = new Map(store.list().map(({ name, bytes }) => [name, bytes]));
  const names = [...new Set([...sizes.keys(), ...store.stopped()])].filter(matches);
  if (!dryRun) for (const name of names) await store.remove(name);
  return names.map((name) => ({ name, bytes: sizes.get(name) ?? 0 }));
}

async function planOf(values: Values<typeof installOptions>, { reporter }: Call): Promise<InstallPlan> {
  requireOwn("tensorflow", values);
  const { buildName, DEFAULT_TENSORFLOW, tensorflowBuilds } = await import("../engines/tensorflow/install/builds.js");
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
  return {
    engine: "tensorflow",
    version,
    flavour,
    folder: `${tensorflowBuilds.folder()}/${buildName(version, flavour)}`,
  };
}

/** The builds in the cache. */
export async function listBuilds(): Promise<BuildList> {
  const { tensorflowBuilds } = await import("../engines/tensorflow/install/builds.js");
  const { explainTensorflowAbsence, locateTensorflow } = await import("../engines/tensorflow/load.js");
  const listed = listedIn(tensorflowBuilds);
  try {
    const { from, addon } = locateTensorflow();
    return { taken: { from, addon }, absence: null, remedy: null, ...listed };
  } catch (error) {
    const { reason, remedy } = explainTensorflowAbsence(error);
    return { taken: null, absence: reason, remedy, ...listed };
  }
}

/** Removes all builds, or those that the options name. @param dryRun lists them alone */
export async function removeBuilds(options: RemoveBuildsOptions = {}, dryRun = false): Promise<RemovedBuild[]> {
  const { version, gpu, cpu } = readGiven(removeBuildsOptions, options);
  const { tensorflowBuilds } = await import("../engines/tensorflow/install/builds.js");
  const flavour = gpu ? "gpu" : cpu ? "cpu" : null;
  const matches = (name: string) =>
    (version === undefined || name.startsWith(`${version}-`)) && (flavour === null || name.includes(`-${flavour}-`));
  return removeFrom(tensorflowBuilds, matches, dryRun);
}
