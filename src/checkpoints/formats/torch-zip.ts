// The zip of PyTorch 1.6 and later: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder.

import type { FileHandle } from "node:fs/promises";
import { printable } from "../../errors/printable";
import { readRange } from "../../files/positioned-read";
import { contentStart, readZipDirectory, STORED, type ZipEntry, ZipError } from "../../files/zip-directory";
import { LARGEST_PICKLE, PickleError, readPickle } from "./pickle";
import { type Storage, type StorageBytes, type TorchFile, torchRules } from "./torch-tensors";

/** Throws PickleError where it is damaged, and for what its pickle asks. */
export async function openTorchZip(handle: FileHandle): Promise<TorchFile> {
  const entries = await storedEntries(handle);
  const [name, pickle] = [...entries].find(([path]) => /(^|\/)data\.pkl$/.test(path)) ?? [];
  if (name === undefined || pickle === undefined) throw new PickleError("its zip holds no data.pkl");
  const folder = name.slice(0, -"data.pkl".length);
  const order = entries.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(await small(handle, order)) !== "little") {
    throw new PickleError("it was written on a big-endian machine, which is not read");
  }
  const { value } = readPickle(await small(handle, pickle), 0, torchRules);
  return {
    value,
    async locate({ key }: Storage): Promise<StorageBytes> {
      const entry = entries.get(`${folder}data/${key}`);
      if (!entry) throw new PickleError(`it holds no storage ${printable(key)}`);
      return { position: await startOf(handle, entry), bytes: entry.bytes, crc32: entry.crc32 };
    },
  };
}

async function small(handle: FileHandle, entry: ZipEntry): Promise<Uint8Array> {
  if (entry.bytes > LARGEST_PICKLE) throw new PickleError(`${printable(entry.name)} has ${entry.bytes} bytes`);
  return readRange(handle, await startOf(handle, entry), entry.bytes);
}

/** The entries by name: each is a range of the file. */
async function storedEntries(handle: FileHandle): Promise<ReadonlyMap<string, ZipEntry>> {
  const entries = new Map<string, ZipEntry>();
  for (const entry of await readZipDirectory(handle).catch(asPickleError)) {
    const name = printable(entry.name);
    if (entries.has(entry.name)) throw new PickleError(`it holds ${name} twice`);
    if (entry.method !== STORED || entry.bytes !== entry.compressed) {
      throw new PickleError(`${name} is compressed, which PyTorch does not do`);
    }
    entries.set(entry.name, entry);
  }
  return entries;
}

const startOf = (handle: FileHandle, entry: ZipEntry) => contentStart(handle, entry).catch(asPickleError);

function asPickleError(error: unknown): never {
  throw error instanceof ZipError ? new PickleError(error.message) : error;
}
