// The layout before PyTorch 1.6 (torch/serialization.py, _legacy_save): pickles of a magic number, a protocol, the
// machine's number formats, the value and the storages' keys; then for each key its number of elements and the elements.

import type { FileHandle } from "node:fs/promises";
import { printable } from "../../errors/printable";
import { readRange } from "../../files/positioned-read";
import { LARGEST_PICKLE, PickleError, type PickleRules, type PickleValue, readPickle } from "./pickle";
import { type Storage, type StorageBytes, type TorchFile, torchRules } from "./torch-tensors";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** Throws PickleError for what is no such file, and for what its pickles ask. */
export async function openLegacy(handle: FileHandle): Promise<TorchFile> {
  const head = await readRange(handle, 0, LARGEST_PICKLE);
  const storages = new Map<string, Storage>();
  const { pickles, end } = readPickles(head, storages);
  const [, , machine, value, keys] = pickles;
  if (machine instanceof Map && machine.get("little_endian") === false) {
    throw new PickleError("it was written on a big-endian machine, which is not read");
  }
  const located = await locateAll(handle, end, keys as PickleValue, storages);
  return {
    value: value as PickleValue,
    async locate({ key }) {
      const found = located.get(key);
      if (!found) throw new PickleError(`it holds no storage ${printable(key)}`);
      return found;
    },
  };
}

/** The five pickles, taking note of the storages that they refer to. */
function readPickles(head: Uint8Array, storages: Map<string, Storage>): { pickles: PickleValue[]; end: number } {
  const rules: PickleRules = {
    ...torchRules,
    persistent(id) {
      const storage = torchRules.persistent(id) as Storage;
      storages.set(storage.key, storage);
      return storage;
    },
  };
  const pickles: PickleValue[] = [];
  let end = 0;
  for (let i = 0; i < 5; i++) {
    const read = readPickle(head, end, rules);
    if (i === 0 && read.value !== MAGIC) throw new PickleError("it does not begin as PyTorch's files do");
    if (i === 1 && read.value !== PROTOCOL) throw new PickleError("its layout is of no version that is known");
    pickles.push(read.value);
    end = read.end;
  }
  return { pickles, end };
}

/** Where each storage's elements lie, one after the other in the order of the keys. */
async function locateAll(
  handle: FileHandle,
  start: number,
  keys: PickleValue,
  storages: ReadonlyMap<string, Storage>,
): Promise<Map<string, StorageBytes>> {
  if (!Array.isArray(keys)) throw new PickleError("it has no list of its storages");
  const { size } = await handle.stat();
  const located = new Map<string, StorageBytes>();
  let position = start;
  for (const key of keys) {
    if (typeof key !== "string" || located.has(key))
      throw new PickleError("its list of storages names none, or one twice");
    const storage = storages.get(key);
    if (!storage) throw new PickleError(`it lists the storage ${printable(key)}, which no tensor uses`);
    const count = await readRange(handle, position, 8);
    if (count.length < 8) throw new PickleError(`it is cut off before the storage ${printable(key)}`);
    const elements = Number(new DataView(count.buffer).getBigInt64(0, true));
    const bytes = elements * storage.bytesPerElement;
    if (!(elements >= 0 && position + 8 + bytes <= size)) {
      throw new PickleError(`its storage ${printable(key)} of ${elements} elements reaches over the file's end`);
    }
    located.set(key, { position: position + 8, bytes, crc32: null });
    position += 8 + bytes;
  }
  return located;
}
