import { expect, test } from "@jest/globals";
import { createAnswerCache, rowKey } from "../../../src/serve/schedule/answers";

const logits = (value: number) => new Float32Array(25).fill(value); // 500 bytes with its entry

test("what was asked for longest ago goes first, and the bytes hold", () => {
  const cache = createAnswerCache(1500);
  for (const key of ["a", "b", "c"]) cache.keep(key, logits(1));
  expect([cache.entries, cache.bytes]).toEqual([3, 1500]);
  cache.find("a");
  cache.keep("d", logits(2));
  expect(["a", "b", "c", "d"].map((key) => cache.find(key)?.[0] ?? null)).toEqual([1, null, 1, 2]);
  expect(cache.bytes).toBe(1500);
});

test("keeps its own copy of a part of a batch, and nothing that is larger than it", () => {
  const batch = new Float32Array(1000).fill(7);
  const cache = createAnswerCache(1000);
  cache.keep("a", batch.subarray(0, 2));
  batch.fill(0);
  expect(cache.find("a")).toEqual(Float32Array.of(7, 7));
  expect(cache.find("a")?.buffer.byteLength).toBe(8);
  cache.keep("large", new Float32Array(1000));
  expect(cache.entries).toBe(1);
});

test("keys part texts, pairs, and what is a pair from what is none", () => {
  const rows: [string, string | null][] = [
    ["ab", null],
    ["ab", ""],
    ["a", "b"],
    ["", "ab"],
    ["a", null],
    ["2:ab", null],
    ["1", ":ab"],
  ];
  expect(new Set(rows.map(([text, pair]) => rowKey(text, pair))).size).toBe(rows.length);
});
