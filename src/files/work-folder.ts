// Folders in which something of the cache is put together before it is renamed into its place: under a lock, with what was
// fetched waiting there for the next attempt.

import { existsSync, readdirSync } from "node:fs";
import { rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { lockFolder } from "./lock";
import { storageFailure } from "./storage-failure";

/** Of the files that lockFolder makes: the lock, its guards and their temporary files. */
const lockFiles = /^\.+flexbert\.lock/;

/**
 * Takes a folder out of the way in one step, so that nobody finds half of it, and returns where it lies then. In the work
 * folder: what a killed process leaves there is cleared by the next one.
 */
export async function setAside(folder: string, work: string): Promise<string> {
  const doomed = path.join(work, "old");
  if (existsSync(folder)) await rename(folder, doomed);
  return doomed;
}

/** Removes what lies in a work folder but for the entries to keep and the locks. */
export async function clearWork(work: string, keep: readonly string[]): Promise<void> {
  for (const entry of readdirSync(work)) {
    if (lockFiles.test(entry)) continue;
    const doomed = path.join(work, entry);
    if (keep.includes(entry))
      await rmdir(doomed).catch(() => {}); // if it is empty
    else await rm(doomed, { recursive: true, force: true }).catch(() => {});
  }
}

/** Clears a work folder and unlocks it. In that order: the next holder may be waiting. */
export async function leaveWork(work: string, unlock: () => Promise<void>, keep: readonly string[]): Promise<void> {
  await clearWork(work, keep);
  await unlock();
  await rmdir(work).catch(() => {}); // holds what is kept, or another's lock
}

/**
 * Removes a folder, if it is there, with its work folder and what stopped work left in that.
 * Throws failure (1) where a live process works there, or the disk refuses.
 */
export async function removeWithWork(folder: string, work: string, purpose: string): Promise<void> {
  const unlock = await lockFolder(work, purpose);
  try {
    await clearWork(work, []);
    await rm(await setAside(folder, work), { recursive: true, force: true });
  } catch (error) {
    throw storageFailure(error, folder, "cannot remove");
  } finally {
    await leaveWork(work, unlock, []);
  }
}

/** Removes what stopped work left in its folder. Throws failure (1) where a live process works there. */
export async function removeLeft(work: string, purpose: string): Promise<void> {
  await leaveWork(work, await lockFolder(work, purpose), []);
}
