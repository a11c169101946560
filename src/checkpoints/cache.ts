// Where pulled models lie: one folder a model, under the user's cache folder.

import os from "node:os";
import path from "node:path";

/** FLEXBERT_CACHE, else flexbert's folder in the platform's cache folder (XDG_CACHE_HOME or ~/.cache on Linux). */
export function cacheFolder(): string {
  const { FLEXBERT_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (FLEXBERT_CACHE) return path.resolve(FLEXBERT_CACHE);
  if (XDG_CACHE_HOME) return path.join(XDG_CACHE_HOME, "flexbert");
  if (process.platform === "win32") {
    return path.join(LOCALAPPDATA ?? path.join(os.homedir(), "AppData", "Local"), "flexbert", "Cache");
  }
  if (process.platform === "darwin") return path.join(os.homedir(), "Library", "Caches", "flexbert");
  return path.join(os.homedir(), ".cache", "flexbert");
}

/** A message that asks for another folder, with the variable that gives one. */
export const namingCacheVariable = (message: string): string =>
  /another folder$/.test(message) ? `${message} in FLEXBERT_CACHE` : message;

/** The folder of a model in the cache, whether it is there or not; `/` in its name becomes `--`. */
export function cachedFolder(name: string, cache = cacheFolder()): string {
  return path.join(cache, name.replaceAll("/", "--"));
}
