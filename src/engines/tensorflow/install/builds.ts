// Builds of TensorFlow that `engine install` made: one folder each under the cache, complete once its build.json is there.
// A hidden folder, because the cache's other folders are named after models.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { cacheFolder } from "../../../files/cache";
import { formatProblem } from "../../../files/format";
import { parseJson } from "../../../files/json";
import { removeWithWork } from "../../../files/work-folder";
import { thisPlatform } from "../../install/platform";
import { hasNvidiaDriver } from "../../nvidia";

const flavours = ["cpu", "gpu"] as const;
export type Flavour = (typeof flavours)[number];

/** The version that tests ran with, and that an install without --version brings. */
export const DEFAULT_TENSORFLOW = "2.21.0";

const manifestFile = "build.json";
export const BUILD_FORMAT = 1;

const manifestSchema = z.object({
  format: z.literal(BUILD_FORMAT),
  flexbert: z.string().optional(),
  tensorflow: z.string(),
  flavour: z.enum(flavours),
  platform: z.string(),
  /** Version of @tensorflow/tfjs-node-gpu whose addon was compiled. */
  tfjs: z.string(),
  compiler: z.string(),
  wheels: z.array(z.object({ file: z.string(), sha256: z.string() })),
  /** Bytes of every file. */
  files: z.record(z.string(), z.number()),
});

export type BuildManifest = z.infer<typeof manifestSchema>;

export interface Build extends BuildManifest {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  /** Why it cannot be used, or null. */
  readonly problem: string | null;
}

export const buildsFolder = (cache = cacheFolder()) => path.join(cache, ".engines", "tensorflow");

/** Where a build is put together, and where what was fetched waits for the next attempt. */
export const workFolder = (name: string, cache?: string) => path.join(buildsFolder(cache), ".installing", name);

export const buildName = (version: string, flavour: Flavour) => `${version}-${flavour}-${thisPlatform()}`;

/** Version of the tfjs-node package and its folder; null where it is not installed. */
export function tfjsPackage(): { readonly folder: string; readonly version: string } | null {
  try {
    const file = require.resolve("@tensorflow/tfjs-node-gpu/package.json");
    return { folder: path.dirname(file), version: JSON.parse(readFileSync(file, "utf8")).version };
  } catch {
    return null;
  }
}

/** All builds for this platform; the one that loads is first: for the GPU where there is a driver, then the newest. */
export function listBuilds(cache?: string): Build[] {
  const root = buildsFolder(cache);
  if (!existsSync(root)) return [];
  const names = readdirSync(root).filter((name) => !name.startsWith(".") && name.endsWith(`-${thisPlatform()}`));
  const wanted: Flavour = hasNvidiaDriver() ? "gpu" : "cpu";
  const rank = (build: Build) => (build.problem === null ? 0 : 2) + (build.flavour === wanted ? 0 : 1);
  return names
    .map((name) => readBuild(name, root))
    .sort((a, b) => rank(a) - rank(b) || compareVersions(b.tensorflow, a.tensorflow));
}

export function findBuild(name: string, cache?: string): Build | null {
  const root = buildsFolder(cache);
  return existsSync(path.join(root, name)) ? readBuild(name, root) : null;
}

function readBuild(name: string, root: string): Build {
  const folder = path.join(root, name);
  const [, version = "?", flavour = "cpu"] = /^(.+?)-(cpu|gpu)-/.exec(name) ?? [];
  const unusable = (problem: string): Build => ({
    format: BUILD_FORMAT,
    tensorflow: version,
    flavour: flavour as Flavour,
    platform: thisPlatform(),
    ...{ tfjs: "", compiler: "", wheels: [], files: {}, name, folder, bytes: 0, problem },
  });
  try {
    const json: unknown = parseJson(readFileSync(path.join(folder, manifestFile), "utf8"));
    const foreign = formatProblem(json, BUILD_FORMAT);
    if (foreign !== null) return unusable(`its ${manifestFile} ${foreign}`);
    const manifest = manifestSchema.parse(json);
    const bytes = Object.values(manifest.files).reduce((sum, size) => sum + size, 0);
    return { ...manifest, name, folder, bytes, problem: problemOf(manifest, folder) };
  } catch {
    return unusable(`its ${manifestFile} is missing or damaged`);
  }
}

function problemOf({ tfjs, files }: BuildManifest, folder: string): string | null {
  for (const [file, bytes] of Object.entries(files)) {
    const found = statSync(path.join(folder, file), { throwIfNoEntry: false })?.size;
    if (found !== bytes) return found === undefined ? `${file} is missing` : `${file} has ${found} bytes, not ${bytes}`;
  }
  const present = tfjsPackage();
  if (present && present.version !== tfjs)
    return `it was compiled for tfjs-node ${tfjs}, and ${present.version} is here`;
  return null;
}

/** By numbers: 2.9 before 2.21; what is no number comes first. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

export const manifestPath = (folder: string) => path.join(folder, manifestFile);

/** Removes a build, and what a stopped install of it left. Processes that run it keep its files until they end. */
export const removeBuild = (name: string, cache?: string): Promise<void> =>
  removeWithWork(path.join(buildsFolder(cache), name), workFolder(name, cache), `removing ${name}`);

/** Names of builds whose install or removal was stopped, or is under way. */
export function stoppedInstalls(cache?: string): string[] {
  const folder = path.dirname(workFolder("any", cache));
  return existsSync(folder) ? readdirSync(folder) : [];
}
