// Making folders and listing what lies in them.

import { statSync } from "node:fs";
import { lstat, mkdir, readdir } from "node:fs/promises";
import path from "node:path";

/**
 * Makes a folder and those above it; one that exists is left as it is.
 *
 * Node's own `mkdir({ recursive: true })` spins for ever where the system answers ENOENT for a folder whose parent
 * exists, as under /proc, and calls a read-only file system ENOENT: this one ends, with the system's own answer.
 *
 * @throws the system's error, with the path that could not be made.
 */
export async function makeFolder(folder: string): Promise<void> {
  // A second process may remove or make the same folders meanwhile, so an answer is believed when it comes again.
  for (let attempts = 3; ; attempts--) {
    if (isFolder(folder)) return;
    try {
      await mkdir(folder);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EEXIST" && isFolder(folder)) return;
      if (code !== "ENOENT" || attempts === 1) throw error;
      await makeFolder(path.dirname(folder));
    }
  }
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Names of the folders in a folder, links to folders too, sorted, without hidden ones; none where it does not exist. */
export async function subfolders(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error; // a folder that may not be read is no empty one
  });
  return names.filter((name) => !name.startsWith(".") && isFolder(path.join(folder, name))).sort();
}

/** Bytes of all files in a folder and below, links not followed; 0 where it does not exist. What goes meanwhile counts 0. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const stats = await Promise.all(entries.map((entry) => lstat(path.join(folder, entry)).catch(() => null)));
  return stats.reduce((sum, found) => sum + (found?.isFile() ? found.size : 0), 0);
}
