// Builds of onnxruntime's CUDA provider that `engine install onnx-cuda` made: one folder each under the cache, complete
// once its build.json is there, or the folder that FLEXBERT_ONNX_CUDA names.
// onnxruntime looks for a provider beside its own library, as that was loaded. So a build holds a copy of onnxruntime-node's.
// A copy, no link: the loader knows a library by its inode, and one that the package's addon has loaded would stay
// where the addon has it.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { engineError, UserError } from "../../../errors/errors";
import { cacheFolder } from "../../../files/cache";
import { formatProblem } from "../../../files/format";
import { parseJson } from "../../../files/json";
import { removeWithWork } from "../../../files/work-folder";
import { thisPlatform } from "../../install/platform";
import { findCudaLibraries } from "./libraries";

export const LIBRARY = "libonnxruntime.so.1";
export const PROVIDERS = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;
export const CUDA_VARIABLE = "FLEXBERT_ONNX_CUDA";
export const CUDA_REMEDY = "Run: flexbert engine install onnx-cuda";
export const CUDA_BUILD_FORMAT = 1;

const manifestSchema = z.object({
  format: z.literal(CUDA_BUILD_FORMAT),
  flexbert: z.string().optional(),
  /** Of onnxruntime-node, whose library the provider's is beside. */
  onnxruntime: z.string(),
  platform: z.string(),
  /** Empty where the provider came out of a folder. */
  wheels: z.array(z.object({ file: z.string(), sha256: z.string() })),
  /** Bytes of every file. */
  files: z.record(z.string(), z.number()),
});

export type CudaManifest = z.infer<typeof manifestSchema>;

export interface CudaBuild extends CudaManifest {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  /** Why it cannot be used, or null. */
  readonly problem: string | null;
}

export interface LocatedCuda {
  /** Absolute path of the libonnxruntime.so.1 to load: the providers are beside it. */
  readonly library: string;
  /** Absolute paths of NVIDIA's libraries, to be loaded before it in this order. */
  readonly preload: readonly string[];
}

export const cudaBuildsFolder = (cache = cacheFolder()) => path.join(cache, ".engines", "onnx-cuda");
export const cudaWorkFolder = (name: string, cache?: string) => path.join(cudaBuildsFolder(cache), ".installing", name);
export const cudaBuildName = (version: string) => `${version}-${thisPlatform()}`;
export const cudaManifestPath = (folder: string) => path.join(folder, "build.json");

/** onnxruntime-node's version and its library for this platform; null where the package or the library is not there. */
export function onnxruntimePackage(): { readonly version: string; readonly library: string } | null {
  try {
    const file = require.resolve("onnxruntime-node/package.json");
    const library = path.join(path.dirname(file), "bin/napi-v6", process.platform, process.arch, LIBRARY);
    return existsSync(library) ? { version: JSON.parse(readFileSync(file, "utf8")).version, library } : null;
  } catch {
    return null;
  }
}

/**
 * What an engine loads for CUDA: FLEXBERT_ONNX_CUDA's folder, else the build of the installed onnxruntime-node. Loads nothing.
 * Throws engineError (6) where there is none, it is of another version, or one of NVIDIA's libraries is not on the machine.
 */
export function locateCuda(): LocatedCuda {
  const present = onnxruntimePackage();
  if (!present) throw engineError("onnxruntime-node has no library here. See what is missing: flexbert doctor");
  const folder = cudaFolder(present.version);
  const { preload, missing } = findCudaLibraries(folder);
  const required = missing.filter((family) => family.required);
  if (required.length > 0) {
    const names = required.flatMap(({ sonames }) => sonames).join(", ");
    throw engineError(
      `onnxruntime's CUDA provider needs ${names}: not in its folder ${folder}, the loader's path, or python3's packages. ${CUDA_REMEDY} --force`,
    );
  }
  return { library: path.join(folder, LIBRARY), preload };
}

function cudaFolder(version: string): string {
  const named = process.env[CUDA_VARIABLE];
  if (named) return namedFolder(named, version);
  const builds = installedBuilds();
  const build = builds.find(({ onnxruntime }) => onnxruntime === version);
  if (build?.problem === null) return build.folder;
  if (build) throw engineError(`the build ${build.name} cannot be used: ${build.problem}. ${CUDA_REMEDY} --force`);
  const others = builds.map(({ onnxruntime }) => onnxruntime).join(", ");
  const why = others ? `is of ${others}, and onnxruntime-node is ${version}` : "is not installed";
  throw engineError(`onnxruntime's CUDA provider ${why}. ${CUDA_REMEDY}`);
}

