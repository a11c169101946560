// Words as tokens: the first piece of each, and windows over texts that are longer than a model reads.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeWords } from "../../src/batches/windows";
import { wordsOf } from "../../src/tasks/words";
import { createTokenizer } from "../../src/tokenizer/tokenizer";

const pieces = ["good", "##ness", "film", "a", ",", "東", "京"];
const tokenizer = createTokenizer({
  tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...pieces],
  lowerCase: true,
});
const encode = (text: string, maxLength: number) =>
  encodeWords(tokenizer, { text, words: wordsOf(text, "punctuation") }, maxLength);

test("a word is decided on its first piece, and a word without a token nowhere", () => {
  const [window, ...more] = encode("goodness,  \u0007 東京 a", 16);
  expect(more).toEqual([]);
  expect(Array.from(window?.ids ?? [], tokenizer.token)).toEqual([
    ...["[CLS]", "good", "##ness", ",", "東", "京", "a", "[SEP]"],
  ]);
  expect([Array.from(window?.positions ?? []), Array.from(window?.words ?? [])]).toEqual([
    [1, 3, 4, 5, 6],
    [0, 1, 3, 4, 5],
  ]);
  expect(Array.from(window?.wordOf ?? [])).toEqual([-1, 0, 0, 1, 3, 4, 5, -1]);
});

test("every word of a long text is decided in one window, on its first piece, with text around it", () => {
  const words = fc.array(fc.constantFrom("goodness", "film", "a", "other"), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(words, fc.integer({ min: 4, max: 20 }), (given, maxLength) => {
      const text = given.join(" ");
      const windows = encode(text, maxLength);
      expect(windows.flatMap(({ words: own }) => Array.from(own)).sort((a, b) => a - b)).toEqual([...given.keys()]);
      for (const { ids, positions, words: own } of windows) {
        expect(ids.length).toBeLessThanOrEqual(maxLength);
        for (const [i, position] of positions.entries()) {
          const first =
            { goodness: "good", other: "[UNK]" }[given[own[i] as number] as string] ?? given[own[i] as number];
          expect(tokenizer.token(ids[position] as number)).toBe(first);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("a length without room for a word is refused", () => {
  expect(() => encode("a film", 2)).toThrow(/no room for a word. Give at least 3/);
});
