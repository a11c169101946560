// Extraction of chosen entries of a zip file. Entries never name their own targets (no zip-slip), and the bytes that
// they unpack to are limited before anything is written (no zip bombs: yauzl ends a stream that grows beyond its
// declared size). Contents are compared with their CRCs, which yauzl does not do.

import { createWriteStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import { openPromise, type ZipFile } from "yauzl";
import { modelError, UserError } from "../errors/errors";
import { formatBytes, requireFreeSpace } from "./atomic";
import { makeFolder } from "./folder";
import { storageFailure } from "./storage-failure";

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

/** Opens an archive, gives it to `read` and closes it, whatever happens. */
export async function readArchive<T>(file: string, read: (archive: ZipFile) => Promise<T>, errors: ArchiveErrors) {
  try {
    const archive = await openPromise(file, { lazyEntries: true, autoClose: false });
    try {
      return await read(archive);
    } finally {
      archive.close();
    }
  } catch (error) {
    if (error instanceof UserError || errors.signal?.aborted) throw error;
    const known = storageFailure(error, errors.folder);
    if (known !== error) throw known;
    throw errors.damaged(error as Error);
  }
}

async function extractEntries(archive: ZipFile, zip: string, folder: string, selection: ZipSelection) {
  const targets = new Map<string, Parameters<ZipFile["openReadStream"]>[0]>();
  let bytes = 0;
  for await (const entry of archive.eachEntry()) {
    const target = entry.fileName.endsWith("/") ? null : selection.target(entry.fileName);
    if (target === null) continue;
    if (path.basename(target) !== target || target === ".." || target === ".") {
      throw new Error(`"${target}" is no file name`);
    }
    if (targets.has(target)) throw modelError(`${zip} holds ${target} twice. It is not the zip that is meant`);
    targets.set(target, entry);
    bytes += entry.uncompressedSize;
    if (bytes > selection.maxBytes) {
      throw modelError(
        `${zip} would unpack to more than ${formatBytes(selection.maxBytes)}: it is not the zip that is meant`,
      );
    }
  }
  await requireFreeSpace(folder, bytes, `unpacking ${zip}`);
  await makeFolder(folder);
  for (const [target, entry] of targets) {
    const stream = await archive.openReadStreamPromise(entry);
    const options = selection.signal ? { signal: selection.signal } : {};
    const checked = (source: AsyncIterable<Buffer>) => checkCrc(source, entry.crc32, target);
    await pipeline(stream, checked, createWriteStream(path.join(folder, target), { flush: true }), options);
  }
  return [...targets.keys()];
}

async function* checkCrc(source: AsyncIterable<Buffer>, expected: number, name: string): AsyncIterable<Buffer> {
  let crc = 0;
  for await (const chunk of source) {
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (crc !== expected) throw new Error(`${name} has a wrong CRC`);
}
