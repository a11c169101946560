// One text to the ids of its pieces: special tokens that somebody typed, words, pieces of words.

import { type AddedToken, SPECIAL } from "./added-tokens";
import { createNormalizer, createPlainNormalizer, type NormalizerSettings, type Word } from "./normalize";
import { createWordPiece } from "./wordpiece";

export interface PieceReader {
  ids(text: string): number[];
  /** The same ids, and the UTF-16 range [start, end) of the text that each came from. */
  ranges(text: string): { readonly ids: number[]; readonly ranges: [number, number][] };
}

export function createPieceReader(
  vocabulary: ReadonlyMap<string, number>,
  unknown: number,
  settings: NormalizerSettings,
  added: readonly AddedToken[] = [],
): PieceReader {
  const normalizer = createNormalizer(settings);
  const wordPiece = createWordPiece(vocabulary, unknown);
  // Typed special tokens are found before anything is normalised, as transformers does: [sep] is three words.
  const own = SPECIAL.filter((token) => vocabulary.has(token)).map((content) => ({ content, singleWord: false }));
  const typed = createFinder([...own, ...added.filter(({ normalized }) => !normalized)]);
  const idOf = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
  const late = createLateReader(settings, added);
  const alwaysTyped = added.some(({ normalized }) => !normalized);
  /** Text at even places, tokens that are read whole at odd ones. */
  const parts = (text: string) => (alwaysTyped || text.includes("[") ? typed(text) : [text]);

  return {
    ids(text) {
      const ids: number[] = [];
      const push = (part: string) => {
        for (const word of normalizer.words(part)) for (const id of wordPiece(word).ids) ids.push(id);
      };
      parts(text).forEach((part, i) => {
        if (i % 2 === 1) ids.push(idOf.get(part) as number);
        else if (!late) push(part);
        else late(part, 0, { token: (id) => ids.push(id), text: push });
      });
      return ids;
    },
    ranges(text) {
      const ids: number[] = [];
      const ranges: [number, number][] = [];
      const push = (words: readonly Word[]) => {
        for (const word of words) {
          const pieces = wordPiece(word.text);
          ids.push(...pieces.ids);
          let start = 0;
          for (const end of pieces.ends) {
            ranges.push([word.starts[start] as number, word.ends[end - 1] as number]);
            start = end;
          }
        }
      };
      let at = 0;
      for (const [i, part] of parts(text).entries()) {
        const token = (id: number, range: [number, number]) => {
          ids.push(id);
          ranges.push(range);
        };
        if (i % 2 === 1) token(idOf.get(part) as number, [at, at + part.length]);
        else if (!late) push(normalizer.wordsWithRanges(part, at));
        else {
          late(part, at, {
            token,
            text: (segment, { starts, ends }) => push(traced(normalizer.wordsWithRanges(segment, 0), starts, ends)),
          });
        }
        at += part.length;
      }
      return { ids, ranges };
    },
  };
}

/** Words of a normalised text with the ranges of the text that it came from. */
const traced = (words: readonly Word[], starts: readonly number[], ends: readonly number[]): Word[] =>
  words.map((word) => ({
    text: word.text,
    starts: word.starts.map((at) => starts[at] as number),
    ends: word.ends.map((at) => ends[at - 1] as number),
  }));

interface LateSink {
  readonly token: (id: number, range: [number, number]) => void;
  /** What lies between tokens, normalised, with the range that each unit came from. */
  readonly text: (segment: string, ranges: Pick<Word, "starts" | "ends">) => void;
}

/** Finds the tokens that are looked for in normalised text; null where there are none. */
function createLateReader(settings: NormalizerSettings, added: readonly AddedToken[]) {
  const tokens = added.filter(({ normalized }) => normalized);
  if (tokens.length === 0) return null;
  const normalise = createPlainNormalizer(settings);
  const forms = tokens.map((token) => ({ ...token, content: normalise(token.content, 0).text }));
  const idOf = new Map(forms.map(({ content, id }) => [content, id]));
  const find = createFinder(forms.filter(({ content }) => content !== ""));
  return (part: string, offset: number, sink: LateSink): void => {
    const { text, starts, ends } = normalise(part, offset);
    let at = 0;
    for (const [i, segment] of find(text).entries()) {
      const end = at + segment.length;
      if (i % 2 === 1) sink.token(idOf.get(segment) as number, [starts[at] as number, ends[end - 1] as number]);
      else if (segment !== "") sink.text(segment, { starts: starts.slice(at, end), ends: ends.slice(at, end) });
      at = end;
    }
  };
}

/** Splits a text at tokens, the leftmost first and of those the longest: text at even places, tokens at odd ones. */
function createFinder(tokens: readonly Pick<AddedToken, "content" | "singleWord">[]): (text: string) => string[] {
  const escaped = [...tokens]
    .sort((a, b) => b.content.length - a.content.length)
    .map(({ content, singleWord }) => {
      const literal = content.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
      return singleWord ? `(?<!${WORD})${literal}(?!${WORD})` : literal;
    });
  const pattern = new RegExp(`(${escaped.join("|")})`, tokens.some(({ singleWord }) => singleWord) ? "u" : "");
  return (text) => text.split(pattern);
}

/** What Rust's \w matches. */
const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
