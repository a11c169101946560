// What holds for any text: briefly in the unit tests, at length in the soak.

import { expect } from "@jest/globals";
import fc from "fast-check";
import { createNormalizer } from "../../src/tokenizer/normalize";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { embeddedVocabulary } from "../../src/tokenizer/vocabulary";

const uncased = createTokenizer({ tokens: embeddedVocabulary(), lowerCase: true });
const normalizers = [true, false].map((lower) =>
  createNormalizer({ lowerCase: lower, stripAccents: lower, tokenizeChineseChars: true }),
);

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme" }),
  fc
    .array(fc.constantFrom("[SEP]", "[", "]", "film", " ", "É", "日", "\u0301"), { maxLength: 30 })
    .map((parts) => parts.join("")),
);

export const offsetsFit = fc.property(
  anyText,
  fc.option(anyText),
  fc.integer({ min: 3, max: 40 }),
  (text, pair, maxLength) => {
    const { ids, typeIds, truncated, offsets } = uncased.encodeWithOffsets(text, pair, maxLength);
    expect({ ids, typeIds, truncated }).toEqual(uncased.encode(text, pair, maxLength));
    expect(ids.length).toBeLessThanOrEqual(maxLength);
    expect(offsets).toHaveLength(ids.length);
    const last = [0, 0];
    for (const offset of offsets) {
      if (!offset) continue;
      expect(offset.start).toBeGreaterThanOrEqual(last[offset.text] as number);
      expect(offset.end).toBeGreaterThan(offset.start);
      expect(offset.end).toBeLessThanOrEqual((offset.text === 0 ? text : (pair ?? "")).length);
      last[offset.text] = offset.start;
    }
  },
);

const ascii = fc.string({ unit: fc.integer({ min: 0, max: 127 }).map((code) => String.fromCharCode(code)) });

export const wordsHaveTheirRanges = fc.property(
  fc.oneof(ascii, fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" })),
  (text) => {
    for (const normalizer of normalizers) {
      expect(normalizer.wordsWithRanges(text, 0).map((word) => word.text)).toEqual(normalizer.words(text));
    }
  },
);
