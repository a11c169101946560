// The basic tokenizer, and where its words come from. Every code point: normalize.slow.test.ts.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createNormalizer } from "../../src/tokenizer/normalize";
import { wordsHaveTheirRanges } from "./properties";

const uncased = createNormalizer({ lowerCase: true, stripAccents: true, tokenizeChineseChars: true });
const cased = createNormalizer({ lowerCase: false, stripAccents: false, tokenizeChineseChars: true });
const accentsOnly = createNormalizer({ lowerCase: false, stripAccents: true, tokenizeChineseChars: false });

describe("words", () => {
  test.each<[string, string, string[]]>([
    ["accents, composed and not", "Café Cafe\u0301", ["cafe", "cafe"]],
    ["a sigma at the end is a sigma", "ΣΟΦΟΣ", ["σοφοσ"]],
    ["Turkish capital I", "İstanbul", ["istanbul"]],
    ["ideographs apart, beyond the basic plane too", "a日本\u{20000}b", ["a", "日", "本", "\u{20000}", "b"]],
    ["kana stay together, voiced marks go", "がく", ["かく"]],
    ["ideographs after Unicode 8 are letters", "a\u{30000}b", ["a\u{30000}b"]],
    ["dropped characters join what stands around them", "fi\u200blm a\u000bb\u0000c\ufffd", ["film", "abc"]],
    ["white space of all kinds", "a\tb\nc\r\nd\u00a0e\u2028f\u3000g", ["a", "b", "c", "d", "e", "f", "g"]],
    ["ASCII symbols are punctuation", "$5^a|b<c>", ["$", "5", "^", "a", "|", "b", "<", "c", ">"]],
    ["other symbols are letters", "5€ a™", ["5€", "a™"]],
    ["Unicode punctuation", "“a”—b…", ["“", "a", "”", "—", "b", "…"]],
    ["marks after Unicode 8 stay", "a\u08d5", ["a\u08d5"]],
    ["half a surrogate pair is dropped", "a\ud800b\udc00", ["ab"]],
    ["nothing", " \t\u0301", []],
  ])("%s", (_, text, expected) => {
    expect(uncased.words(text)).toEqual(expected);
  });

  test("keep what the settings keep", () => {
    expect(cased.words("Café 日本")).toEqual(["Café", "日", "本"]);
    expect(accentsOnly.words("Café 日本")).toEqual(["Cafe", "日本"]);
  });
});

describe("words with ranges", () => {
  test("point at what was read, dropped marks at a word's end left out", () => {
    expect(uncased.wordsWithRanges("ﬁ 🎬e\u0301!", 10)).toEqual([
      { text: "ﬁ", starts: [10], ends: [11] },
      { text: "🎬e", starts: [12, 12, 14], ends: [14, 14, 15] },
      { text: "!", starts: [16], ends: [17] },
    ]);
  });

  test("are the same words, in ASCII and beyond", () => {
    fc.assert(wordsHaveTheirRanges);
  });
});
