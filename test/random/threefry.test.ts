import { describe, expect, test } from "@jest/globals";
import { dropoutBits, dropoutMask, keptValue, normals, permutation } from "../../src/random/draws";
import { Purpose, streamKey, threefry2x32, words } from "../../src/random/threefry";

const block = (high: number, low: number, c0: number, c1: number) => {
  const out = new Uint32Array(2);
  threefry2x32({ high, low }, c0, c1, out, 0);
  return Array.from(out, (word) => word.toString(16).padStart(8, "0"));
};

describe("threefry2x32", () => {
  test("gives the known answers of Random123 for 20 rounds", () => {
    expect(block(0, 0, 0, 0)).toEqual(["6b200159", "99ba4efe"]);
    const ones = 0xffffffff;
    expect(block(ones, ones, ones, ones)).toEqual(["1cb996fc", "bb002be7"]);
    expect(block(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual(["c4923a9c", "483df7a0"]);
  });

  test("word i of a stream does not depend on how many are drawn", () => {
    const key = streamKey(1, Purpose.dropout, 7, 3);
    expect(words(key, 5)).toEqual(words(key, 12).subarray(0, 5));
  });

  test("seed, purpose, step and site each give another stream", () => {
    const keys = [
      streamKey(1, Purpose.dropout, 2, 3),
      streamKey(2, Purpose.dropout, 2, 3),
      streamKey(1, Purpose.shuffle, 2, 3),
      streamKey(1, Purpose.dropout, 3, 3),
      streamKey(1, Purpose.dropout, 2, 4),
      streamKey(2 ** 32 + 1, Purpose.dropout, 2, 3),
    ];
    expect(new Set(keys.map(({ high, low }) => `${high} ${low}`)).size).toBe(keys.length);
  });
});

describe("draws", () => {
  const key = streamKey(5, Purpose.dropout, 1, 1);

  test("a dropout mask drops its rate and keeps the expectation", () => {
    const mask = dropoutMask(key, 200_001, 0.1);
    const dropped = mask.filter((value) => value === 0).length / mask.length;
    // Four standard deviations of a binomial share.
    expect(Math.abs(dropped - 0.1)).toBeLessThan(4 * Math.sqrt((0.1 * 0.9) / mask.length));
    expect(new Set(mask).size).toBe(2);
    expect(mask.find((value) => value > 0)).toBeCloseTo(1 / 0.9, 4);
  });

  test.each([
    [1, 0.1],
    [7, 0.5],
    [8, 0],
    [13, 0.1],
    [16, 0.9],
    [1000, 0.3],
    [16_384 * 3, 0.1],
    [8 * 65_536, 0.1],
    [8 * 65_536 + 1, 0.25],
    [2 * 8 * 65_536 + 8 * 3 + 5, 0.1],
  ])("bits of %i elements are the mask of rate %f", (size, rate) => {
    const [mask, bits] = [dropoutMask(key, size, rate), dropoutBits(key, size, rate)];
    expect(bits).toHaveLength(Math.ceil(size / 8));
    const kept = Math.fround(keptValue(rate));
    const unpacked = Float32Array.from({ length: size }, (_, i) =>
      ((bits[i >> 3] as number) >> (i & 7)) & 1 ? kept : 0,
    );
    expect(Buffer.compare(Buffer.from(unpacked.buffer), Buffer.from(mask.buffer))).toBe(0);
  });

  test("bits are a copy: drawing others leaves them as they are", () => {
    const bits = dropoutBits(key, 4096, 0.5);
    const before = bits.slice();
    expect(dropoutBits(streamKey(6, Purpose.dropout, 1, 1), 4096, 0.5)).not.toEqual(before);
    expect(bits).toEqual(before);
    expect(dropoutBits(key, 0, 0.5)).toHaveLength(0);
  });

  test("normal numbers have their mean, deviation and tails", () => {
    const values = normals(key, 100_000, 0.02);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan(0.02 * 0.02);
    expect(deviation / 0.02).toBeCloseTo(1, 1);
    const beyondTwo = values.filter((value) => Math.abs(value) > 0.04).length / values.length;
    expect(beyondTwo).toBeCloseTo(0.0455, 2);
  });

  test("a permutation holds every row once and moves most", () => {
    const order = permutation(key, 1000);
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(order.filter((row, i) => row === i).length).toBeLessThan(10);
    expect(permutation(key, 0)).toHaveLength(0);
  });
});
