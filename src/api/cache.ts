// What lies in the cache: bases, builds that `engine install` made, and what stopped downloads left there to go on from.

import { rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { type CachedBase, cachedBases, pullFolder, removeCachedBase } from "../checkpoints/bases/cached";
import { failure, modelError, UserError, usageError } from "../errors/errors";
import { cacheFolder } from "../files/cache";
import { folderBytes, subfolders } from "../files/folder";
import { lockHolder } from "../files/lock";
import { removeLeft } from "../files/work-folder";
import { didYouMean } from "../messages/nearest";
import { familyOf } from "../model/families/families";
import { type Given, readGiven } from "../options/given";
import { toggle } from "../options/option";
import { type BuildList, type CudaList, listBuilds, listCudaBuilds, removeBuilds, removeCudaBuilds } from "./engines";

export const removeCachedOptions = {
  engines: toggle({
    flag: "--engines",
    help: "every build of TensorFlow and of onnxruntime's CUDA provider",
    inConfig: false,
  }),
  all: toggle({ flag: "--all", help: "all bases and builds, and what stopped work left", inConfig: false }),
};

export type RemoveCachedOptions = Given<typeof removeCachedOptions>;

export interface ListedBase extends CachedBase {
  readonly bytes: number;
  /** Of encoders, such as "DistilBERT". */
  readonly family: string | null;
  readonly layers: number | null;
  readonly sha256: string | null;
  /** Why it cannot be opened, or null. */
  readonly problem: string | null;
}

/** What a pull or a download left when it stopped, or uses now. */
export interface StoppedWork {
  readonly kind: "pull" | "download";
  /** Of the base or the task. */
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  readonly inUse: boolean;
}

export interface CacheContents {
  readonly folder: string;
  readonly bytes: number;
  readonly bases: readonly ListedBase[];
  readonly builds: BuildList["builds"];
  readonly cudaBuilds: CudaList["builds"];
  /** Names of builds whose install or removal was stopped or is under way. */
  readonly stoppedBuilds: readonly string[];
  readonly leftovers: readonly StoppedWork[];
}

export interface Removed {
  readonly kind: "base" | "build" | StoppedWork["kind"];
  readonly name: string;
  readonly bytes: number;
}

/** All that flexbert knows of in the cache. Reads every base, for its hash: seconds for large ones. */
export async function listCache(): Promise<CacheContents> {
  const folder = cacheFolder();
  const bases: ListedBase[] = [];
  for (const base of await cachedBases(folder)) bases.push(await listed(base));
  const { builds, stopped } = await listBuilds();
  const cuda = await listCudaBuilds();
  return {
    folder,
    bytes: await folderBytes(folder),
    bases,
    builds,
    cudaBuilds: cuda.builds,
    stoppedBuilds: [...stopped, ...cuda.stopped],
    leftovers: await leftoversOf(folder),
  };
}

async function listed(base: CachedBase): Promise<ListedBase> {
  const { describeBase } = await import("../checkpoints/bases/base.js");
  const bytes = await folderBytes(base.folder);
  try {
    const { config, sha256 } = await describeBase(base.folder);
    const family = familyOf(config).title;
    return { ...base, bytes, family, layers: config.numHiddenLayers, sha256, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...base, bytes, family: null, layers: null, sha256: null, problem: error.message };
  }
}

const downloadsFolder = (cache: string) => path.join(cache, "glue");

async function leftoversOf(cache: string): Promise<StoppedWork[]> {
  const { glueTasks } = await import("../tasks/glue.js");
  const pulls = (await subfolders(path.dirname(pullFolder(path.join(cache, "any"))))).map((name) => {
    return { kind: "pull" as const, name, folder: pullFolder(path.join(cache, name)) };
  });
  // A cache may be a folder with things of the user's own: of glue/ only what a download makes there.
  const tasks = (await subfolders(downloadsFolder(cache))).filter((name) => Object.hasOwn(glueTasks, name));
  const downloads = tasks.map((name) => {
    return { kind: "download" as const, name, folder: path.join(downloadsFolder(cache), name) };
  });
  return Promise.all(
    [...pulls, ...downloads].map(async (left) => {
      const inUse = (await lockHolder(left.folder)) !== null;
      return { ...left, bytes: await folderBytes(left.folder), inUse };
    }),
  );
}

/**
 * Removes bases by name, all builds, or everything; nothing where a name is unknown or something of it is in use.
 * Throws usageError (2) where nothing is named, modelError (4) for what is no base in the cache, failure (1) for what a
 * live process holds.
 * @param dryRun names it alone
 */
export async function removeCached(
  names: readonly string[],
  options: RemoveCachedOptions = {},
  dryRun = false,
): Promise<Removed[]> {
  const { engines, all } = readGiven(removeCachedOptions, options);
  if (names.length === 0 && !engines && !all) {
    throw usageError("cache remove takes names of bases, --engines or --all. See what there is: flexbert cache list");
  }
  if (names.length > 0 && all) throw usageError("--all removes every base: give names or --all");
  const cache = cacheFolder();
  const known = await cachedBases(cache);
  const bases = all ? await removableBases(known) : chosenBases(names, known, cache);
  const left = all ? await leftoversOf(cache) : [];
  const builds = engines || all ? await removeBuilds({}, true) : [];
  const cudaBuilds = engines || all ? await removeCudaBuilds({}, true) : [];
  const { tensorflowBuilds } = await import("../engines/tensorflow/install/builds.js");
  const { cudaBuilds: cudaStore } = await import("../engines/onnx/cuda/builds.js");
  await requireIdle([
    ...bases.map(({ folder }) => pullFolder(folder)),
    ...left.map(({ folder }) => folder),
    ...builds.map(({ name }) => tensorflowBuilds.work(name, cache)),
    ...cudaBuilds.map(({ name }) => cudaStore.work(name, cache)),
  ]);
  const removed: Removed[] = [];
  for (const { name, folder } of bases) {
    removed.push({ kind: "base", name, bytes: await folderBytes(folder) });
    if (!dryRun) await removeCachedBase(folder);
  }
  for (const { kind, name, folder, bytes } of left) {
    removed.push({ kind, name, bytes });
    if (!dryRun) await removeLeft(folder, `removing what the ${kind} of ${name} left`);
  }
  if (builds.length > 0 && !dryRun) await removeBuilds();
  if (cudaBuilds.length > 0 && !dryRun) await removeCudaBuilds();
  removed.push(...[...builds, ...cudaBuilds].map((build) => ({ kind: "build" as const, ...build })));
  if (all && !dryRun) await removeEmpty(cache);
  return removed;
}

/** Of a folder that flexbert did not fill only what it could take for a base. */
async function removableBases(known: readonly CachedBase[]): Promise<CachedBase[]> {
  const bases = await Promise.all(
    known.map(async (base) => (base.source === null && (await listed(base)).problem !== null ? [] : [base])),
  );
  return bases.flat();
}

function chosenBases(names: readonly string[], known: readonly CachedBase[], cache: string): CachedBase[] {
  const chosen = names.map((wanted) => {
    const found = known.find(({ name, folder }) => wanted === name || wanted === path.basename(folder));
    if (found) return found;
    const near = didYouMean(
      wanted,
      known.map(({ name }) => name),
    );
    throw modelError(`no base ${wanted}${near} is in the cache ${cache}. See what there is: flexbert cache list`);
  });
  return [...new Set(chosen)];
}

async function requireIdle(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const holder = await lockHolder(folder);
    if (holder !== null) throw failure(holder);
  }
}

/** The folders that held them, and what was measured of TensorFlow's library, where nothing else lies there. */
async function removeEmpty(cache: string): Promise<void> {
  await rm(path.join(cache, ".engines", "cpu"), { recursive: true, force: true });
  const engines = ["tensorflow", "onnx-cuda"].flatMap((name) => [`.engines/${name}/.installing`, `.engines/${name}`]);
  const emptied = [".pulling", "glue", ...engines, ".engines", ""];
  for (const folder of emptied) await rmdir(path.join(cache, folder)).catch(() => {}); // holds something, or is not there
}
