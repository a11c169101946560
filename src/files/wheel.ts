// Wheels: zip files whose RECORD lists a sha256 for every file (PEP 427). Chosen entries are unpacked into a tree, each
// compared with its hash while it is written. Entries cannot leave the folder.

import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { failure } from "../errors/errors";
import { formatBytes, requireFreeSpace } from "./atomic";
import { makeFolder } from "./folder";
import { type Archive, readArchive } from "./zip";
import type { ZipEntry } from "./zip-directory";

export interface WheelSelection {
  /** The path below `folder` that an entry gets, with slashes; null leaves it out. */
  readonly target: (entry: string) => string | null;
  /** Limit on the bytes that the chosen entries unpack to, all together. */
  readonly maxBytes: number;
  /** Whether each file is on the disk when it is done; not worth its time for what is thrown away soon. */
  readonly durable: boolean;
  readonly signal?: AbortSignal;
}

const LARGEST_RECORD = 64e6;
const EXECUTABLE = 0o111;

/**
 * Unpacks the chosen entries and returns their paths below `folder` with their sizes.
 * Throws failure (1) for a damaged wheel, one with a file that RECORD does not vouch for, or a full disk.
 */
export async function unpackWheel(wheel: string, folder: string, selection: WheelSelection) {
  const name = path.basename(wheel);
  return readArchive(wheel, (archive) => unpack(archive, name, folder, selection), {
    folder,
    damaged: (error) => failure(`${name} is damaged (${error.message}). Install again`, error),
    ...(selection.signal ? { signal: selection.signal } : {}),
  });
}

async function unpack(archive: Archive, name: string, folder: string, selection: WheelSelection) {
  const { target, maxBytes, durable, signal } = selection;
  const chosen = new Map<string, ZipEntry>();
  let record: ZipEntry | undefined;
  let bytes = 0;
  for (const entry of archive.entries) {
    if (/^[^/]+\.dist-info\/RECORD$/.test(entry.name)) record = entry;
    const place = entry.name.endsWith("/") ? null : target(entry.name);
    if (place === null) continue;
    if (!isBelow(place)) throw new Error(`"${place}" leaves the folder`);
    chosen.set(place, entry);
    bytes += entry.bytes;
  }
  if (bytes > maxBytes) throw failure(`${name} would unpack to more than ${formatBytes(maxBytes)}: that is not right`);
  if (!record) throw new Error("it has no RECORD");
  const hashes = await readRecord(archive, record);
  await requireFreeSpace(folder, bytes, `unpacking ${name}`);
  const sizes: Record<string, number> = {};
  for (const [place, entry] of chosen) {
    const expected = hashes.get(entry.name);
    if (expected === undefined) throw new Error(`its RECORD does not list ${entry.name}`);
    const file = path.join(folder, ...place.split("/"));
    await makeFolder(path.dirname(file));
    const checked = checkHash(archive.content(entry), expected, entry.name);
    await pipeline(checked, createWriteStream(file, { flush: durable }), signal ? { signal } : {});
    if ((entry.attributes >>> 16) & EXECUTABLE) await chmod(file, 0o755);
    sizes[place] = entry.bytes;
  }
  return sizes;
}

const isBelow = (place: string) =>
  place !== "" &&
  !place.includes("\\") &&
  place.split("/").every((part) => part !== "" && part !== "." && part !== "..");

/** sha256 in base64url by file name. Lines are CSV; a name with a comma or quote is quoted. */
async function readRecord(archive: Archive, entry: ZipEntry): Promise<Map<string, string>> {
  if (entry.bytes > LARGEST_RECORD) throw new Error("its RECORD is too large");
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive.content(entry)) chunks.push(chunk);
  const hashes = new Map<string, string>();
  for (const line of Buffer.concat(chunks).toString("utf8").split(/\r?\n/)) {
    const [, quoted, plain, hash] = /^(?:"((?:[^"]|"")*)"|([^,"]*)),sha256=([\w-]{43}),\d*$/.exec(line) ?? [];
    if (hash !== undefined) hashes.set(quoted?.replaceAll('""', '"') ?? (plain as string), hash);
  }
  return hashes;
}

async function* checkHash(source: AsyncIterable<Uint8Array>, expected: string, name: string) {
  const hash = createHash("sha256");
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("base64url") !== expected) throw new Error(`${name} has another sha256 than its RECORD says`);
}
