// The tokenizer against transformers' ids, its offsets, and the traps of Unicode.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { embeddedVocabulary, parseVocabulary, settingsFromTokenizerJson } from "../../src/tokenizer/vocabulary";
import { describeWithSharedData, sharedData } from "../shared-data";

const tokens = embeddedVocabulary();
const uncased = createTokenizer({ tokens, lowerCase: true });
const cased = createTokenizer({ tokens, lowerCase: false });

interface Case {
  readonly lower: boolean;
  readonly text: string;
  readonly pair: string | null;
  readonly ids: number[];
  readonly types: number[];
}

describeWithSharedData("transformers' WordPiece", () => {
  test("all reference cases give the same ids and segment ids, with and without offsets", () => {
    const reference = JSON.parse(readFileSync(path.join(sharedData, "reference/wordpiece.json"), "utf8"));
    const cases: Case[] = reference.cases;
    expect(cases).toHaveLength(866);
    for (const { lower, text, pair, ids, types } of cases) {
      const tokenizer = lower ? uncased : cased;
      const encoding = tokenizer.encode(text, pair, reference.max_length);
      expect({ text, pair, ids: Array.from(encoding.ids) }).toEqual({ text, pair, ids });
      expect(Array.from(encoding.typeIds)).toEqual(types);
      expect(tokenizer.encodeWithOffsets(text, pair, reference.max_length).ids).toEqual(encoding.ids);
    }
  });

  test("the embedded vocabulary is bert-base-uncased's vocab.txt", () => {
    const text = readFileSync(path.join(sharedData, "bert-base-uncased/vocab.txt"), "utf8");
    expect(parseVocabulary(text)).toEqual(tokens);
  });
});

describe("encode", () => {
  test("builds [CLS] text [SEP] pair [SEP] with segments", () => {
    const { ids, typeIds } = uncased.encode("a film", "a book", 16);
    expect(Array.from(ids, (id) => tokens[id])).toEqual(["[CLS]", "a", "film", "[SEP]", "a", "book", "[SEP]"]);
    expect(Array.from(typeIds)).toEqual([0, 0, 0, 0, 1, 1, 1]);
  });

  test("cuts the longer text first and counts what it cut", () => {
    const long = "film ".repeat(20);
    const { ids, truncated } = uncased.encode(long, "a book", 12);
    expect(Array.from(ids, (id) => tokens[id]).slice(-3)).toEqual(["a", "book", "[SEP]"]);
    expect(ids).toHaveLength(12);
    expect(truncated).toBe(20 + 2 - 9);
    expect(uncased.encode(long, long, 12).ids).toHaveLength(12);
    expect(uncased.encode(long, null, 12).ids).toHaveLength(12);
  });

  test("an empty text is [CLS] [SEP]", () => {
    expect(Array.from(uncased.encode("", null, 8).ids, (id) => tokens[id])).toEqual(["[CLS]", "[SEP]"]);
  });

  test.each([
    ["accents", "Café Ångström", ["cafe", "ang", "##strom"]],
    ["no final sigma", "ΣΟΦΟΣ", ["σ", "##ο", "##φ", "##ο", "##σ"]],
    ["CJK characters apart", "日本", ["日", "本"]],
    ["dropped controls join letters", "fi\u200Blm", ["film"]],
    ["special tokens typed in the text", "a [SEP] b", ["a", "[SEP]", "b"]],
    ["dollar and caret as punctuation", "$5^", ["$", "5", "^"]],
    ["words over 100 characters", "a".repeat(101), ["[UNK]"]],
    ["no-break and ideographic spaces", "a\u00A0film\u3000here", ["a", "film", "here"]],
  ])("%s", (_, text, expected) => {
    expect(uncased.tokenize(text)).toEqual(expected);
  });

  test("offsets point at what was read, in UTF-16 units", () => {
    const text = "Café 🎬film";
    const { ids, offsets } = uncased.encodeWithOffsets(text, "a book", 32);
    const read = offsets.map(
      (offset) => offset && (offset.text === 0 ? text : "a book").slice(offset.start, offset.end),
    );
    const pieces = Array.from(ids, (id) => tokens[id]);
    expect(pieces).toHaveLength(read.length);
    expect(read[pieces.indexOf("cafe")]).toBe("Café");
    expect(read.slice(-3)).toEqual(["a", "book", null]);
  });

  test("any text: ids are in the vocabulary, fit, and offsets rise inside the text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 60 }),
        fc.option(fc.string({ unit: "grapheme" })),
        (text, pair) => {
          const { ids, typeIds, offsets } = uncased.encodeWithOffsets(text, pair, 24);
          expect(ids.length).toBeLessThanOrEqual(24);
          expect(typeIds).toHaveLength(ids.length);
          expect(ids.every((id) => id >= 0 && id < tokens.length)).toBe(true);
          let last = 0;
          for (const offset of offsets) {
            if (offset?.text !== 0) continue;
            expect(offset.start).toBeGreaterThanOrEqual(last);
            expect(offset.end).toBeGreaterThan(offset.start);
            expect(offset.end).toBeLessThanOrEqual(text.length);
            last = offset.start;
          }
        },
      ),
    );
  });
});

describe("vocabularies", () => {
  test("a vocabulary without [CLS] is refused", () => {
    expect(() => createTokenizer({ tokens: ["[PAD]", "[UNK]", "[SEP]"], lowerCase: true })).toThrow(/no \[CLS\]/);
  });

  test("tokenizer.json: normalizer's settings are read, its truncation is not", () => {
    const vocab = { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, a: 4 };
    const normalizer = { lowercase: false, strip_accents: true, handle_chinese_chars: false };
    const json = { model: { type: "WordPiece", vocab }, normalizer, truncation: { max_length: 2 } };
    expect(settingsFromTokenizerJson(json)).toEqual({
      tokens: Object.keys(vocab),
      lowerCase: false,
      stripAccents: true,
      tokenizeChineseChars: false,
    });
  });

  test.each([
    [{ model: { type: "BPE", vocab: {} } }, /BPE/],
    [{ model: { vocab: { a: 0, b: 2 } } }, /id 1 of 3/],
  ])("a tokenizer.json that is no WordPiece or has holes is refused", (json, message) => {
    expect(() => settingsFromTokenizerJson(json)).toThrow(message);
  });
});
