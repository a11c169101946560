// Extraction of chosen entries of a zip file. Entries never name their own targets (no zip-slip), and the bytes that
// they unpack to are limited before anything is written (no zip bombs: none unpacks to more than it declares). Contents
// are compared with their CRCs.

import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import { modelError, UserError } from "../errors/errors";
import { printable } from "../errors/printable";
import { formatBytes, requireFreeSpace } from "./atomic";
import { makeFolder } from "./folder";
import { storageFailure } from "./storage-failure";
import { contentOf, readZipDirectory, type ZipEntry, ZipError } from "./zip-directory";

export interface ZipSelection {
  /** The file name that an entry gets in the target folder; null leaves it out. */
  readonly target: (entry: string) => string | null;
  /** Limit on the bytes that the chosen entries unpack to, all together. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Extracts the chosen entries and returns their file names in `folder`.
 * Throws modelError (4) for a damaged, encrypted or oversized zip, failure (1) where the disk is full.
 */
export async function extractZip(zip: string, folder: string, selection: ZipSelection): Promise<string[]> {
  return readArchive(zip, (archive) => extractEntries(archive, zip, folder, selection), {
    folder,
    damaged: (error) => modelError(`${zip} is damaged or no zip file (${error.message}). Fetch it again`, error),
    ...(selection.signal ? { signal: selection.signal } : {}),
  });
}

/** What the errors of reading an archive become. */
interface ArchiveErrors {
  /** What is written to: failures of its disk name it. */
  readonly folder: string;
  /** The error of an archive that cannot be read, from what went wrong. */
  readonly damaged: (error: Error) => UserError;
  /** After its abort errors are left as they are. */
  readonly signal?: AbortSignal;
}

/** An open zip. */
export interface Archive {
  readonly entries: readonly ZipEntry[];
  /** An entry's content in pieces. */
  content(entry: ZipEntry): AsyncIterable<Uint8Array>;
}

/** Opens an archive, gives it to `read` and closes it, whatever happens. */
export async function readArchive<T>(file: string, read: (archive: Archive) => Promise<T>, errors: ArchiveErrors) {
  try {
    const handle = await open(file);
    try {
      const entries = await readZipDirectory(handle);
      for (const { name } of entries) requireBelow(name);
      return await read({ entries, content: (entry) => contentOf(handle, entry) });
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof UserError || errors.signal?.aborted) throw error;
    const known = storageFailure(error, errors.folder);
    if (known !== error) throw known;
    throw errors.damaged(error as Error);
  }
}

/** No entry lies outside of the folder that a zip is unpacked to, whoever unpacks it. */
function requireBelow(name: string): void {
  if (/^([\\/]|[a-z]:)/i.test(name) || name.split(/[\\/]/).includes("..")) {
    throw new ZipError(`its entry ${printable(name)} leaves the folder`);
  }
}

async function extractEntries(archive: Archive, zip: string, folder: string, selection: ZipSelection) {
  const targets = new Map<string, ZipEntry>();
  let bytes = 0;
  for (const entry of archive.entries) {
    const target = entry.name.endsWith("/") ? null : selection.target(entry.name);
    if (target === null) continue;
    if (path.basename(target) !== target || target === ".." || target === ".") {
      throw new ZipError(`"${target}" is no file name`);
    }
    if (targets.has(target)) throw modelError(`${zip} holds ${target} twice. It is not the zip that is meant`);
    targets.set(target, entry);
    bytes += entry.bytes;
    if (bytes > selection.maxBytes) {
      throw modelError(
        `${zip} would unpack to more than ${formatBytes(selection.maxBytes)}: it is not the zip that is meant`,
      );
    }
  }
  await requireFreeSpace(folder, bytes, `unpacking ${zip}`);
  await makeFolder(folder);
  for (const [target, entry] of targets) {
    const options = selection.signal ? { signal: selection.signal } : {};
    const checked = checkCrc(archive.content(entry), entry.crc32, target);
    await pipeline(checked, createWriteStream(path.join(folder, target), { flush: true }), options);
  }
  return [...targets.keys()];
}

async function* checkCrc(source: AsyncIterable<Uint8Array>, expected: number, name: string) {
  let crc = 0;
  for await (const chunk of source) {
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (crc !== expected) throw new Error(`${name} has a wrong CRC`);
}
