// The basic tokenizer on every code point.

import { createHash } from "node:crypto";
import { expect, test } from "@jest/globals";
import { createNormalizer } from "../../src/tokenizer/normalize";

const cased = createNormalizer({ lowerCase: false, stripAccents: false, tokenizeChineseChars: true });
const accentsOnly = createNormalizer({ lowerCase: false, stripAccents: true, tokenizeChineseChars: false });

// sha256 over the lines of BertPreTokenizer's words, a space between them, for "a" + code point + "b" normalised by
// BertNormalizer: the tokenizers package 0.23.3, all code points but the surrogates. Lower case is left to the
// reference cases: letters that Unicode gained after Node 20.19 would make it depend on Node's version.
test.each([
  ["case and accents kept", cased, "24562f9d7976ff39e9c1e52cee2dcff64f6de2fc86446d94e5c72386234f0474"],
  ["accents stripped", accentsOnly, "6075c987415bbc6d5f9d984dc9bd2548c0765503e6026e71adf92d5adcb923ac"],
])("words of all code points are Hugging Face's: %s", (_, normalizer, expected) => {
  const hash = createHash("sha256");
  for (let code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    hash.update(`${normalizer.words(`a${String.fromCodePoint(code)}b`).join(" ")}\n`);
  }
  expect(hash.digest("hex")).toBe(expected);
});
