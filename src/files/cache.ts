// Where pulled models lie: one folder a model, under the user's cache folder.

import os from "node:os";
import path from "node:path";
import { usageError } from "../errors/errors";

/**
 * FLEXBERT_CACHE, else flexbert's folder in the platform's cache folder (XDG_CACHE_HOME or ~/.cache on Linux). Absolute.
 * Throws usageError (2) for a user without a home folder, which the variable spares.
 */
export function cacheFolder(): string {
  const { FLEXBERT_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (FLEXBERT_CACHE) return path.resolve(FLEXBERT_CACHE);
  // Its specification has relative ones ignored.
  if (XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME)) return path.join(XDG_CACHE_HOME, "flexbert");
  if (process.platform === "win32") {
    return path.join(LOCALAPPDATA ?? path.join(homeFolder(), "AppData", "Local"), "flexbert", "Cache");
  }
  if (process.platform === "darwin") return path.join(homeFolder(), "Library", "Caches", "flexbert");
  return path.join(homeFolder(), ".cache", "flexbert");
}

/** A container may run as a user that no file of the system knows, and HOME may be empty. */
function homeFolder(): string {
  try {
    const home = os.homedir();
    if (path.isAbsolute(home)) return home;
  } catch {
    // No HOME, and no such user.
  }
  throw usageError(
    "this user has no home folder, where the cache would lie. Set HOME, or name a folder in FLEXBERT_CACHE",
  );
}

/** A message that asks for another folder, with the variable that gives one. */
export const namingCacheVariable = (message: string): string =>
  /another folder$/.test(message) ? `${message} in FLEXBERT_CACHE` : message;

/** The folder of a model in the cache, whether it is there or not; `/` in its name becomes `--`. */
export function cachedFolder(name: string, cache = cacheFolder()): string {
  return path.join(cache, name.replaceAll("/", "--"));
}
