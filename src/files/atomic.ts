// Files that appear complete or not at all: written beside the target, synced, renamed over it, folder synced.
// A process that dies in between leaves a temporary file, which isTemporaryName recognises; nothing reads it.

import { randomBytes } from "node:crypto";
import { existsSync, type StatsFs } from "node:fs";
import { type FileHandle, open, rename, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { failure } from "../errors/errors";
import { isRunning } from "./process-start";
import { storageFailure } from "./storage-failure";

/** `.model.safetensors.4711-0a1b2c3d.tmp`: hidden, beside its target, with the writer's process id. */
const temporaryName = /^\..+\.(\d+)-[0-9a-f]{8}\.tmp$/;

/** Whether a file name is that of a temporary file, left over unless its writer still runs. */
export const isTemporaryName = (name: string) => temporaryName.test(name);

/** The id of the process that wrote a temporary file; null for other names. */
export function temporaryOwner(name: string): number | null {
  const pid = temporaryName.exec(name)?.[1];
  return pid === undefined ? null : Number(pid);
}

/** Whether a name is that of a temporary file or folder whose writer no longer runs. */
export function isLeftover(name: string): boolean {
  const owner = temporaryOwner(name);
  return owner !== null && !isRunning(owner);
}

/** A path beside `target` that no other process or call uses. */
export function temporaryPath(target: string): string {
  return path.join(
    path.dirname(target),
    `.${path.basename(target)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`,
  );
}

/** A file that lies whole beside its target, and is not there yet under the target's name. */
export interface StagedFile {
  /** Where its bytes lie until then. */
  readonly path: string;
  /** Renames it over the target. */
  commit(): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/** All at once, or as it is made. */
type Content = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<string | Uint8Array>;

/**
 * Writes a file whole: readers see the old content or the new, also after a power cut. The folder must exist.
 * Throws failure (1) naming the path where the disk is full or access is denied; no temporary file stays behind.
 */
export async function writeFileAtomic(target: string, content: Content) {
  await (await stageFile(target, content)).commit();
}

/** The first half of {@link writeFileAtomic}, for a file that is looked at, or waits for another, before it counts. */
export async function stageFile(target: string, content: Content): Promise<StagedFile> {
  const temporary = temporaryPath(target);
  const discard = () => rm(temporary, { force: true }).catch(() => {}); // the first error is the one to show
  const cleaning = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      await discard();
      throw storageFailure(error, target);
    }
  };
  await cleaning(async () => {
    const handle = await open(temporary, "wx");
    try {
      const chunks = typeof content === "string" || ArrayBuffer.isView(content) ? [content] : content;
      for await (const chunk of chunks) await handle.writeFile(chunk); // each goes on where the last one ended
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
  const commit = () =>
    cleaning(async () => {
      await rename(temporary, target);
      await syncFolder(path.dirname(target));
    });
  return { path: temporary, commit, discard };
}

/** Renames a folder that was made beside its place into it; one that was there goes. */
export async function replaceFolder(made: string, target: string): Promise<void> {
  const old = existsSync(target) ? temporaryPath(target) : null;
  if (old) await rename(target, old);
  await rename(made, target);
  await syncFolder(path.dirname(target));
  if (old) await rm(old, { recursive: true, force: true });
}

/** Makes renames in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there; NTFS journals renames
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch (error) {
    // Some network file systems refuse fsync on folders; the rename itself has happened.
    if (!["EINVAL", "ENOTSUP", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle?.close();
  }
}

/** Appends one line, in one write. Not synced: a log line may be lost with the power, never with the process. */
export async function appendLine(target: string, line: string): Promise<void> {
  try {
    const handle = await open(target, "a");
    try {
      await handle.writeFile(`${line}\n`);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storageFailure(error, target);
  }
}

/** Throws failure (1) unless the disk of `folder` (or of its nearest existing parent) has `bytes` free. */
export async function requireFreeSpace(folder: string, bytes: number, purpose: string): Promise<void> {
  const free = await freeBytes(folder);
  if (free === null || free >= bytes) return;
  throw failure(
    `the disk of ${folder} has ${formatBytes(free)} free, ${purpose} needs ${formatBytes(bytes)}. Free some space or give another folder`,
  );
}

/** What the disk of `folder` (or of its nearest existing parent) has free; null where its file system does not say. */
export async function freeBytes(folder: string): Promise<number | null> {
  const { bavail, blocks, bsize } = await statfsOfNearest(path.resolve(folder));
  return blocks === 0 ? null : bavail * bsize; // some virtual file systems do not say
}

async function statfsOfNearest(folder: string): Promise<StatsFs> {
  try {
    return await statfs(folder);
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === folder) {
      throw storageFailure(error, folder, "cannot read");
    }
    return statfsOfNearest(parent);
  }
}

/** 1536 as "1.5 kB"; powers of 1000, as disks are sold and df -H counts. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
