// A checkpoint's tensor against the base's: at the precision that both files have, on the rows that both have
// (DeepLearningExamples#1154: vocabularies padded to a multiple of 8).

import { expect, test } from "@jest/globals";
import { compareTensors } from "../../../src/checkpoints/bases/compare";
import { roundTo } from "../../../src/checkpoints/formats/number-formats";
import { openTorch } from "../../../src/checkpoints/formats/torch";
import { float32 } from "../../../src/model/tensors";
import { fixture, readAll } from "../formats/torch-files";

const words = "bert.embeddings.word_embeddings.weight";
const matrix = (rows: number, values: readonly number[]) => float32([rows, 2], Float32Array.from(values));
const base = { tensor: matrix(3, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), dtype: undefined };
const stored = (dtype: "F16" | "BF16") => ({
  tensor: { ...base.tensor, data: roundTo(dtype, base.tensor.data as Float32Array) } as typeof base.tensor,
  dtype,
});

test("roundTo is PyTorch's rounding to float16", async () => {
  const { matrix: whole, half_transposed: half } = (await readAll(openTorch, fixture("kinds.bin"))).tensors;
  const turned = [...(half?.data ?? [])].map((_, i, all) => all[(i % 4) * 3 + Math.floor(i / 4)] as number);
  expect([...roundTo("F16", whole?.data as Float32Array)]).toEqual(turned);
});

test("roundTo rounds ties to even, keeps what is exact, and knows where its format ends", () => {
  const half = (values: number[]) => [...roundTo("F16", Float32Array.from(values))];
  expect(
    half([1 + 2 ** -11, 1 + 3 * 2 ** -11, 65504, 65519, 65520, -65520, 2 ** -24, 2 ** -25, -(2 ** -25), 0]),
  ).toEqual([1, 1 + 2 ** -9, 65504, 65504, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -24, 0, -0, 0]);
  expect([...roundTo("BF16", Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, 3))]).toEqual([1, 1 + 2 ** -6, 3]);
});

test("equal at the precision of either file is no difference", () => {
  expect(compareTensors("x", base, { tensor: base.tensor, dtype: undefined })).toBeNull();
  for (const dtype of ["F16", "BF16"] as const) {
    expect(compareTensors("x", base, stored(dtype))).toBeNull();
    expect(compareTensors("x", stored(dtype), base)).toBeNull();
    // Without its format it is another tensor.
    expect(compareTensors("x", base, { ...stored(dtype), dtype: undefined })).toMatch(/^differs in row 0 /);
  }
});

test("rows that pad a vocabulary are none of it, in either", () => {
  const padded = { tensor: matrix(4, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 9, 9]), dtype: undefined };
  expect(compareTensors(words, base, padded)).toBeNull();
  expect(compareTensors(words, padded, base)).toBeNull();
  expect(compareTensors("bert.embeddings.position_embeddings.weight", base, padded)).toBe(
    "has the shape [4,2], the base's has [3,2]",
  );
});

test("what differs is named: a row, a shape, a tensor that is missing", () => {
  const other = { tensor: matrix(3, [0.1, 0.2, 0.3, 0.4, 0.5, 0.75]), dtype: undefined };
  expect(compareTensors(words, base, other)).toMatch(/^differs in row 2 \(0\.75, the base's 0\.6/);
  expect(
    compareTensors(words, base, { tensor: float32([6], base.tensor.data as Float32Array), dtype: undefined }),
  ).toBe("has the shape [6], the base's has [3,2]");
  expect(compareTensors(words, base, null)).toBe("is missing");
});
