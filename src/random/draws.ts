// What is drawn from the generator: dropout masks, normal weights and permutations.

import { wasmModule } from "./dropout.gen";
import { type Key, words } from "./threefry";

interface MaskKernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Writes masks of whole blocks to the memory's beginning; see dropout.wat. */
  mask(high: number, low: number, block: number, blocks: number, threshold: number, keep: number): void;
  /** The same masks, a bit an element. */
  bits(high: number, low: number, block: number, blocks: number, threshold: number): void;
}

/** Floats that the kernel makes at a time: 64 KiB, which stays in the cache while it is copied out. */
const CHUNK = 16_384;
const BLOCK_FLOATS = 4;
/** Blocks that the kernel makes at once. */
const VECTOR = 4;
/** Elements whose bits it makes at a time: they fill its memory. */
const BITS_CHUNK = 8 * 65_536;
let loadedKernel: MaskKernel | undefined;

function maskKernel(): MaskKernel {
  loadedKernel ??= new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(wasmModule, "base64")))
    .exports as unknown as MaskKernel;
  return loadedKernel;
}

const thresholdOf = (rate: number) => Math.round(rate * 65536);

/** What a mask of a rate has where nothing is dropped. */
export const keptValue = (rate: number): number => 65536 / (65536 - thresholdOf(rate));

/** Blocks of `elements`, in whole vectors. */
const blocksOf = (elements: number) => Math.ceil(elements / (BLOCK_FLOATS * VECTOR)) * VECTOR;

/**
 * A mask of 0 (dropped) and 1 / (1 - rate), rate below 1.
 * Element i uses 16 bits of the stream, so the rate that is realised is a multiple of 2^-16; four masks a block
 * keep masks cheap beside the layer that they belong to. The SIMD kernel draws what {@link words} would.
 */
export function dropoutMask(key: Key, size: number, rate: number): Float32Array {
  const kernel = maskKernel();
  const mask = new Float32Array(size);
  const chunk = new Float32Array(kernel.memory.buffer);
  for (let at = 0; at < size; at += CHUNK) {
    const floats = Math.min(CHUNK, size - at);
    kernel.mask(key.high, key.low, at / BLOCK_FLOATS, blocksOf(floats), thresholdOf(rate), keptValue(rate));
    mask.set(floats === CHUNK ? chunk : chunk.subarray(0, floats), at);
  }
  return mask;
}

/** Elements of a mask's bits begin at a multiple of this. */
export const BITS_STEP = BLOCK_FLOATS * VECTOR;

/**
 * The same mask as bits: element i is kept where bit i % 8 of byte floor(i / 8) is set.
 * @param from the first element, a multiple of {@link BITS_STEP}; `size` elements follow
 */
export function dropoutBits(key: Key, size: number, rate: number, from = 0): Uint8Array<ArrayBuffer> {
  if (from % BITS_STEP !== 0) throw new Error(`bits from element ${from} on, which is no multiple of ${BITS_STEP}`);
  const kernel = maskKernel();
  const bits = new Uint8Array(Math.ceil(size / 8));
  const chunk = new Uint8Array(kernel.memory.buffer);
  for (let at = 0; at < size; at += BITS_CHUNK) {
    const elements = Math.min(BITS_CHUNK, size - at);
    kernel.bits(key.high, key.low, (from + at) / BLOCK_FLOATS, blocksOf(elements), thresholdOf(rate));
    bits.set(chunk.subarray(0, Math.ceil(elements / 8)), at / 8);
  }
  return bits;
}

/** Normal numbers of the given standard deviation (Box and Muller 1958); element i uses words 2i and 2i + 1. */
export function normals(key: Key, size: number, deviation: number): Float32Array {
  const bits = words(key, 2 * size);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const u = ((bits[2 * i] as number) + 1) / 2 ** 32; // in (0, 1]: its logarithm is finite
    const angle = ((bits[2 * i + 1] as number) / 2 ** 32) * 2 * Math.PI;
    values[i] = deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(angle);
  }
  return values;
}

/** A permutation of 0 to size - 1 (Fisher and Yates); its bias is below size / 2^32. */
export function permutation(key: Key, size: number): Int32Array {
  const bits = words(key, size);
  const order = Int32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(((bits[i] as number) / 2 ** 32) * (i + 1));
    const swap = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swap;
  }
  return order;
}
