// Weights as torch.save writes them (pytorch_model.bin): the zip of PyTorch 1.6 and later, and the layout before it. Its
// pickle is read by rules that build tensors and nothing else (pickle.ts, torch-tensors.ts); of the numbers only those of
// wanted tensors are read, each by its own range of the file.

import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { modelError, UserError } from "../../errors/errors";
import { printable } from "../../errors/printable";
import { readRange } from "../../files/positioned-read";
import { type HostTensor, sizeOf } from "../../model/tensors";
import { decodeTensor } from "./number-formats";
import { PickleError, type PickleValue } from "./pickle";
import { requireContent } from "./placeholder";
import { openWeights } from "./safetensors-header";
import { openLegacy } from "./torch-legacy";
import { adviceFor, extentOf, isTensor, type StorageBytes, type TensorView, type TorchFile } from "./torch-tensors";
import { openTorchZip } from "./torch-zip";
import type { WeightFile } from "./weight-file";

/**
 * Opens a state_dict for reading one tensor after the other.
 * Throws modelError (4) naming file, tensor and cause where it is damaged, holds more than weights, or numbers of a type
 * that is not read.
 */
export async function openTorch(file: string): Promise<WeightFile> {
  const handle = await openWeights(file);
  try {
    const archive = await openArchive(handle, file);
    const views = tensorsIn(archive.value, file);
    const budget = new Budget((await handle.stat()).size);
    return {
      path: file,
      dtypes: new Map([...views].map(([name, { storage }]) => [name, storage.dtype ?? storage.type])),
      read: (name) =>
        readTensor(name, views.get(name) as TensorView, archive, handle, file, budget).catch((error) => {
          throw pickleFailure(error, file);
        }),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw pickleFailure(error, file);
  }
}

function pickleFailure(error: unknown, file: string): unknown {
  if (error instanceof UserError || !(error instanceof PickleError)) return error;
  if (error.global === undefined) {
    return modelError(`${file} is damaged or no weights of PyTorch: ${error.message}. Fetch or write it again`, error);
  }
  return modelError(`${file}: ${error.message}, which no weights need. ${adviceFor(error.global)}`, error);
}

async function openArchive(handle: FileHandle, file: string): Promise<TorchFile> {
  const head = await readRange(handle, 0, 512);
  if (head.length === 0) throw modelError(`${file} is empty. Fetch it again`);
  const text = new TextDecoder("latin1").decode(head);
  if (text.startsWith("PK\x03\x04")) return openTorchZip(handle);
  requireContent(text, file);
  if (text.slice(257, 262) === "ustar") {
    throw modelError(`${file} is a tar file of PyTorch 0.1, which is not read. Load and save it with a newer PyTorch`);
  }
  return openLegacy(handle);
}

/** Bytes that are read and kept, by what a file of this size can hold: views of one storage must not multiply it. */
class Budget {
  private elements: number;
  private bytes: number;

  constructor(fileBytes: number) {
    this.elements = fileBytes + 2 ** 20;
    this.bytes = 16 * fileBytes + 2 ** 20;
  }

  /** Whether there is room for another tensor. */
  take(elements: number, bytes: number): boolean {
    this.elements -= elements;
    this.bytes -= bytes;
    return this.elements >= 0 && this.bytes >= 0;
  }
}

async function readTensor(
  name: string,
  view: TensorView,
  archive: TorchFile,
  handle: FileHandle,
  file: string,
  budget: Budget,
): Promise<HostTensor> {
  const fail = (cause: string) => modelError(`${file}: tensor ${printable(name)} ${cause}`);
  const { dtype, type, bytesPerElement } = view.storage;
  if (dtype === null) throw fail(`holds numbers of ${type}, which are not read. Convert it to float32`);
  const range = rangeOf(view, await archive.locate(view.storage), fail);
  if (!budget.take(sizeOf(view.shape), range.bytes)) {
    throw fail(`[${view.shape}] repeats the numbers of its storage more often than weights do`);
  }
  const read = await readRange(handle, range.position, range.bytes);
  if (read.length < range.bytes) throw fail("is cut off: the file ends before it");
  if (range.crc32 !== null && crc32(read) !== range.crc32) throw fail("is damaged: its CRC is wrong. Fetch it again");
  const bytes = isContiguous(view) ? read.buffer : gathered(view, read.buffer, bytesPerElement);
  const tensor = decodeTensor(dtype, view.shape, bytes);
  if (typeof tensor === "string") throw fail(tensor);
  return tensor;
}

/** The tensors of a state_dict by name; what else it holds (an epoch, a metadata) is no weight. */
function tensorsIn(value: PickleValue, file: string): ReadonlyMap<string, TensorView> {
  if (!(value instanceof Map)) {
    throw modelError(
      `${file} holds no dictionary of tensors. Save the weights alone: torch.save(model.state_dict(), FILE)`,
    );
  }
  const named = new Map<string, TensorView>();
  for (const [name, member] of value) if (typeof name === "string" && isTensor(member)) named.set(name, member);
  if (named.size > 0) return named;
  const inner = [...value].find(([, member]) => member instanceof Map && [...member.values()].some(isTensor));
  const where = inner ? `, they lie under ${printable(String(inner[0]))}` : "";
  throw modelError(
    `${file} holds no tensors by name${where}. Save the weights alone: torch.save(model.state_dict(), FILE)`,
  );
}

/** The bytes of a storage from a view's first element to its last; the CRC where these are all. */
function rangeOf(view: TensorView, located: StorageBytes, fail: (cause: string) => UserError): StorageBytes {
  const { start, bytesPerElement, key } = view.storage;
  const position = (start + view.offset) * bytesPerElement;
  const bytes = extentOf(view) * bytesPerElement;
  if (position + bytes > located.bytes) {
    throw fail(`needs ${position + bytes} bytes of storage ${printable(key)}, which has ${located.bytes}`);
  }
  return { position: located.position + position, bytes, crc32: bytes === located.bytes ? located.crc32 : null };
}

function isContiguous({ shape, strides }: TensorView): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return sizeOf(shape) === 0;
    expected *= shape[axis] as number;
  }
  return true;
}

/** The elements of a view that lie apart or in another order, such as a transposed matrix. */
function gathered({ shape, strides }: TensorView, extent: ArrayBuffer, width: number): ArrayBuffer {
  const count = sizeOf(shape);
  const out = new ArrayBuffer(count * width);
  const [from, to] = elementArrays(width, extent, out);
  const index = shape.map(() => 0);
  let position = 0;
  for (let i = 0; i < count; i++) {
    to[i] = from[position] as never;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      position += strides[axis] as number;
      if (next < (shape[axis] as number)) {
        index[axis] = next;
        break;
      }
      index[axis] = 0;
      position -= next * (strides[axis] as number);
    }
  }
  return out;
}

type Elements = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

function elementArrays(width: number, ...buffers: [ArrayBuffer, ArrayBuffer]): [Elements, Elements] {
  const Kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[width] ?? Uint8Array;
  return [new Kind(buffers[0]), new Kind(buffers[1])];
}
