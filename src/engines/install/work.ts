// What installs of libraries share: where they are put together in the cache, and how a finished one gets into its place.

import { existsSync, readdirSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import path from "node:path";
import { failure, UserError } from "../../errors/errors";
import { syncFolder } from "../../files/atomic";
import { namingCacheVariable } from "../../files/cache";
import { storageFailure } from "../../files/storage-failure";
import { setAside } from "../../files/work-folder";

/** Of wheels that an earlier attempt fetched. */
export function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
}

/** What the machine refuses, as a failure that says how the cache goes elsewhere. */
export function inCache(thrown: unknown, work: string): unknown {
  const error = storageFailure(thrown, work);
  const message = error instanceof UserError ? namingCacheVariable(error.message) : null;
  return error instanceof UserError && message !== null && message !== error.message ? failure(message, error) : error;
}

/** Renames the build into place; an old one of the same name goes with the rest of the work folder. */
export async function commitBuild(build: string, folder: string, work: string): Promise<void> {
  await setAside(folder, work);
  await rename(build, folder);
  await syncFolder(path.dirname(folder));
}
