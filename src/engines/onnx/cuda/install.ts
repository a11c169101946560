// `flexbert engine install onnx-cuda`: the two provider libraries out of PyPI's onnxruntime-gpu wheel of onnxruntime-node's
// version, or out of a folder, beside a copy of onnxruntime-node's own library, with those of NVIDIA's libraries that the
// machine lacks. As for TensorFlow, everything collects in a work folder under a lock, and renaming is the commit.

import { constants, existsSync } from "node:fs";
import { copyFile, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { engineError, failure, usageError } from "../../../errors/errors";
import { runChild } from "../../../files/child";
import { makeFolder } from "../../../files/folder";
import { npmCommand } from "../../../files/optional-packages";
import { unpackWheel } from "../../../files/wheel";
import { resolveForAnyPython } from "../../install/any-python";
import { BUILD_FORMAT, writeManifest } from "../../install/build-store";
import { explainNoPython } from "../../install/no-python";
import { findPython, type PipContext, resolveWheels, type Wheel, type WheelTag } from "../../install/pip";
import { thisPlatform } from "../../install/platform";
import { installCommand } from "../../install/system-packages";
import { fetchWheels, type InstallSettings, installBuild, pipContext, requireSpace } from "../../install/work";
import { hasNvidiaDriver } from "../../nvidia";
import {
  type CudaBuild,
  type CudaManifest,
  cudaBuildName,
  cudaBuilds,
  LIBRARY,
  onnxruntimePackage,
  PROVIDERS,
} from "./builds";
import { type CudaFamily, findCudaLibraries } from "./libraries";

export interface CudaInstallRequest extends InstallSettings {
  /** A folder with the two provider libraries: nothing is fetched then. */
  readonly from?: string;
}

/** The wheel and what comes out of it lie beside each other until the end; NVIDIA's libraries are eight times that. */
const PROVIDER_SPACE = 0.7e9;
const CUDA_SPACE = 5.5e9;
const LARGEST_WHEEL_CONTENT = 8e9;

/**
 * Installs a build for the installed onnxruntime-node, or finds it installed. Two at once are safe: the second fails naming the
 * first. Throws failure (1) for what the machine lacks or refuses, usageError (2) for a folder without the libraries or
 * an onnxruntime that has no such wheel, engineError (6) for a platform or an installation without onnxruntime.
 */
export async function installCuda(request: CudaInstallRequest): Promise<{ build: CudaBuild; installed: boolean }> {
  const { from } = request;
  const { version, library } = requireOnnxruntime();
  if (from !== undefined) requireProviders(from);
  return installBuild(cudaBuilds, cudaBuildName(version), request, async (work) => {
    const folder = path.join(work, "build");
    await makeFolder(folder);
    const content =
      from === undefined ? await fetchAll(request, version, folder, work) : await copyProviders(from, folder);
    await copyFile(library, path.join(folder, LIBRARY), constants.COPYFILE_FICLONE);
    const files = { ...content.files, [LIBRARY]: (await stat(library)).size };
    if (hasNvidiaDriver()) {
      request.log("loading NVIDIA's libraries once");
      await (request.check ?? checkBuild)(folder, request.signal);
    }
    const { wheels } = content;
    const manifest: CudaManifest = {
      format: BUILD_FORMAT,
      onnxruntime: version,
      platform: thisPlatform(),
      wheels,
      files,
    };
    await writeManifest(folder, manifest);
    return folder;
  });
}

/** The version that an install would be for. Throws engineError (6) where it cannot be one. */
export function requireOnnxruntime(): { readonly version: string; readonly library: string } {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw engineError(
      `engine install onnx-cuda knows Linux on x64, not ${thisPlatform()}: onnxruntime's other GPU provider, WebGPU, comes with npm`,
    );
  }
  const present = onnxruntimePackage();
  if (present) return present;
  throw engineError(`the package onnxruntime-node is not installed. Run: ${npmCommand("onnxruntime-node")}`);
}

function requireProviders(folder: string): void {
  for (const name of PROVIDERS) {
    if (existsSync(path.join(folder, name))) continue;
    throw usageError(`--from ${folder} holds no ${name}. Name a folder with ${PROVIDERS.join(" and ")}`);
  }
}

interface Content {
  readonly files: Readonly<Record<string, number>>;
  readonly wheels: CudaManifest["wheels"];
}

async function copyProviders(from: string, build: string): Promise<Content> {
  const files: Record<string, number> = {};
  for (const name of PROVIDERS) {
    await copyFile(path.join(from, name), path.join(build, name), constants.COPYFILE_FICLONE);
    files[name] = (await stat(path.join(build, name))).size;
  }
  return { files, wheels: [] };
}

async function fetchAll(request: CudaInstallRequest, version: string, build: string, work: string): Promise<Content> {
  const { signal, log } = request;
  const python = await findPython(signal);
  if ("found" in python) {
    const { problem, step, tool } = explainNoPython(python.found);
    throw failure(`${problem}. ${step ?? installCommand([tool])}`);
  }
  const context = pipContext(python, work, request);
  const { missing } = findCudaLibraries(null);
  const wanted = PROVIDER_SPACE + (missing.length > 0 ? CUDA_SPACE : 0);
  await requireSpace(work, wanted, "installing onnxruntime's CUDA provider");
  log(`asking pip for onnxruntime-gpu ${version} (${python.command}, ${python.pip})`);
  const { provider, tag } = await resolveProvider(version, context);
  const cuda = missing.length > 0 ? await resolveMissing(provider, missing, tag, context) : [];
  const wheels = await fetchWheels([provider, ...cuda], tag, context, log);
  const files: Record<string, number> = {};
  const limits = { maxBytes: LARGEST_WHEEL_CONTENT, durable: true, ...(signal ? { signal } : {}) };
  for (const wheel of wheels) {
    Object.assign(files, await unpackWheel(wheel.path, build, { ...limits, target: libraryTarget }));
  }
  for (const name of PROVIDERS) {
    if (files[name] === undefined) throw failure(`the wheel of onnxruntime-gpu ${version} holds no ${name}`);
  }
  return { files, wheels: wheels.map(({ listed }) => listed) };
}

