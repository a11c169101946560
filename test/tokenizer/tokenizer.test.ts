// The tokenizer against transformers' ids: the reference cases, truncation, special tokens, offsets.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ExitCode } from "../../src/errors/errors";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { embeddedVocabulary, parseVocabulary } from "../../src/tokenizer/vocabulary";
import { ownReference } from "../reference";
import { describeWithSharedData, sharedData } from "../shared-data";
import { offsetsFit } from "./properties";

const tokens = embeddedVocabulary();
const uncased = createTokenizer({ tokens, lowerCase: true });
const words = (ids: Iterable<number>) => Array.from(ids, (id) => tokens[id]);

interface Case {
  readonly lower: boolean;
  readonly text: string;
  readonly pair: string | null;
  readonly ids: number[];
  readonly types: number[];
}

interface Cases {
  readonly max_length: number;
  readonly cases: readonly Case[];
}

/** @param words of the vocabulary; those of bert-base-uncased where none are given */
function expectTransformersIds(file: string, count: number, words = tokens): void {
  const { cases, max_length: maxLength }: Cases = JSON.parse(readFileSync(file, "utf8"));
  expect(cases).toHaveLength(count);
  const lowerCased = createTokenizer({ tokens: words, lowerCase: true });
  const asWritten = createTokenizer({ tokens: words, lowerCase: false });
  for (const { lower, text, pair, ids, types } of cases) {
    const tokenizer = lower ? lowerCased : asWritten;
    const encoding = tokenizer.encode(text, pair, maxLength);
    expect({ text, pair, ids: Array.from(encoding.ids) }).toEqual({ text, pair, ids });
    expect(Array.from(encoding.typeIds)).toEqual(types);
    expect(tokenizer.encodeWithOffsets(text, pair, maxLength)).toMatchObject({ ...encoding });
  }
}

describe("transformers' WordPiece: the same ids and segment ids, with and without offsets", () => {
  test("of our own texts, on bert-base-uncased's vocabulary", () => {
    expectTransformersIds(path.join(ownReference, "wordpiece.json"), 120);
  });

  test("of our own texts, on a small vocabulary", () => {
    const words = parseVocabulary(readFileSync(path.join(ownReference, "tiny-bert/vocab.txt"), "utf8"));
    expectTransformersIds(path.join(ownReference, "wordpiece-tiny.json"), 60, words);
  });
});

describeWithSharedData("transformers' WordPiece", () => {
  test("all reference cases give the same ids and segment ids, with and without offsets", () => {
    expectTransformersIds(path.join(sharedData, "reference/wordpiece.json"), 866);
  });
});

