// Codes of weights: what they stand for, the 7 bit ones, and float16 against its definition.

import { expect, test } from "@jest/globals";
import { decodeTensor } from "../../src/checkpoints/formats/number-formats";
import { columnFactors, quantiseMatrix, quantiseTable, sevenBits, toFloat16 } from "../../src/model/int8";
import { float32 } from "../../src/model/tensors";
import { normals } from "../../src/random/draws";
import { seedKey } from "../../src/random/threefry";

const [OUT, IN] = [5, 33];
const weight = normals(seedKey(1), OUT * IN, 1).map((value, i) => value * 10 ** Math.floor(i / IN));

test("a matrix is turned, and each output's largest value is the largest code", () => {
  const { codes, scales } = quantiseMatrix(weight, [OUT, IN]);
  for (let out = 0; out < OUT; out++) {
    const channel = Array.from({ length: IN }, (_, i) => codes[i * OUT + out] as number);
    expect(Math.max(...channel.map(Math.abs))).toBe(127);
    for (const [i, code] of channel.entries()) {
      const error = Math.abs(code * (scales[out] as number) - (weight[out * IN + i] as number));
      expect(error).toBeLessThanOrEqual(0.5001 * (scales[out] as number));
    }
  }
});

test("a channel of zeros, a row of zeros and one value alone have scales", () => {
  const { codes, scales } = quantiseMatrix(Float32Array.of(0, 0, 0, -3), [2, 2]);
  expect([...codes]).toEqual([0, 0, 0, -127]);
  expect([...scales]).toEqual([1, Math.fround(3 / 127)]);
  expect([...quantiseTable(new Float32Array(4), [2, 2]).scales]).toEqual([1, 1]);
});

test("seven bits reach to 63, with scales that make up for it", () => {
  const full = quantiseMatrix(weight, [OUT, IN]);
  const { codes, scales } = sevenBits(full);
  expect(codes.reduce((most, code) => Math.max(most, Math.abs(code)), 0)).toBe(63);
  for (const [i, code] of codes.entries()) {
    const out = i % OUT;
    const wanted = (full.codes[i] as number) * (full.scales[out] as number);
    expect(Math.abs(code * (scales[out] as number) - wanted)).toBeLessThanOrEqual(0.5001 * (scales[out] as number));
  }
});

test("factors undo each other, and level what is large in rows with what is large in columns", () => {
  const matrices = [float32([2, 3], Float32Array.of(1, 2, 0, -4, 1, 0)), float32([1, 3], Float32Array.of(0, 3, 0))];
  const { columns, inverse } = columnFactors(Float32Array.of(40, 0.5, 1), matrices);
  for (const [i, column] of columns.entries()) expect(column * (inverse[i] as number)).toBeCloseTo(1, 6);
  expect((columns[0] as number) / (columns[1] as number)).toBeCloseTo((40 / 0.5) ** 0.6 / (4 / 3) ** 0.4, 4);
  expect([...columnFactors(new Float32Array(3), matrices).columns].every((value) => value > 0)).toBe(true);
});

test("every float16 comes back from its float32, and what lies between rounds to the nearest, ties to even", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const decoded = decodeTensor("F16", [all.length], all.buffer.slice(0) as ArrayBuffer);
  if (typeof decoded === "string" || decoded.dtype !== "float32") throw new Error("no float32");
  expect(toFloat16(decoded.data)).toEqual(all);
  const value = (bits: number) => decoded.data[all.indexOf(bits)] as number;
  for (const bits of [0x0000, 0x0001, 0x0010, 0x03ff, 0x0400, 0x3c00, 0x5640, 0x7bfe]) {
    const [low, high] = [value(bits), value(bits + 1)];
    const even = bits % 2 === 0 ? bits : bits + 1;
    const near = [low + (high - low) * 0.49, (low + high) / 2, low + (high - low) * 0.51];
    expect([...toFloat16(Float32Array.from(near))]).toEqual([bits, even, bits + 1]);
    expect([...toFloat16(Float32Array.from(near, (x) => -x))]).toEqual([bits, even, bits + 1].map((b) => b | 0x8000));
  }
  const beyond = Float32Array.of(65519.99, 65520, -1e9, Infinity, 2 ** -25, 2 ** -25 * 1.01);
  expect([...toFloat16(beyond)]).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7c00, 0, 1]);
  expect((toFloat16(Float32Array.of(Number.NaN))[0] as number) & 0x7fff).toBe(0x7e00);
});
