// The zip of PyTorch 1.6 and later: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder. Entries are stored, not
// compressed, so that a storage is a range of the file.

import type { FileHandle } from "node:fs/promises";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { modelError, UserError } from "../../errors/errors";
import { readRange } from "../../files/positioned-read";
import { PickleError, readPickle } from "./pickle";
import { printable } from "./printable";
import type { StorageBytes, TorchFile } from "./torch";
import { type Storage, torchRules } from "./torch-tensors";

/** A pickle of a large BERT has 60 kB. */
export const LARGEST_PICKLE = 2 ** 24;

/** Storages, and the few files beside them. */
const MOST_ENTRIES = 100_000;

/** Throws modelError (4) for what is no such zip, PickleError for what its pickle asks. */
export async function openTorchZip(file: string, handle: FileHandle): Promise<TorchFile> {
  const damaged = (cause: string, error?: unknown) =>
    modelError(`${file} is damaged or no weights of PyTorch: ${cause}. Fetch or write it again`, error);
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(file, { lazyEntries: true, autoClose: false });
    const entries = await entriesOf(zip, damaged);
    const [name, pickle] = [...entries].find(([path]) => /(^|\/)data\.pkl$/.test(path)) ?? [];
    if (name === undefined || pickle === undefined) throw damaged("its zip holds no data.pkl");
    const folder = name.slice(0, -"data.pkl".length);
    const archive = zip;
    const range = (entry: Entry) => rangeOf(archive, entry, damaged);
    const content = async (entry: Entry) => {
      const { position, bytes } = await range(entry);
      if (bytes > LARGEST_PICKLE) throw damaged(`${printable(entry.fileName)} has ${bytes} bytes`);
      return readRange(handle, position, bytes);
    };
    const order = entries.get(`${folder}byteorder`);
    if (order && new TextDecoder().decode(await content(order)) !== "little") {
      throw modelError(`${file} was written on a big-endian machine, which is not read. Write it again on another`);
    }
    const { value } = readPickle(await content(pickle), 0, torchRules);
    return {
      value,
      async locate({ key }: Storage) {
        const entry = entries.get(`${folder}data/${key}`);
        if (!entry) throw new PickleError(`it holds no storage ${printable(key)}`);
        return range(entry);
      },
      close: async () => archive.close(),
    };
  } catch (error) {
    zip?.close();
    if (error instanceof UserError || error instanceof PickleError) throw error;
    throw damaged((error as Error).message, error);
  }
}

type Damaged = (cause: string, error?: unknown) => UserError;

async function entriesOf(zip: ZipFile, damaged: Damaged): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  if (zip.entryCount > MOST_ENTRIES) throw damaged(`its zip has ${zip.entryCount} entries`);
  for await (const entry of zip.eachEntry()) {
    if (entries.has(entry.fileName)) throw damaged(`it holds ${printable(entry.fileName)} twice`);
    entries.set(entry.fileName, entry);
  }
  return entries;
}

async function rangeOf(zip: ZipFile, entry: Entry, damaged: Damaged): Promise<StorageBytes> {
  const { compressionMethod, compressedSize, uncompressedSize } = entry;
  if (compressionMethod !== 0 || compressedSize !== uncompressedSize) {
    throw damaged(`${printable(entry.fileName)} is compressed, which PyTorch does not do`);
  }
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true }).catch((error) => {
    throw damaged((error as Error).message, error);
  });
  return { position: fileDataStart, bytes: uncompressedSize, crc32: entry.crc32 };
}
