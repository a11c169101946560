// `flexbert engine install tensorflow`: TensorFlow's C library and headers out of its PyPI wheel, for a GPU also the CUDA
// libraries that this TensorFlow names, and tfjs-node's addon compiled against them. Everything collects in a work folder
// under a lock; renaming the finished build is the commit. A stopped install keeps the wheels that it has.

import { stat } from "node:fs/promises";
import path from "node:path";
import { engineError, failure, usageError } from "../../../errors/errors";
import { makeFolder } from "../../../files/folder";
import { npmCommand } from "../../../files/optional-packages";
import { unpackWheel } from "../../../files/wheel";
import { BUILD_FORMAT, writeManifest } from "../../install/build-store";
import { explainNoPython } from "../../install/no-python";
import { findPython, type Python } from "../../install/pip";
import { glibcMinor, thisPlatform } from "../../install/platform";
import { installCommand, type Tool } from "../../install/system-packages";
import { fetchWheels, type InstallSettings, installBuild, pipContext, requireSpace } from "../../install/work";
import { probeAddon } from "../cpu-probe";
import { type Build, type BuildManifest, buildName, type Flavour, tensorflowBuilds, tfjsPackage } from "./builds";
import {
  ADDON,
  type Compiler,
  compileAddons,
  fetchNodeHeaders,
  findCompiler,
  hasNpm,
  localNodeHeaders,
  STDERR_SWITCH,
} from "./compile-addon";
import { resolveCuda, resolveTensorflow } from "./wheels";

export interface InstallRequest extends InstallSettings {
  readonly version: string;
  readonly flavour: Flavour;
}

/** Wheels and unpacked files lie beside each other until the end: what was measured, and a tenth. */
const SPACE_NEEDED: Readonly<Record<Flavour, number>> = { cpu: 1.6e9, gpu: 11e9 };
const LARGEST_WHEEL_CONTENT = 8e9;

/**
 * Installs a build, or finds it installed. Two at once are safe: the second fails naming the first.
 * Throws failure (1) for what the machine lacks or refuses, usageError (2) for a version that does not exist,
 * engineError (6) for a platform without TensorFlow.
 */
export async function installTensorflow(request: InstallRequest): Promise<{ build: Build; installed: boolean }> {
  const { version, flavour, signal } = request;
  const sources = requireInstallable();
  return installBuild(tensorflowBuilds, buildName(version, flavour), request, async (work) => {
    const tools = await findTools(signal);
    await requireSpace(work, SPACE_NEEDED[flavour], `installing TensorFlow for the ${flavour.toUpperCase()}`);
    return assemble(request, sources, tools, work);
  });
}

function requireInstallable(): { readonly folder: string; readonly version: string } {
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) {
    throw engineError(
      `engine install tensorflow knows Linux on x64 and arm64, not ${thisPlatform()}. Use the registry's build: npm rebuild @tensorflow/tfjs-node-gpu --ignore-scripts=false`,
    );
  }
  if (glibcMinor() === null) {
    throw engineError("TensorFlow has no build for this C library (musl). Use a system with glibc 2.17 or later");
  }
  const sources = tfjsPackage();
  if (!sources) {
    throw engineError(
      `the package @tensorflow/tfjs-node-gpu is not installed. Run: ${npmCommand("@tensorflow/tfjs-node-gpu")}`,
    );
  }
  return sources;
}

interface Tools {
  readonly compiler: Compiler;
  readonly python: Python;
  /** Null: to be fetched through npm. */
  readonly nodeHeaders: string | null;
}

/** Everything that is missing in one message, before anything is fetched. */
async function findTools(signal?: AbortSignal): Promise<Tools> {
  const compiler = await findCompiler(signal);
  const python = await findPython(signal);
  const nodeHeaders = localNodeHeaders();
  const problems: string[] = [];
  const missing: Tool[] = [];
  const steps: string[] = [];
  if (!compiler) {
    problems.push("there is no C++ compiler (c++, g++ or clang++)");
    missing.push("compiler");
  }
  if ("found" in python) {
    const { problem, step, tool } = explainNoPython(python.found);
    problems.push(problem);
    if (step !== null) steps.push(step);
    else missing.push(tool);
  }
  if (nodeHeaders === null && !hasNpm()) {
    problems.push("there are neither Node's headers (node_api.h) nor npm to fetch them");
    missing.push("npm");
  }
  if (!compiler || "found" in python || missing.length > 0) {
    if (missing.length > 0) steps.unshift(installCommand(missing));
    throw failure(`${problems.join(", and ")}. ${steps.join(". ")}`);
  }
  return { compiler, python, nodeHeaders };
}