/** None for a user who has no cache folder. */
function installedBuilds(): CudaBuild[] {
  try {
    return listCudaBuilds();
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

function namedFolder(named: string, version: string): string {
  const folder = path.resolve(named);
  const remedy = `Name a folder that flexbert engine install onnx-cuda made, or unset ${CUDA_VARIABLE}`;
  for (const file of [LIBRARY, ...PROVIDERS]) {
    if (existsSync(path.join(folder, file))) continue;
    throw engineError(`${CUDA_VARIABLE} names ${named}, which holds no ${file}. ${remedy}`);
  }
  const found = libraryVersion(path.join(folder, LIBRARY));
  if (found === version) return folder;
  throw engineError(
    `${CUDA_VARIABLE} names ${named}, of onnxruntime ${found ?? "of unknown version"}, and onnxruntime-node is ${version}. ${remedy}`,
  );
}

/** "1.30.0": the library's symbols carry it, VERS_1.30.0. */
export function libraryVersion(library: string): string | null {
  const bytes = readFileSync(library);
  const at = bytes.indexOf("\0VERS_1.");
  return at < 0 ? null : (/^\0VERS_([\d.]+)/.exec(bytes.toString("latin1", at, at + 40))?.[1] ?? null);
}

/** All builds for this platform, the one for the installed onnxruntime-node first. */
export function listCudaBuilds(cache?: string): CudaBuild[] {
  const root = cudaBuildsFolder(cache);
  if (!existsSync(root)) return [];
  const names = readdirSync(root).filter((name) => !name.startsWith(".") && name.endsWith(`-${thisPlatform()}`));
  const builds = names.map((name) => readBuild(name, root));
  return builds.sort((a, b) => Number(b.problem === null) - Number(a.problem === null));
}

export function findCudaBuild(name: string, cache?: string): CudaBuild | null {
  const root = cudaBuildsFolder(cache);
  return existsSync(path.join(root, name)) ? readBuild(name, root) : null;
}

function readBuild(name: string, root: string): CudaBuild {
  const folder = path.join(root, name);
  const unusable = (problem: string): CudaBuild => ({
    format: CUDA_BUILD_FORMAT,
    onnxruntime: name.slice(0, -thisPlatform().length - 1),
    platform: thisPlatform(),
    ...{ wheels: [], files: {}, name, folder, bytes: 0, problem },
  });
  try {
    const json: unknown = parseJson(readFileSync(cudaManifestPath(folder), "utf8"));
    const foreign = formatProblem(json, CUDA_BUILD_FORMAT);
    if (foreign !== null) return unusable(`its build.json ${foreign}`);
    const manifest = manifestSchema.parse(json);
    const bytes = Object.values(manifest.files).reduce((sum, size) => sum + size, 0);
    return { ...manifest, name, folder, bytes, problem: problemOf(manifest, folder) };
  } catch {
    return unusable("its build.json is missing or damaged");
  }
}

function problemOf({ onnxruntime, files }: CudaManifest, folder: string): string | null {
  for (const [file, bytes] of Object.entries(files)) {
    const found = statSync(path.join(folder, file), { throwIfNoEntry: false })?.size;
    if (found !== bytes) return found === undefined ? `${file} is missing` : `${file} has ${found} bytes, not ${bytes}`;
  }
  const version = onnxruntimePackage()?.version;
  return version === undefined || version === onnxruntime
    ? null
    : `it is of onnxruntime ${onnxruntime}, and onnxruntime-node is ${version}`;
}

/** Removes a build, and what a stopped install of it left. Processes that run it keep its files until they end. */
export const removeCudaBuild = (name: string, cache?: string): Promise<void> =>
  removeWithWork(path.join(cudaBuildsFolder(cache), name), cudaWorkFolder(name, cache), `removing ${name}`);

/** Names of builds whose install or removal was stopped, or is under way. */
export function stoppedCudaInstalls(cache?: string): string[] {
  const folder = path.dirname(cudaWorkFolder("any", cache));
  return existsSync(folder) ? readdirSync(folder) : [];
}
