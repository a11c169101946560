// Where TensorFlow comes from, and how it gets into this process: FLEXBERT_TFJS_NODE, else a build that `engine install`
// made, else the registry's package where its addon is there. The package's index.js is not used: it looks for the addon
// in its own folder only. Its kernels and backend are, with our addon.

import { existsSync, readdirSync, realpathSync } from "node:fs";
import Module from "node:module";
import path from "node:path";
import { npmCommand } from "../../files/optional-packages";
import type { EngineAbsence } from "../engine";
import { hasNvidiaDriver } from "../nvidia";
import { cachedProbe, ISA_VARIABLE } from "./cpu-probe";
import { type Build, tensorflowBuilds, tfjsPackage } from "./install/builds";
import { ADDON, STDERR_SWITCH } from "./install/compile-addon";
import type { SessionBinding } from "./session";
import { withStderrHeld } from "./stderr-switch";

/**
 * For benchmarks and tests: how steps run. eager is op by op; the others say what XLA compiles of a train step, auto
 * updates where the state is large.
 */
export const MODE_VARIABLE = "FLEXBERT_TENSORFLOW_MODE";

export interface TensorflowSource {
  readonly from: "FLEXBERT_TFJS_NODE" | "build" | "package";
  /** The package whose JavaScript is loaded. */
  readonly package: string;
  readonly addon: string;
  readonly build: Build | null;
}

/** tfjs-node's addon, as far as it is used here. */
export interface TensorflowBinding extends SessionBinding {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
}

/** The engine is not here; the message is the reason. */
export class TensorflowAbsent extends Error {
  readonly remedy: string;

  constructor(reason: string, remedy = installRemedy(), cause?: unknown) {
    super(reason, { cause });
    this.name = "TensorflowAbsent";
    this.remedy = remedy;
  }
}

const FOLDER_REMEDY = "Name the folder of a built @tensorflow/tfjs-node-gpu, or unset the variable";

/** What mends a source that is there and does not run. An install without --force would find the build as it is. */
function mend({ from, build }: TensorflowSource): string {
  if (from === "FLEXBERT_TFJS_NODE") return FOLDER_REMEDY;
  if (!build) return installRemedy();
  return `Run: flexbert engine install tensorflow --${build.flavour} --version ${build.tensorflow} --force`;
}

/** Where the user's own setting was in force, no build would do better. */
const unsetIsa = (problem: string): string | null =>
  problem.includes(`${ISA_VARIABLE}=`) ? `Unset ${ISA_VARIABLE}: what this CPU needs is then found out` : null;

const installRemedy = () => `Run: flexbert engine install tensorflow${hasNvidiaDriver() ? " --gpu" : ""}`;

/** The first source in the order above. Loads nothing. Throws TensorflowAbsent. */
export function locateTensorflow(): TensorflowSource {
  const named = process.env["FLEXBERT_TFJS_NODE"];
  if (named) return fromFolder(named);
  const present = tfjsPackage();
  if (!present) {
    throw new TensorflowAbsent(
      "the package @tensorflow/tfjs-node-gpu is not installed",
      `Run: ${npmCommand("@tensorflow/tfjs-node-gpu")}`,
    );
  }
  const [build] = tensorflowBuilds.installed();
  if (build?.problem === null) {
    return { from: "build", package: present.folder, addon: path.join(build.folder, ADDON), build };
  }
  const addon = findAddon(present.folder);
  if (addon !== null) return { from: "package", package: present.folder, addon, build: null };
  if (build) throw new TensorflowAbsent(`the build ${build.name} cannot be used: ${build.problem}`);
  throw new TensorflowAbsent("no build of TensorFlow is installed");
}

function fromFolder(named: string): TensorflowSource {
  const folder = path.resolve(named);
  if (!existsSync(path.join(folder, "package.json"))) {
    throw new TensorflowAbsent(`FLEXBERT_TFJS_NODE names ${named}, which holds no package`, FOLDER_REMEDY);
  }
  const addon = findAddon(folder);
  if (addon === null) {
    throw new TensorflowAbsent(`FLEXBERT_TFJS_NODE names ${named}, whose addon is not built`, FOLDER_REMEDY);
  }
  return { from: "FLEXBERT_TFJS_NODE", package: folder, addon, build: null };
}