async function assemble(
  request: InstallRequest,
  sources: { readonly folder: string; readonly version: string },
  { compiler, python, nodeHeaders }: Tools,
  work: string,
): Promise<string> {
  const { version, flavour, signal, log } = request;
  const context = pipContext(python, work, request);
  log(`asking pip for TensorFlow ${version} (${python.command}, ${python.pip})`);
  const { tensorflow, tag } = await resolveTensorflow(version, flavour, context);
  const cuda = flavour === "gpu" ? await resolveCuda(tensorflow, tag, context) : [];
  const wheels = await fetchWheels([tensorflow, ...cuda], tag, context, log);
  log("unpacking");
  const build = path.join(work, "build");
  const include = path.join(work, "include");
  for (const folder of [build, include]) await makeFolder(folder);
  const files = await unpackAll(
    wheels.map((wheel) => wheel.path),
    build,
    include,
    signal,
  );
  requireLibraries(files, version);
  const headers = nodeHeaders ?? (await fetchNodeHeaders(work, signal));
  log(`compiling tfjs-node's addon (${compiler.version})`);
  const inputs = { package: sources.folder, nodeHeaders: headers, tensorflowHeaders: include, build };
  await compileAddons(compiler, inputs, work, signal);
  for (const file of [ADDON, STDERR_SWITCH]) files[file] = (await stat(path.join(build, file))).size;
  log("running it once");
  await (request.check ?? checkBuild)(build, signal);
  const manifest: BuildManifest = {
    format: BUILD_FORMAT,
    tensorflow: tensorflow.version,
    flavour,
    platform: thisPlatform(),
    tfjs: sources.version,
    compiler: compiler.version,
    wheels: wheels.map(({ listed }) => listed),
    files,
  };
  await writeManifest(build, manifest);
  return build;
}

/** Libraries into the build, as the wheel's own search paths expect them; headers beside it, for the compiler alone. */
async function unpackAll(wheels: readonly string[], build: string, include: string, signal?: AbortSignal) {
  const files: Record<string, number> = {};
  const limits = { maxBytes: LARGEST_WHEEL_CONTENT, ...(signal ? { signal } : {}) };
  for (const wheel of wheels) {
    Object.assign(files, await unpackWheel(wheel, build, { ...limits, durable: true, target: libraryTarget }));
  }
  const [tensorflow] = wheels as [string];
  await unpackWheel(tensorflow, include, { ...limits, durable: false, target: headerTarget });
  return files;
}

export function libraryTarget(entry: string): string | null {
  const library = /^(tensorflow\/libtensorflow_(cc|framework)\.so\.2|nvidia\/.+\/lib\/.+\.so[.\d]*)$/;
  // XLA compiles for the GPU with these two.
  const tools = /^nvidia\/[^/]+\/(bin\/ptxas|nvvm\/libdevice\/.+\.bc)$/;
  return library.test(entry) || tools.test(entry) ? entry : null;
}

const headerTarget = (entry: string) => /^tensorflow\/include\/((tensorflow|xla|tsl)\/.+\.h)$/.exec(entry)?.[1] ?? null;

function requireLibraries(files: Readonly<Record<string, number>>, version: string): void {
  for (const library of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]) {
    if (files[`tensorflow/${library}`] === undefined)
      throw usageError(`the wheel of TensorFlow ${version} holds no ${library}. Choose another --version`);
  }
}

async function checkBuild(build: string, signal?: AbortSignal): Promise<void> {
  const result = await probeAddon(path.join(build, ADDON), signal);
  if ("problem" in result) throw failure(`the build does not run here: ${result.problem}`);
}
