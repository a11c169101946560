import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalJson, id8, sha256File, sha256Hex } from "../../src/files/hash";
import { temporaryFolder } from "./temporary-folder";

test("sha256Hex is FIPS 180-2's SHA-256 of the parts put together", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(sha256Hex("abc")).toBe(abc);
  expect(sha256Hex("a", Uint8Array.of(98), "", "c")).toBe(abc);
});

test("sha256File reads whole files", async () => {
  const file = path.join(temporaryFolder(), "a");
  const bytes = Buffer.alloc(3_000_000, 7);
  writeFileSync(file, bytes);
  expect(await sha256File(file)).toBe(sha256Hex(bytes));
});

describe("canonicalJson", () => {
  test("sorts keys by code unit at every depth and leaves out undefined properties", () => {
    expect(canonicalJson({ b: [{ z: 1, a: null }], a: "é", B: true, x: undefined, "10": 1, "9": 2 })).toBe(
      '{"10":1,"9":2,"B":true,"a":"é","b":[{"a":null,"z":1}]}',
    );
  });

  test.each([
    ["NaN", { a: [Number.NaN] }, "value.a[0] is NaN"],
    ["-0", { a: -0 }, "value.a is -0"],
    ["Infinity", [Number.POSITIVE_INFINITY], "value[0] is Infinity"],
    ["undefined in an array", [undefined], "value[0] is undefined"],
    ["a bigint", { a: 1n }, "value.a is bigint"],
    ["a function", { a: () => 1 }, "value.a is function"],
    ["a Map", { a: new Map() }, "value.a is a Map"],
    ["a typed array", { a: new Float32Array(1) }, "value.a is a Float32Array"],
    ["a Date", { a: new Date(0) }, "value.a is a Date"],
  ])("refuses %s, naming where", (_, value, message) => {
    expect(() => canonicalJson(value)).toThrow(message);
  });

  test("does not depend on the order of keys, and parses back to the value", () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reversed);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, member]) => [key, reversed(member)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const plain = JSON.parse(JSON.stringify(value)); // -0 becomes 0
        const json = canonicalJson(plain);
        expect(JSON.parse(json)).toEqual(plain);
        expect(canonicalJson(reversed(plain))).toBe(json);
      }),
    );
  });
});

test("id8 is part of the format of run folders: pinned", () => {
  expect(id8({ b: 1, a: "x" })).toBe(sha256Hex('{"a":"x","b":1}').slice(0, 8));
  expect(id8({ method: "finetune", layers: 3 })).toBe("745eda1d");
});
