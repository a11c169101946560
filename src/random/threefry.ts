// The one source of random numbers: Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"; JAX's generator too). Every number is a pure function of (seed, purpose, step, site, element),
// so nothing about generators is ever saved, and a resumed run draws what an undisturbed one would.

/** A 64-bit key as two 32-bit words. */
export interface Key {
  readonly high: number;
  readonly low: number;
}

/** What numbers are drawn for. The values are part of the format of runs: never renumber. */
export const Purpose = { initialisation: 1, shuffle: 2, dropout: 3, transfer: 4, replacing: 5 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const PARITY = 0x1bd11bda;

/** Encrypts the counter (c0, c1) under the key and writes two 32-bit words to out[at], out[at + 1]. */
// biome-ignore format: one round a line
export function threefry2x32(key: Key, c0: number, c1: number, out: Uint32Array, at: number): void {
  const k0 = key.high | 0;
  const k1 = key.low | 0;
  const k2 = PARITY ^ k0 ^ k1;
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  // Five groups of four rounds; rotations from the paper's Table 4, unrolled because a loop costs half the speed.
  x = (x + y) | 0; y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0; y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0; y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0; y = ((y << 6) | (y >>> 26)) ^ x;
  x = (x + k1) | 0; y = (y + k2 + 1) | 0;
  x = (x + y) | 0; y = ((y << 17) | (y >>> 15)) ^ x;
  x = (x + y) | 0; y = ((y << 29) | (y >>> 3)) ^ x;
  x = (x + y) | 0; y = ((y << 16) | (y >>> 16)) ^ x;
  x = (x + y) | 0; y = ((y << 24) | (y >>> 8)) ^ x;
  x = (x + k2) | 0; y = (y + k0 + 2) | 0;
  x = (x + y) | 0; y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0; y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0; y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0; y = ((y << 6) | (y >>> 26)) ^ x;
  x = (x + k0) | 0; y = (y + k1 + 3) | 0;
  x = (x + y) | 0; y = ((y << 17) | (y >>> 15)) ^ x;
  x = (x + y) | 0; y = ((y << 29) | (y >>> 3)) ^ x;
  x = (x + y) | 0; y = ((y << 16) | (y >>> 16)) ^ x;
  x = (x + y) | 0; y = ((y << 24) | (y >>> 8)) ^ x;
  x = (x + k1) | 0; y = (y + k2 + 4) | 0;
  x = (x + y) | 0; y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0; y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0; y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0; y = ((y << 6) | (y >>> 26)) ^ x;
  out[at] = (x + k2) | 0;
  out[at + 1] = (y + k0 + 5) | 0;
}

/** The key of a seed; seeds up to 2^53 are told apart. */
export function seedKey(seed: number): Key {
  return { high: Math.floor(seed / 2 ** 32) >>> 0, low: seed >>> 0 };
}

/** A new key from a key and a number, as independent as the cipher is good. */
export function foldIn(key: Key, value: number): Key {
  const words = new Uint32Array(2);
  threefry2x32(key, Math.floor(value / 2 ** 32) >>> 0, value >>> 0, words, 0);
  return { high: words[0] as number, low: words[1] as number };
}

/** The key of a stream of numbers. `step` and `site` are whatever tells streams of one purpose apart. */
export function streamKey(seed: number, purpose: Purpose, step: number, site: number): Key {
  return foldIn(foldIn(foldIn(seedKey(seed), purpose), step), site);
}

/** The first `count` 32-bit words of a stream: word i is half of block i >> 1. */
export function words(key: Key, count: number): Uint32Array {
  const blocks = new Uint32Array(count + (count & 1));
  for (let at = 0; at < count; at += 2) threefry2x32(key, 0, at >>> 1, blocks, at);
  return blocks.subarray(0, count);
}
