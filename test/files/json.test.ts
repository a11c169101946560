import { expect, test } from "@jest/globals";
import { parseJson, parseOwnJson } from "../../src/files/json";

const nested = (depth: number) => `{"a": "[[\\"[", "b": ${"[".repeat(depth)}${"]".repeat(depth)}}`;

test("is JSON.parse's value", () => {
  for (const text of ["1", '"[{"', '[{"a": []}]', nested(3), nested(499), ` ${'["\\\\", []]'}`]) {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  }
  expect(parseJson(JSON.stringify("[".repeat(5_000)))).toHaveLength(5_000);
});

test("what nests too deep to be handed on is no document", () => {
  for (const depth of [500, 5_000, 100_000]) expect(() => parseJson(nested(depth))).toThrow(/deeper than 500 levels/);
  expect(() => parseJson("[1")).toThrow(SyntaxError);
});

test("a file of ours has no key that JavaScript would call", () => {
  expect(parseOwnJson('{"a": [{"constructor": 1, "length": 2}]}')).toEqual({ a: [{ constructor: 1, length: 2 }] });
  for (const text of ['{"toString": 1}', '{"a": [{"length": {"valueOf": "x"}}]}']) {
    expect(() => parseOwnJson(text)).toThrow(/toString or valueOf/);
    expect(parseJson(text)).toBeDefined();
  }
});
