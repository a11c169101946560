// The bases in the cache: a folder each, brought by a pull or put there by somebody.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { cachedFolder, cacheFolder } from "../../files/cache";
import { subfolders } from "../../files/folder";
import { parseJson } from "../../files/json";
import { removeWithWork } from "../../files/work-folder";

/** What a pull writes beside the model, last. */
export const SOURCE_FILE = "flexbert-source.json";

export interface CachedBase {
  /** As commands take it. */
  readonly name: string;
  readonly folder: string;
  /** Where a pull had it from; null for a folder that something else wrote. */
  readonly source: string | null;
}

/** Where a pull of this folder of the cache collects files, under a lock. */
export const pullFolder = (folder: string): string =>
  path.join(path.dirname(folder), ".pulling", path.basename(folder));

/** Folders of the cache that hold a model: downloads of GLUE lie there too. None where there is no cache. */
export async function cachedBases(cache = cacheFolder()): Promise<CachedBase[]> {
  const names = (await subfolders(cache)).filter((name) =>
    ["config.json", "bert_config.json"].some((file) => existsSync(path.join(cache, name, file))),
  );
  return Promise.all(names.map((name) => readCachedBase(path.join(cache, name))));
}

async function readCachedBase(folder: string): Promise<CachedBase> {
  const record = await readFile(path.join(folder, SOURCE_FILE), "utf8")
    .then(parseJson)
    .catch(() => null);
  const { name, source } = Object(record) as { name?: unknown; source?: unknown };
  // The record of a folder that somebody renamed gives a name that would not find it.
  const named = typeof name === "string" && cachedFolder(name, path.dirname(folder)) === folder;
  return {
    name: named ? name : path.basename(folder),
    folder,
    source: typeof source === "string" ? source : null,
  };
}

/** Removes a base, and what a stopped pull of it left. Processes that have read it go on. */
export const removeCachedBase = (folder: string): Promise<void> =>
  removeWithWork(folder, pullFolder(folder), `removing ${path.basename(folder)}`);