/** lib/napi-v8/tfjs_binding.node, or that of the highest Node-API version that is there. */
function findAddon(folder: string): string | null {
  const lib = path.join(folder, "lib");
  if (!existsSync(lib)) return null;
  const versions = readdirSync(lib)
    .map((name) => Number(/^napi-v(\d+)$/.exec(name)?.[1] ?? Number.NaN))
    .filter((version) => version >= 0)
    .sort((a, b) => b - a);
  const files = versions.map((version) => path.join(lib, `napi-v${version}`, ADDON));
  return files.find((file) => existsSync(file)) ?? null;
}

/** Why the engine is absent and what to do, from what opening it threw. */
export function explainTensorflowAbsence(error: unknown): EngineAbsence {
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.split("\n")[0]?.trim() ?? "";
  if (error instanceof TensorflowAbsent) return { name: "tensorflow", reason, remedy: error.remedy };
  return { name: "tensorflow", reason: `TensorFlow does not load: ${reason}`, remedy: installRemedy() };
}

/** Sets what TensorFlow and CUDA read from the environment when they load. The user's own settings win. */
export async function prepareEnvironment(source: TensorflowSource, verbose: boolean): Promise<void> {
  const probe = await cachedProbe(source.addon);
  if ("problem" in probe) {
    throw new TensorflowAbsent(
      `${nameOf(source)} does not run: ${probe.problem}`,
      unsetIsa(probe.problem) ?? mend(source),
    );
  }
  if (probe.isa !== null) process.env[ISA_VARIABLE] ??= probe.isa;
  if (!verbose) process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";
  const cuda = source.build?.flavour === "gpu" ? path.join(source.build.folder, "nvidia", "cuda_nvcc") : null;
  const flags = process.env["XLA_FLAGS"] ?? "";
  if (cuda !== null && existsSync(cuda) && !flags.includes("xla_gpu_cuda_data_dir")) {
    process.env["XLA_FLAGS"] = `${flags} --xla_gpu_cuda_data_dir=${cuda}`.trim();
  }
}

export interface LoadedTensorflow {
  readonly binding: TensorflowBinding;
  /** A new tfjs backend on the addon. */
  readonly createBackend: () => object;
}

/** For messages: which of the sources it is. */
export function nameOf({ from, build, package: folder }: TensorflowSource): string {
  if (build) return `build ${build.name}`;
  return from === "package" ? "the registry's package" : `${from} ${folder}`;
}

/**
 * Loads library, addon and kernels; they are registered with tfjs. Node has one copy a process.
 * Throws TensorflowAbsent with the first line of what the library or Node says.
 */
export function loadTensorflow(source: TensorflowSource, verbose: boolean): LoadedTensorflow {
  try {
    return load(source, verbose);
  } catch (error) {
    const [reason = ""] = (error as Error).message.split("\n");
    throw new TensorflowAbsent(`${nameOf(source)} does not load: ${reason.trim()}`, mend(source), error);
  }
}

function load(source: TensorflowSource, verbose: boolean): LoadedTensorflow {
  const javascript = (file: string) => require(path.join(source.package, "dist", file));
  const folder = verbose ? null : (source.build?.folder ?? null);
  const binding = withStderrHeld(folder, STDERR_SWITCH, () => require(source.addon) as TensorflowBinding);
  const { NodeJSKernelBackend } = withPackageUtil(source.package, () =>
    quietly(verbose, () => {
      javascript("register_all_kernels.js");
      return javascript("nodejs_kernel_backend.js");
    }),
  );
  return { binding, createBackend: () => new NodeJSKernelBackend(binding, "@tensorflow/tfjs-node-gpu") };
}

type Loader = (request: string, parent: { readonly filename?: string } | null | undefined, isMain: boolean) => unknown;

/**
 * tfjs-node 4.22 calls two functions of `util` that Node 23 removed and Node 22 warns of (tensorflow/tfjs#8609). The
 * package's own files get a `util` that has them; nobody else's does.
 */
function withPackageUtil<T>(folder: string, load: () => T): T {
  const loader = Module as unknown as { _load: Loader };
  const original = loader._load;
  const within = realpathSync(folder) + path.sep;
  loader._load = function (request, parent, isMain) {
    const loaded = original.call(this, request, parent, isMain);
    const asked = request === "util" && parent?.filename?.startsWith(within) === true;
    return asked ? Object.assign(Object.create(loaded as object), removedFromUtil) : loaded;
  };
  try {
    return load();
  } finally {
    loader._load = original;
  }
}

const removedFromUtil = {
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  isArray: Array.isArray,
};

/** tfjs warns on the console when a second copy of it loads; that is expected here and of no use to a user. */
function quietly<T>(verbose: boolean, load: () => T): T {
  if (verbose) return load();
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return load();
  } finally {
    console.warn = warn;
  }
}
