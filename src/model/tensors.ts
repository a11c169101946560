// Tensors in host memory: what files hold, what recipes pass about and what engines take and give.
// Device tensors (tfjs `Tensor`) exist only inside engines and inside the pure functions they run.

export type HostTensor =
  | {
      readonly dtype: "float32";
      readonly shape: readonly number[];
      readonly data: Float32Array;
      /** The same elements where all are 0 or one other number, for engines whose device is far away. */
      readonly bits?: Bits;
    }
  | { readonly dtype: "int32"; readonly shape: readonly number[]; readonly data: Int32Array };

/** Element i is `value` where bit i % 8 of byte floor(i / 8) is set, else 0. */
export interface Bits {
  readonly value: number;
  readonly bytes: () => Promise<Uint8Array>;
}

/** What files of int8 weights hold beside float32. */
export interface Int8Tensor {
  readonly dtype: "int8";
  readonly shape: readonly number[];
  readonly data: Int8Array;
}

/** Host tensors by name. Parameters carry Hugging Face's names, in its layout and orientation. */
export type HostTensors = Record<string, HostTensor>;

export function float32(shape: readonly number[], data: Float32Array): HostTensor & { dtype: "float32" } {
  return { dtype: "float32", shape, data: checkSize(shape, data) };
}

/** A tensor of bits; its floats are made when they are asked for. */
export function bitTensor(shape: readonly number[], bits: Bits, floats: () => Float32Array): HostTensor {
  let made: Float32Array | undefined;
  return {
    dtype: "float32",
    shape,
    bits,
    get data() {
      made ??= checkSize(shape, floats());
      return made;
    },
  };
}

export function int32(shape: readonly number[], data: Int32Array): HostTensor & { dtype: "int32" } {
  return { dtype: "int32", shape, data: checkSize(shape, data) };
}

/** Number of elements of a shape; 1 for a scalar's []. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Tensors of one dtype one after the other along their first axis; the others are equal. */
export function joinRows(parts: readonly HostTensor[]): HostTensor {
  const [first, ...rest] = parts;
  if (!first) throw new Error("no tensor to join");
  if (rest.length === 0) return first;
  const shape = [parts.reduce((rows, part) => rows + (part.shape[0] ?? 0), 0), ...first.shape.slice(1)];
  const data = first.dtype === "int32" ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return data instanceof Int32Array ? int32(shape, data) : float32(shape, data);
}

export const copied = (tensor: HostTensor): HostTensor =>
  tensor.dtype === "int32" ? int32(tensor.shape, tensor.data.slice()) : float32(tensor.shape, tensor.data.slice());

function checkSize<T extends Float32Array | Int32Array>(shape: readonly number[], data: T): T {
  if (sizeOf(shape) !== data.length) {
    throw new Error(`a tensor of shape [${shape}] needs ${sizeOf(shape)} values, got ${data.length}`);
  }
  return data;
}
