// The folder that an export makes: it appears complete and checked, or not at all.

import { existsSync, readdirSync, statSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { usageError } from "../errors/errors";
import { isLeftover, replaceFolder, requireFreeSpace, temporaryPath, writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { storageFailure } from "../files/storage-failure";

export interface Target {
  readonly out: string;
  /** Replaces an export of the same format that is there. */
  readonly force: boolean;
}

/** Throws usageError (2) where something lies there that the export may not replace. */
export function requireRoom(
  { out, force }: Target,
  format: { readonly title: string; isExport(folder: string): boolean },
): void {
  if (!existsSync(out) || isEmptyFolder(out)) return;
  const { title } = format;
  if (!statSync(out).isDirectory() || !format.isExport(out)) {
    const kind = title.replace(/^an? /, "");
    throw usageError(`--out ${out} is there already, and is no ${kind}. Name a folder that does not exist`);
  }
  if (!force) throw usageError(`--out ${out} holds ${title} already. Name another folder, or give --force`);
}

const isEmptyFolder = (folder: string) => statSync(folder).isDirectory() && readdirSync(folder).length === 0;

/**
 * Runs `write` on a folder beside the target, and renames that to the target when it is done. Whatever is thrown, what
 * was at the target is as it was, and nothing else is left.
 * @param bytes that the disk must have room for
 */
export async function stageFolder<T>(out: string, bytes: number, write: (folder: string) => Promise<T>): Promise<T> {
  const target = path.resolve(out);
  const temporary = temporaryPath(target);
  try {
    await makeFolder(path.dirname(target));
    await removeLeftovers(target);
    await requireFreeSpace(path.dirname(target), bytes, out);
    await makeFolder(temporary);
    const result = await write(temporary);
    await replaceFolder(temporary, target);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw storageFailure(error, out);
  }
}

/** What killed exports into the same place had begun. */
async function removeLeftovers(target: string): Promise<void> {
  const parent = path.dirname(target);
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(`.${path.basename(target)}.`) || !isLeftover(name)) continue;
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

/** Of all files under a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(path.join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

/** Contents by their path under a folder. */
export type Files = Readonly<Record<string, string | Uint8Array | readonly Uint8Array[]>>;

/** Folders between are made. */
export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [relative, content] of Object.entries(files)) {
    const file = path.join(folder, relative);
    await makeFolder(path.dirname(file));
    await writeFileAtomic(file, content);
  }
}
