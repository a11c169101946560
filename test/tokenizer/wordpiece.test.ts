// Greedy pieces of single words.

import { describe, expect, test } from "@jest/globals";
import { createWordPiece } from "../../src/tokenizer/wordpiece";

const tokens = ["[UNK]", "film", "fi", "##lm", "##l", "##s", "é", "##é", "𝒳", "##𝒳", "un"];
const ids = new Map(tokens.map((token, id) => [token, id]));
const split = createWordPiece(ids, 0);
const pieces = (word: string) => split(word).ids.map((id) => tokens[id]);

describe("a word's pieces", () => {
  test.each([
    ["a whole word", "film", ["film"]],
    ["the longest beginning first", "films", ["film", "##s"]],
    ["then the longest continuation", "filml", ["film", "##l"]],
    ["never a step back from a greedy choice", "unfilm", ["[UNK]"]],
    ["a continuation does not begin a word", "lm", ["[UNK]"]],
    ["characters of two UTF-16 units", "𝒳𝒳s", ["𝒳", "##𝒳", "##s"]],
  ])("%s", (_, word, expected) => {
    expect(pieces(word)).toEqual(expected);
  });

  test.each(["é", "𝒳"])("100 code points of %s are read, 101 are [UNK]", (character) => {
    expect(split(character.repeat(100)).ids).toHaveLength(100);
    expect(pieces(character.repeat(101))).toEqual(["[UNK]"]);
  });

  test("ends are in UTF-16 units; [UNK] covers the word", () => {
    expect(split("𝒳𝒳s").ends).toEqual([2, 4, 5]);
    expect(split("unfilm").ends).toEqual([6]);
  });

  test("are the same from the cache, also after it was full", () => {
    const before = pieces("films");
    for (let i = 0; i < 70_000; i++) split(`word${i}`);
    expect(pieces("films")).toEqual(before);
  });
});
