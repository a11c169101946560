// What installs of libraries share: how one is put together in the cache, and how it gets into its place. Everything collects in a
// work folder under a lock; renaming the finished build is the commit.

import { existsSync, readdirSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import path from "node:path";
import { failure, UserError } from "../../errors/errors";
import { requireFreeSpace, syncFolder } from "../../files/atomic";
import { namingCacheVariable } from "../../files/cache";
import { sha256File } from "../../files/hash";
import { lockFolder } from "../../files/lock";
import { storageFailure } from "../../files/storage-failure";
import { clearWork, leaveWork, setAside } from "../../files/work-folder";
import type { BuildStore, Stored } from "./build-store";
import { downloadWheel, type PipContext, type Python, type Wheel, type WheelTag } from "./pip";

/** Where wheels lie in a work folder. */
const WHEELS = "wheels";

function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
}

/** What the machine refuses, as a failure that says how the cache goes elsewhere. */
function inCache(thrown: unknown, work: string): unknown {
  const error = storageFailure(thrown, work);
  const message = error instanceof UserError ? namingCacheVariable(error.message) : null;
  return error instanceof UserError && message !== null && message !== error.message ? failure(message, error) : error;
}

/** What an install is asked, whichever engine's it is. */
export interface InstallSettings {
  /** The cache's folder; default `cacheFolder()`. */
  readonly cache?: string;
  /** Builds again what is there. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly log: (line: string) => void;
  readonly onProgress?: PipContext["onProgress"];
  /** Runs a build in a process of its own and throws what is wrong with it; tests replace it. */
  readonly check?: (build: string, signal?: AbortSignal) => Promise<void>;
}

/**
 * Finds a build whole, or has it assembled in a work folder under a lock and renames it into its place: two at once are safe,
 * the second fails naming the first. A stopped install keeps the wheels that it has.
 * @param assemble makes the build in the work folder, its manifest last, and returns its folder
 */
export async function installBuild<M>(
  store: BuildStore<M>,
  name: string,
  { cache, force, signal }: InstallSettings,
  assemble: (work: string) => Promise<string>,
): Promise<{ build: Stored<M>; installed: boolean }> {
  const whole = () => {
    const present = store.find(name, cache);
    return present?.problem === null && !force ? { build: present, installed: false } : null;
  };
  const present = whole();
  if (present) return present;
  const work = store.work(name, cache);
  const unlock = await lockFolder(work, `installing ${path.basename(store.folder(cache))} ${name}`).catch((error) => {
    throw inCache(error, work);
  });
  let done = false;
  try {
    const other = whole(); // another install was faster
    if (other) return other;
    await clearWork(work, [WHEELS]); // what a killed install left takes the space that this one needs
    const build = await assemble(work);
    signal?.throwIfAborted();
    await commitBuild(build, path.join(store.folder(cache), name), work);
    done = true;
    return { build: store.find(name, cache) as Stored<M>, installed: true };
  } catch (error) {
    throw inCache(error, work);
  } finally {
    // After a failure only wheels are worth going on from.
    await leaveWork(work, unlock, done ? [] : [WHEELS]);
  }
}

/** Renames the build into place; an old one of the same name goes with the rest of the work folder. */
async function commitBuild(build: string, folder: string, work: string): Promise<void> {
  await setAside(folder, work);
  await rename(build, folder);
  await syncFolder(path.dirname(folder));
}

/** Throws failure (1) where the disk lacks what an install needs beside the wheels that an earlier attempt fetched. */
export const requireSpace = (work: string, bytes: number, purpose: string): Promise<void> =>
  requireFreeSpace(work, bytes - bytesIn(path.join(work, WHEELS)), purpose);

export const pipContext = (python: Python, work: string, { signal, onProgress }: InstallSettings): PipContext => ({
  python,
  work,
  ...(signal ? { signal } : {}),
  ...(onProgress ? { onProgress } : {}),
});

export interface FetchedWheel {
  readonly path: string;
  /** As a build's manifest names it. */
  readonly listed: { readonly file: string; readonly sha256: string };
}

/** Brings wheels into the work folder, one after the other. */
export async function fetchWheels(
  wheels: readonly Wheel[],
  tag: WheelTag,
  context: PipContext,
  log: InstallSettings["log"],
): Promise<FetchedWheel[]> {
  const fetched: FetchedWheel[] = [];
  for (const [index, wheel] of wheels.entries()) {
    log(`fetching ${wheel.file}${wheels.length > 1 ? ` (${index + 1} of ${wheels.length})` : ""}`);
    const file = await downloadWheel(wheel, path.join(context.work, WHEELS), tag, context);
    fetched.push({ path: file, listed: { file: wheel.file, sha256: wheel.sha256 ?? (await sha256File(file)) } });
  }
  return fetched;
}