/** Providers beside the library, NVIDIA's libraries as their wheels have them. TensorRT's provider stays behind. */
export function libraryTarget(entry: string): string | null {
  const [, name = ""] = /^onnxruntime\/capi\/([^/]+)$/.exec(entry) ?? [];
  if ((PROVIDERS as readonly string[]).includes(name)) return name;
  return /^nvidia\/[^/]+\/lib\/[^/]+\.so[.\d]*$/.test(entry) ? entry : null;
}

async function resolveProvider(version: string, context: PipContext): Promise<{ provider: Wheel; tag: WheelTag }> {
  const found = await resolveForAnyPython(`onnxruntime-gpu==${version}`, ["3.13", "3.11", "3.14", "3.10"], context);
  if ("wheel" in found) return { provider: found.wheel, tag: found.tag };
  throw usageError(
    `pip's index has no wheel of onnxruntime-gpu==${version}, which onnxruntime-node is, for ${thisPlatform()}. See which index it is with ${context.python.command} -m pip config list, or take the libraries from a folder with --from`,
  );
}

/** Of NVIDIA's packages that the provider's wheel names, and of those that these need, what brings a missing library. */
async function resolveMissing(
  provider: Wheel,
  missing: readonly CudaFamily[],
  tag: WheelTag,
  context: PipContext,
): Promise<Wheel[]> {
  const wheels = new Map<string, Wheel>();
  let requirements = nvidiaRequirements(provider.requires, /extra\s*==\s*['"](cuda|cudnn)['"]/);
  while (requirements.length > 0) {
    const found = await resolveWheels(requirements, tag, context);
    for (const wheel of found) wheels.set(nameOf(wheel.name), wheel);
    const needed = found.flatMap(({ requires }) => nvidiaRequirements(requires, null));
    requirements = [...new Set(needed)].filter((line) => !wheels.has(nameOf(line)));
  }
  const absent = missing.find(
    (family) => family.required && ![...wheels.keys()].some((name) => family.wheel.test(name)),
  );
  if (absent) {
    throw failure(
      `onnxruntime-gpu ${provider.version} names no package with ${absent.sonames.join(", ")}. Install NVIDIA's CUDA 13, and run the same command again`,
    );
  }
  return [...wheels].filter(([name]) => missing.some((family) => family.wheel.test(name))).map(([, wheel]) => wheel);
}

/** "nvidia-cublas" of 'nvidia-cublas<14,>=13.0', in the spelling of requirements. */
const nameOf = (requirement: string) => (/^[\w.-]+/.exec(requirement)?.[0] ?? "").replace(/[_.]/g, "-").toLowerCase();

/** @param extra which markers count; null: lines that belong to no extra */
export function nvidiaRequirements(requires: readonly string[], extra: RegExp | null): string[] {
  return requires
    .filter((line) => /^nvidia[-_]/.test(line) && (extra === null ? !/extra\s*==/.test(line) : extra.test(line)))
    .map((line) => (line.split(";")[0] as string).replace(/[()\s]/g, ""));
}

/** RTLD_NODELETE, which Node has no name for: Node closes at once what is no addon, and the next library needs it. */
const NODELETE = 0x1000;

/** Node loads any library, and only then says that it is no addon. */
const script = `
  const [flags, ...files] = process.argv.slice(1);
  for (const file of files) {
    try {
      process.dlopen({ exports: {} }, file, Number(flags));
    } catch (error) {
      if (!/did not self-register/.test(error.message)) { console.error(error.message); process.exit(1); }
    }
  }
`;

/**
 * Loads NVIDIA's libraries, which need the driver's, as the engine does. Not the provider: without an onnxruntime that has
 * introduced itself to the shared one its initialisation ends the process. Throws failure (1) with what the loader says.
 */
export async function checkBuild(build: string, signal?: AbortSignal): Promise<void> {
  const { preload, missing } = findCudaLibraries(build);
  const required = missing.filter((family) => family.required).flatMap(({ sonames }) => sonames);
  if (required.length > 0) throw failure(`the build needs ${required.join(", ")}, which this machine lacks`);
  const { RTLD_NOW, RTLD_GLOBAL } = os.constants.dlopen;
  const flags = String((RTLD_NOW ?? 2) | (RTLD_GLOBAL ?? 256) | NODELETE);
  const files = [...preload, path.join(build, PROVIDERS[0])];
  const env = { ...process.env };
  delete env["NODE_OPTIONS"];
  const child = await runChild(process.execPath, ["-e", script, flags, ...files], {
    env,
    timeoutMs: 120_000,
    ...(signal ? { signal } : {}),
  });
  if (child.code === 0) return;
  const said = child.stderr.trim().split("\n").at(-1) ?? "";
  throw failure(`the build does not load here: ${said || `its test ended with ${child.signal ?? child.code}`}`);
}
