// Tags and what a model may say of them: the likeliest sequence of those that a scheme allows.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { inUnit } from "../../src/predict/span-offsets";
import { kinds } from "../../src/tasks/kinds";
import type { SpansPrediction } from "../../src/tasks/kinds/kind";
import { offsetsFrom, offsetsIn } from "../../src/tasks/offset-unit";
import { spansOf } from "../../src/tasks/span-metrics";
import { asTags, bestSequence, isPossible, schemeOf, tagsOfSpans, tagsProblem } from "../../src/tasks/tags";
import { wordsOf } from "../../src/tasks/words";

const bio = ["O", "B-a", "I-a", "B-b", "I-b"];
const bioes = asTags(["a"], "BIOES");

test("a scheme is told by its labels", () => {
  expect([bio, bioes, ["O", "I-a"], ["O", "PER"]].map(schemeOf)).toEqual(["BIO", "BIOES", "IO", "IO"]);
  expect(tagsProblem(["B-a", "I-a"], "BIO")).toMatch(/no label is O/);
  expect(tagsProblem(["O", "B-a", "PER"], "BIO")).toMatch(/"PER" is no tag of BIO/);
});

test.each([
  ["BIO", bio],
  ["BIOES", bioes],
  ["IO", ["O", "I-a", "I-b"]],
] as const)("of %s the best of all possible sequences is found", (_, labels) => {
  const logits = fc.array(
    fc.array(fc.integer({ min: -9, max: 9 }), { minLength: labels.length, maxLength: labels.length }),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(logits, (rows) => {
      const found = bestSequence(Float32Array.from(rows.flat()), labels);
      const scoreOf = (ids: readonly number[]) => ids.reduce((sum, id, word) => sum + (rows[word]?.[id] as number), 0);
      let best = Number.NEGATIVE_INFINITY;
      const every = (ids: readonly number[]): void => {
        if (ids.length === rows.length) {
          if (isPossible(ids, labels)) best = Math.max(best, scoreOf(ids));
        } else for (const id of labels.keys()) every([...ids, id]);
      };
      every([]);
      expect(isPossible(found, labels)).toBe(true);
      expect(scoreOf(found)).toBe(best);
    }),
    { numRuns: 30 },
  );
});

test("spans become tags, and tags the same spans", () => {
  const spans = [
    { type: "a", start: 0, end: 1 },
    { type: "a", start: 1, end: 4 },
  ];
  for (const labels of [bio, bioes]) expect(spansOf(tagsOfSpans(spans, 5, labels) as number[], labels)).toEqual(spans);
});

test.each([
  [
    "😀  caf\u0065\u0301, 東京 now",
    [
      [0, 1],
      [3, 8],
      [8, 9],
      [10, 11],
      [11, 12],
      [13, 16],
    ],
  ],
  [
    "\u00a0👩‍👩‍👧\tx\u0308y\u3000한국",
    [
      [1, 6],
      [7, 10],
      [11, 13],
    ],
  ],
] as const)("spans of %j point at its characters, in code points as in UTF-16", (text, places) => {
  const labels = ["O", "B-a", "I-a"];
  const words = wordsOf(text, "punctuation");
  const logits = Float32Array.from(words.flatMap(() => [0, 9, 0]));
  const prediction = kinds.tagging.predict(logits, { labels }, { text, words }) as SpansPrediction;
  for (const span of prediction.spans) expect(text.slice(span.start, span.end)).toBe(span.text);
  const { spans } = inUnit(prediction, text, "codepoint") as SpansPrediction;
  expect(spans.map(({ start, end }) => [start, end])).toEqual(places);
  for (const { start, end, text: own } of spans) expect(Array.from(text).slice(start, end).join("")).toBe(own);
});

test("offsets of code points are those of Array.from, both ways", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const [into, back] = [offsetsIn(text, "codepoint"), offsetsFrom(text, "codepoint")];
      let utf16 = 0;
      for (const [i, character] of Array.from(text).entries()) {
        expect([into(utf16), back(i)]).toEqual([i, utf16]);
        utf16 += character.length;
      }
      expect([into(utf16), back(Array.from(text).length)]).toEqual([Array.from(text).length, utf16]);
      expect(back(text.length + 1)).toBeNull();
    }),
  );
});
