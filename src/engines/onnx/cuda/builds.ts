// Builds of onnxruntime's CUDA provider that `engine install onnx-cuda` made (install/build-store.ts), or the folder that
// FLEXBERT_ONNX_CUDA names.
// onnxruntime looks for a provider beside its own library, as that was loaded. So a build holds a copy of onnxruntime-node's.
// A copy, no link: the loader knows a library by its inode, and one that the package's addon has loaded would stay
// where the addon has it.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { engineError } from "../../../errors/errors";
import { buildFields, buildStore, type Stored } from "../../install/build-store";
import { thisPlatform } from "../../install/platform";
import { findCudaLibraries } from "./libraries";

export const LIBRARY = "libonnxruntime.so.1";
export const PROVIDERS = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;
export const CUDA_VARIABLE = "FLEXBERT_ONNX_CUDA";
export const CUDA_REMEDY = "Run: flexbert engine install onnx-cuda";

const manifestSchema = z.object({
  ...buildFields,
  /** Of onnxruntime-node, whose library the provider's is beside. */
  onnxruntime: z.string(),
});

export type CudaManifest = z.infer<typeof manifestSchema>;
export type CudaBuild = Stored<CudaManifest>;

export interface LocatedCuda {
  /** Absolute path of the libonnxruntime.so.1 to load: the providers are beside it. */
  readonly library: string;
  /** Absolute paths of NVIDIA's libraries, to be loaded before it in this order. */
  readonly preload: readonly string[];
}

export const cudaBuildName = (version: string) => `${version}-${thisPlatform()}`;

/** The one for the installed onnxruntime-node is first. */
export const cudaBuilds = buildStore<CudaManifest>({
  engine: "onnx-cuda",
  schema: manifestSchema,
  named: (name) => ({ onnxruntime: name.slice(0, -thisPlatform().length - 1) }),
  misfit({ onnxruntime }) {
    const version = onnxruntimePackage()?.version;
    return version === undefined || version === onnxruntime
      ? null
      : `it is of onnxruntime ${onnxruntime}, and onnxruntime-node is ${version}`;
  },
  order: () => 0,
});

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
  const builds = cudaBuilds.installed();
  const build = builds.find(({ onnxruntime }) => onnxruntime === version);
  if (build?.problem === null) return build.folder;
  if (build) throw engineError(`the build ${build.name} cannot be used: ${build.problem}. ${CUDA_REMEDY} --force`);
  const others = builds.map(({ onnxruntime }) => onnxruntime).join(", ");
  const why = others ? `is of ${others}, and onnxruntime-node is ${version}` : "is not installed";
  throw engineError(`onnxruntime's CUDA provider ${why}. ${CUDA_REMEDY}`);
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
