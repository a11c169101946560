// What is drawn from the generator: dropout masks, normal weights and permutations.

import { type Key, words } from "./threefry";

/**
 * A mask of 0 (dropped) and 1 / (1 - rate).
 * Element i uses 16 bits of the stream, so the rate that is realised is a multiple of 2^-16; four masks a block
 * keep masks cheap beside the layer that they belong to.
 */
export function dropoutMask(key: Key, size: number, rate: number): Float32Array {
  const bits = words(key, (size + 1) >>> 1);
  const mask = new Float32Array(size);
  const threshold = Math.round(rate * 65536);
  const keep = 65536 / (65536 - threshold);
  const pairs = size >>> 1;
  for (let i = 0; i < pairs; i++) {
    const word = bits[i] as number;
    mask[2 * i] = (word & 0xffff) >= threshold ? keep : 0;
    mask[2 * i + 1] = word >>> 16 >= threshold ? keep : 0;
  }
  if (size & 1) mask[size - 1] = ((bits[pairs] as number) & 0xffff) >= threshold ? keep : 0;
  return mask;
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