describe("encode", () => {
  test("builds [CLS] text [SEP] pair [SEP] with segments", () => {
    const { ids, typeIds, truncated } = uncased.encode("a film", "a book", 16);
    expect(words(ids)).toEqual(["[CLS]", "a", "film", "[SEP]", "a", "book", "[SEP]"]);
    expect(Array.from(typeIds)).toEqual([0, 0, 0, 0, 1, 1, 1]);
    expect(truncated).toBe(0);
    expect(uncased.padId).toBe(0);
  });

  test("an empty text is [CLS] [SEP]; an empty pair is none, a blank one is a pair", () => {
    expect(words(uncased.encode("", null, 8).ids)).toEqual(["[CLS]", "[SEP]"]);
    expect(words(uncased.encode("film", "", 8).ids)).toEqual(["[CLS]", "film", "[SEP]"]);
    expect(words(uncased.encode("film", " ", 8).ids)).toEqual(["[CLS]", "film", "[SEP]", "[SEP]"]);
  });

  // Tokens of the first and the second text, the length, and what transformers 5.23.0 keeps of each.
  test.each([
    [20, 2, 12, 7, 2],
    [2, 20, 12, 2, 7],
    [20, 20, 12, 4, 5],
    [20, 20, 13, 5, 5],
    [5, 4, 12, 5, 4],
    [6, 4, 12, 5, 4],
    [4, 6, 12, 4, 5],
    [7, 7, 16, 6, 7],
    [7, 8, 14, 5, 6],
    [8, 7, 14, 6, 5],
    [8, 7, 15, 6, 6],
    [9, 0, 8, 6, 0],
    [3, 3, 3, 0, 0],
    [3, 1, 4, 1, 0],
    [1, 3, 4, 0, 1],
    [3, 3, 4, 0, 1],
  ])("of %i and %i tokens in %i keeps %i and %i, from the start", (first, second, maxLength, keptFirst, keptSecond) => {
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => i).join(" ");
    const { ids, truncated } = uncased.encode(numbers(first), numbers(second), maxLength);
    const kept = (count: number) => Array.from({ length: count }, (_, i) => String(i));
    const expected = ["[CLS]", ...kept(keptFirst), "[SEP]", ...(second ? [...kept(keptSecond), "[SEP]"] : [])];
    expect(words(ids)).toEqual(expected);
    expect(truncated).toBe(first + second - keptFirst - keptSecond);
  });

  test("a single text is cut at its end", () => {
    const { ids, truncated } = uncased.encode("a film about a book", null, 4);
    expect(words(ids)).toEqual(["[CLS]", "a", "film", "[SEP]"]);
    expect(truncated).toBe(3);
  });

  test.each([
    ["film", null, 1, "2"],
    ["film", "book", 2, "3"],
  ])("a length without room for the special tokens is refused", (text, pair, maxLength, least) => {
    for (const encode of [uncased.encode, uncased.encodeWithOffsets]) {
      expect(() => encode(text, pair, maxLength)).toThrow(`Give at least ${least}`);
      expect(() => encode(text, pair, maxLength)).toThrow(expect.objectContaining({ exitCode: ExitCode.usage }));
    }
  });
});

describe("tokenize", () => {
  test.each([
    ["words in pieces", "unaffable", ["una", "##ffa", "##ble"]],
    ["no final sigma", "ΣΟΦΟΣ", ["σ", "##ο", "##φ", "##ο", "##σ"]],
    ["special tokens typed in the text", "a[SEP]b [[MASK]]", ["a", "[SEP]", "b", "[", "[MASK]", "]"]],
    ["which are found before anything is normalised", "[sep] [SE\u200bP]", ["[", "sep", "]", "[", "sep", "]"]],
    ["unused tokens are text", "[unused0]", ["[", "unused", "##0", "]"]],
    ["words over 100 characters", `${"a".repeat(101)} b`, ["[UNK]", "b"]],
  ])("%s", (_, text, expected) => {
    expect(uncased.tokenize(text)).toEqual(expected);
  });

  test("a vocabulary need not have [MASK]", () => {
    const own = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "mask"];
    expect(createTokenizer({ tokens: own, lowerCase: true }).tokenize("[MASK]")).toEqual(["[", "mask", "]"]);
  });

  test.each(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])("a vocabulary without %s is refused", (token) => {
    const own = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].filter((special) => special !== token);
    const create = () => createTokenizer({ tokens: own, lowerCase: true });
    expect(create).toThrow(`the vocabulary of 3 words has no ${token}`);
    expect(create).toThrow(expect.objectContaining({ exitCode: ExitCode.model }));
  });
});

describe("offsets", () => {
  test("point at what was read, in UTF-16 units; typed special tokens have theirs", () => {
    const texts = ["Cafe\u0301 🎬films [SEP]", "a unaffable"] as const;
    const { ids, offsets } = uncased.encodeWithOffsets(texts[0], texts[1], 32);
    const read = offsets.map((offset) => offset && texts[offset.text].slice(offset.start, offset.end));
    expect(words(ids).map((word, i) => [word, read[i]])).toEqual([
      ["[CLS]", null],
      ["cafe", "Cafe"],
      ["[UNK]", "🎬films"],
      ["[SEP]", "[SEP]"],
      ["[SEP]", null],
      ["a", "a"],
      ["una", "una"],
      ["##ffa", "ffa"],
      ["##ble", "ble"],
      ["[SEP]", null],
    ]);
  });

  test("of any text rise inside it, and the ids fit and are encode's", () => {
    fc.assert(offsetsFit);
  });
});
