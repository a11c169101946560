// What a pickle of PyTorch's may ask for: storages of numbers, tensors as views of them, and the ordered dictionary that a
// state_dict is. Tensors are described here, not read: torch.ts fetches the bytes of those that are wanted.

import { printable } from "../../errors/printable";
import { isCount } from "../../files/json";
import { sizeOf } from "../../model/tensors";
import type { StoredDtype } from "./number-formats";
import { PickleError, type PickleFunction, type PickleObject, type PickleRules, type PickleValue } from "./pickle";

/** Numbers that lie in the file under a key. */
export interface Storage extends PickleObject {
  readonly kind: "storage";
  readonly key: string;
  /** Null for numbers that cannot be read, which matter only where a tensor of them is wanted. */
  readonly dtype: StoredDtype | null;
  /** PyTorch's name of their type, for errors. */
  readonly type: string;
  readonly bytesPerElement: number;
  /** Of the storage itself, and where a view of it begins (legacy files have views of storages). */
  readonly elements: number;
  readonly start: number;
}

/** A view of a storage; sizes, strides and offset count elements. */
export interface TensorView extends PickleObject {
  readonly kind: "tensor";
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A file that lies open: the value that was saved, and where the numbers of a storage lie. */
export interface TorchFile {
  readonly value: PickleValue;
  readonly locate: (storage: Storage) => Promise<StorageBytes>;
}

export interface StorageBytes {
  readonly position: number;
  readonly bytes: number;
  /** CRC-32 of all of them; null where the file has none. */
  readonly crc32: number | null;
}

interface StorageType extends PickleObject {
  readonly kind: "storage type";
  readonly type: string;
}

type Format = readonly [bytes: number, dtype: StoredDtype | null];

const storageTypes: Readonly<Record<string, Format>> = {
  "torch.FloatStorage": [4, "F32"],
  "torch.HalfStorage": [2, "F16"],
  "torch.BFloat16Storage": [2, "BF16"],
  "torch.DoubleStorage": [8, "F64"],
  "torch.LongStorage": [8, "I64"],
  "torch.IntStorage": [4, "I32"],
  "torch.ShortStorage": [2, "I16"],
  "torch.CharStorage": [1, "I8"],
  "torch.ByteStorage": [1, "U8"],
  "torch.BoolStorage": [1, null],
  "torch.ComplexFloatStorage": [8, null],
  "torch.ComplexDoubleStorage": [16, null],
};

/** More dimensions than any tensor of PyTorch's. */
const MOST_DIMENSIONS = 64;

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MOST_DIMENSIONS && value.every(isCount);
const isKind = <T extends PickleObject>(value: PickleValue | undefined, kind: T["kind"]): value is T =>
  (value as { kind?: unknown } | null | undefined)?.kind === kind;

export const isTensor = (value: PickleValue | undefined): value is TensorView => isKind<TensorView>(value, "tensor");

/** Elements from the first of a view to its last, both included; 0 for a tensor of none. */
export function extentOf({ shape, strides }: Pick<TensorView, "shape" | "strides">): number {
  if (sizeOf(shape) === 0) return 0;
  return shape.reduce((extent, size, axis) => extent + (size - 1) * (strides[axis] as number), 1);
}

/** torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), and the older one of four. */
const rebuildTensor: PickleFunction = ([storage, offset, shape, strides]) => {
  if (!isKind<Storage>(storage, "storage")) throw new PickleError("it builds a tensor of what is no storage");
  if (!isCount(offset) || !isCounts(shape) || !isCounts(strides) || shape.length !== strides.length) {
    throw new PickleError(`it builds a tensor of ${storage.type} whose offset, sizes and strides are none`);
  }
  const view: TensorView = { kind: "tensor", storage, offset, shape: [...shape], strides: [...strides] };
  const end = offset + extentOf(view);
  if (!(end <= storage.elements)) {
    throw new PickleError(
      `it builds a tensor [${shape}] with strides [${strides}] that ends at element ${end} of a storage of ${storage.elements}`,
    );
  }
  return view;
};

const rebuildParameter: PickleFunction = ([tensor]) => {
  if (!isTensor(tensor)) throw new PickleError("it makes a parameter of what is no tensor");
  return tensor;
};

const orderedDictionary: PickleFunction = (args) => {
  if (args.length > 0) throw new PickleError("it fills an ordered dictionary in a way that PyTorch does not");
  return new Map();
};

const size: PickleFunction = ([counts]) => {
  if (!isCounts(counts)) throw new PickleError("it makes a torch.Size of what are no sizes");
  return counts;
};

const functions: Readonly<Record<string, PickleFunction>> = {
  "collections.OrderedDict": orderedDictionary,
  "torch.Size": size,
  "torch._utils._rebuild_tensor": rebuildTensor,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": rebuildParameter,
};

/** The rules for the pickle of a state_dict. */
export const torchRules: PickleRules = {
  global(name) {
    if (Object.hasOwn(functions, name)) return functions[name];
    return Object.hasOwn(storageTypes, name) ? ({ kind: "storage type", type: name } as StorageType) : undefined;
  },
  persistent: storageOf,
};

/** ("storage", type, key, device, elements), in legacy files with a view behind it: (key, start, elements) or None. */
function storageOf(id: PickleValue): Storage {
  const [what, type, key, , elements, view] = Array.isArray(id) ? id : [];
  if (
    what !== "storage" ||
    !isKind<StorageType>(type, "storage type") ||
    typeof key !== "string" ||
    !isCount(elements)
  ) {
    throw new PickleError("it refers to what is no storage");
  }
  const [bytes, dtype] = storageTypes[type.type] as Format;
  const whole = { kind: "storage", key, dtype, type: type.type, bytesPerElement: bytes, elements, start: 0 } as const;
  if (view === undefined || view === null) return whole;
  const [, start, length] = Array.isArray(view) ? view : [];
  if (!isCount(start) || !isCount(length) || start + length > elements) {
    throw new PickleError(`it refers to a view of the storage ${printable(key)} that does not lie in it`);
  }
  return { ...whole, elements: length, start };
}

/** What to do about a global that is refused, where it is known what stands behind it. */
export function adviceFor(global: string): string {
  if (/sparse|layout/i.test(global)) return "It holds a sparse tensor: save it dense (tensor.to_dense())";
  if (/qtensor|per_tensor|per_channel|Q[A-Z]\w*Storage|quantiz/i.test(global)) {
    return "It holds a quantised tensor: save the weights dequantised (tensor.dequantize())";
  }
  if (/_rebuild_tensor_v3|UntypedStorage/.test(global)) {
    return "It holds numbers of a type without a storage class: save the weights as float32";
  }
  return "Nothing of it was run. Save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors";
}
