// What an inference process's allocator is told: which blocks it gives back, by where int8 weights lie.

import { expect, test } from "@jest/globals";
import { pageSettings } from "../../../src/serve/inference/pages";

test("large blocks are given back where int8 weights lie in memory, and kept elsewhere", () => {
  const threshold = (...given: Parameters<typeof pageSettings>) =>
    Number(pageSettings(...given).MALLOC_MMAP_THRESHOLD_) / 2 ** 20;
  const [old, vnni, avx] = ["flags : fpu avx2 fma", "flags : avx2 avx512_vnni", "flags : avx2 avx_vnni"];
  // A matrix of MiniLM's in int8 has 0.42 MB and more.
  expect(threshold("int8", old, "x64")).toBeLessThan(0.42);
  expect(threshold(undefined, old, "x64")).toBeLessThan(0.42); // int8 where a version has it
  for (const [weights, flags, arch] of [
    ["float32", old, "x64"],
    ["int8", vnni, "x64"],
    ["int8", avx, "x64"],
    ["int8", "", "x64"],
    ["int8", old, "arm64"],
  ] as const) {
    expect(threshold(weights, flags, arch)).toBe(1024);
  }
});
