// One text to the ids of its pieces: special tokens that somebody typed, words, pieces of words.

import { createNormalizer, type NormalizerSettings } from "./normalize";
import { createWordPiece } from "./wordpiece";

/** The tokens that a tokenizer of BERT's kind reads whole. [MASK] may be missing from a vocabulary. */
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

export interface PieceReader {
  ids(text: string): number[];
  /** The same ids, and the UTF-16 range [start, end) of the text that each came from. */
  ranges(text: string): { readonly ids: number[]; readonly ranges: [number, number][] };
}

export function createPieceReader(
  vocabulary: ReadonlyMap<string, number>,
  unknown: number,
  settings: NormalizerSettings,
): PieceReader {
  const normalizer = createNormalizer(settings);
  const wordPiece = createWordPiece(vocabulary, unknown);
  // Typed special tokens are found before anything is normalised, as transformers does: [sep] is three words.
  const typed = SPECIAL.filter((token) => vocabulary.has(token)).map((token) => token.replace(/[[\]]/g, "\\$&"));
  const typedPattern = new RegExp(`(${typed.join("|")})`);
  /** Text at even places, special tokens at odd ones. */
  const parts = (text: string) => (text.includes("[") ? text.split(typedPattern) : [text]);

  return {
    ids(text) {
      const ids: number[] = [];
      parts(text).forEach((part, i) => {
        if (i % 2 === 1) ids.push(vocabulary.get(part) as number);
        else for (const word of normalizer.words(part)) for (const id of wordPiece(word).ids) ids.push(id);
      });
      return ids;
    },
    ranges(text) {
      const ids: number[] = [];
      const ranges: [number, number][] = [];
      let at = 0;
      for (const [i, part] of parts(text).entries()) {
        if (i % 2 === 1) {
          ids.push(vocabulary.get(part) as number);
          ranges.push([at, at + part.length]);
        } else {
          for (const word of normalizer.wordsWithRanges(part, at)) {
            const pieces = wordPiece(word.text);
            ids.push(...pieces.ids);
            let start = 0;
            for (const end of pieces.ends) {
              ranges.push([word.starts[start] as number, word.ends[end - 1] as number]);
              start = end;
            }
          }
        }
        at += part.length;
      }
      return { ids, ranges };
    },
  };
}
