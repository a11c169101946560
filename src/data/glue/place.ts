// Finished files into the folder where users and commands look for them: by renaming, so that each appears whole.

import { cp, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../errors/errors";
import { requireFreeSpace, syncFolder, temporaryPath } from "../../files/atomic";
import { makeFolder } from "../../files/folder";

/** Moves a file or folder to a name; another file system gets a copy under a temporary name first. */
export async function moveIntoPlace(from: string, to: string): Promise<void> {
  try {
    await makeFolder(path.dirname(to));
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw inTheWay(error, to);
    await copyIntoPlace(from, to);
    await rm(from, { recursive: true });
  }
  await syncFolder(path.dirname(to));
}

/** The way across file systems. */
export async function copyIntoPlace(from: string, to: string): Promise<void> {
  const temporary = temporaryPath(to);
  let bytes = 0;
  for (const file of await filesUnder(from)) bytes += (await stat(file)).size;
  await requireFreeSpace(path.dirname(to), bytes, `copying ${path.basename(to)}`);
  try {
    await cp(from, temporary, { recursive: true });
    await syncAll(temporary);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw inTheWay(error, to);
  }
}

/** What another program put there meanwhile, or a file where a folder belongs, as one line; other errors as they are. */
function inTheWay(error: unknown, to: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (!["EEXIST", "ENOTEMPTY", "EISDIR"].includes(code ?? "")) return error;
  return failure(
    `${to} cannot be put there: something of that name is in the way (${code}). Move it away and run again`,
    error,
  );
}

async function syncAll(place: string): Promise<void> {
  for (const file of await filesUnder(place)) {
    const handle = await open(file, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

async function filesUnder(place: string): Promise<string[]> {
  if (!(await stat(place)).isDirectory()) return [place];
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name));
}
