// Texts that people write by hand, as their editors and shells encode them.

import { expect, test } from "@jest/globals";
import { decodeText } from "../../src/files/written-text";

const text = "labels: [ja, né, \u{1f600}]\n";

test("UTF-8, and UTF-16 either way round, with a mark that is no part of the text", () => {
  const wide = Buffer.from(`\ufeff${text}`, "utf16le");
  for (const bytes of [Buffer.from(text), Buffer.from(`\ufeff${text}`), wide, Buffer.from(wide).swap16()]) {
    expect(decodeText(bytes)).toBe(text);
  }
  expect(decodeText(Buffer.alloc(0))).toBe("");
});

test.each([
  ["Latin-1", Buffer.from("caf\xe9", "latin1")],
  ["UTF-16 without a mark", Buffer.from(text, "utf16le")],
  ["half a character of UTF-16", Buffer.from("fffe41", "hex")],
  ["gzip", Buffer.from("1f8b0800", "hex")],
])("%s is none", (_, bytes) => {
  expect(decodeText(bytes)).toBeNull();
});
