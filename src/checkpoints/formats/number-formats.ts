// Number formats of stored tensors, under safetensors' names, to float32 and int32. Files are little-endian, as is every
// platform that Node is built for but s390x, which is not supported.

import { float32, type HostTensor, int32 } from "../../model/tensors";

/** The formats that can be read. F16 and BF16 are exact in float32, F64 is rounded. */
export const bytesPerElement = { F32: 4, F16: 2, BF16: 2, F64: 8, I32: 4, I64: 8, I16: 2, I8: 1, U8: 1 } as const;
export type StoredDtype = keyof typeof bytesPerElement;

export const isStoredDtype = (name: string): name is StoredDtype => Object.hasOwn(bytesPerElement, name);

const decoders: Readonly<Record<StoredDtype, (shape: readonly number[], buffer: ArrayBuffer) => HostTensor | string>> =
  {
    F32: (shape, buffer) => float32(shape, new Float32Array(buffer)),
    F16: (shape, buffer) => float32(shape, float16ToFloat32(new Uint16Array(buffer))),
    BF16: (shape, buffer) => float32(shape, bfloat16ToFloat32(new Uint16Array(buffer))),
    F64: (shape, buffer) => float32(shape, Float32Array.from(new Float64Array(buffer))),
    I32: (shape, buffer) => int32(shape, new Int32Array(buffer)),
    I64: (shape, buffer) => {
      const values = int64ToInt32(new BigInt64Array(buffer));
      return typeof values === "bigint" ? `holds ${values}, which is outside int32's range` : int32(shape, values);
    },
    I16: (shape, buffer) => int32(shape, Int32Array.from(new Int16Array(buffer))),
    I8: (shape, buffer) => int32(shape, Int32Array.from(new Int8Array(buffer))),
    U8: (shape, buffer) => int32(shape, Int32Array.from(new Uint8Array(buffer))),
  };

/** The tensor, or what is wrong with it, to go behind its name in an error. Keeps the buffer. */
export function decodeTensor(dtype: StoredDtype, shape: readonly number[], buffer: ArrayBuffer): HostTensor | string {
  return decoders[dtype](shape, buffer);
}

function float16ToFloat32(halves: Uint16Array): Float32Array {
  const table = halfTable();
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = table[halves[i] as number] as number;
  return out;
}

let cachedHalfTable: Float32Array | undefined;

function halfTable(): Float32Array {
  cachedHalfTable ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
  return cachedHalfTable;
}

/** IEEE 754 half precision. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24; // subnormal
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of a float32. */
function bfloat16ToFloat32(halves: Uint16Array): Float32Array {
  const out = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = (halves[i] as number) << 16;
  return new Float32Array(out.buffer);
}

/** The values, or the first one outside int32's range. */
function int64ToInt32(values: BigInt64Array): Int32Array | bigint {
  const out = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as bigint;
    if (value !== BigInt.asIntN(32, value)) return value;
    out[i] = Number(value);
  }
  return out;
}

/** Float32 numbers to the nearest of a shorter format, ties to even, as float32. */
export function roundTo(dtype: "F16" | "BF16", values: Float32Array): Float32Array {
  const out = Float32Array.from(values);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < out.length; i++) {
    const word = bits[i] as number;
    if (dtype === "BF16") bits[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
    else out[i] = toHalf(out[i] as number, ((word >>> 23) & 0xff) - 127);
  }
  return out;
}

/** Adding and taking away 1.5 x 2^52 leaves a double with no digits behind the point, rounded to even. */
const INTEGERS = 3 * 2 ** 51;

function toHalf(value: number, exponent: number): number {
  const unit = 2 ** (Math.max(exponent, -14) - 10);
  const units = value / unit + INTEGERS - INTEGERS;
  if (units === 0) return value * 0; // of its sign
  return Math.abs(units * unit) > 65504 ? Math.sign(value) * Number.POSITIVE_INFINITY : units * unit;
}
