// One text to the ids of its pieces, with BERT's words: special tokens that somebody typed, words, pieces of words.

import { type AddedToken, SPECIAL } from "./added-tokens";
import { createFinder, type WantedToken } from "./find-tokens";
import { createNormalizer, createPlainNormalizer, type NormalizerSettings } from "./normalize";
import type { Traced } from "./traced";
import { createWordPiece } from "./wordpiece";

export type Range = [start: number, end: number];

export interface PlacedPieces {
  readonly ids: number[];
  /** The UTF-16 range [start, end) of the text that each id came from. */
  readonly ranges: Range[];
  /** Which of them are tokens that were read whole. */
  readonly whole: ReadonlySet<number>;
}

export interface PieceReader {
  ids(text: string): number[];
  /** The same ids with their places. */
  ranges(text: string): PlacedPieces;
}

/** @param own special tokens that are read whole though no file lists them */
export function createPieceReader(
  vocabulary: ReadonlyMap<string, number>,
  unknown: number,
  settings: NormalizerSettings,
  added: readonly AddedToken[] = [],
  own: readonly string[] = SPECIAL,
): PieceReader {
  const normalizer = createNormalizer(settings);
  const wordPiece = createWordPiece(vocabulary, unknown);
  const early = createFinder(earlyTokens(vocabulary, added, own));
  const late = createLateReader(settings, added);

  return {
    ids(text) {
      const ids: number[] = [];
      const push = (part: string) => {
        for (const word of normalizer.words(part)) for (const id of wordPiece(word).ids) ids.push(id);
      };
      for (const { id, start, end } of early(text)) {
        if (id !== null) ids.push(id);
        else if (!late?.mayHold(text.slice(start, end))) push(text.slice(start, end));
        else late.read(text.slice(start, end), 0, { token: (one) => ids.push(one), text: push });
      }
      return ids;
    },
    ranges(text) {
      const ids: number[] = [];
      const ranges: Range[] = [];
      const whole = new Set<number>();
      const push = (words: readonly Traced[]) => {
        for (const word of words) {
          const pieces = wordPiece(word.text);
          for (const id of pieces.ids) ids.push(id);
          let start = 0;
          for (const end of pieces.ends) {
            ranges.push([word.starts[start] as number, word.ends[end - 1] as number]);
            start = end;
          }
        }
      };
      const token = (id: number, range: Range) => {
        whole.add(ids.length);
        ids.push(id);
        ranges.push(range);
      };
      for (const { id, start, end } of early(text)) {
        if (id !== null) token(id, [start, end]);
        else if (!late?.mayHold(text.slice(start, end))) {
          push(normalizer.wordsWithRanges(text.slice(start, end), start));
        } else {
          late.read(text.slice(start, end), start, {
            token,
            text: (segment, { starts, ends }) => push(traced(normalizer.wordsWithRanges(segment, 0), starts, ends)),
          });
        }
      }
      return { ids, ranges, whole };
    },
  };
}

/** Found before anything is normalised, as transformers does: [sep] is three words. */
function earlyTokens(
  vocabulary: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  own: readonly string[],
): WantedToken[] {
  const listed = new Set(added.map(({ content }) => content));
  const typed = own.flatMap((content) => {
    const id = listed.has(content) ? undefined : vocabulary.get(content);
    return id === undefined ? [] : [{ content, id, singleWord: false }];
  });
  return [...typed, ...added.filter(({ normalized }) => !normalized)];
}

/** Words of a normalised text with the ranges of the text that it came from. */
const traced = (words: readonly Traced[], starts: readonly number[], ends: readonly number[]): Traced[] =>
  words.map((word) => ({
    text: word.text,
    starts: word.starts.map((at) => starts[at] as number),
    ends: word.ends.map((at) => ends[at - 1] as number),
  }));

interface LateSink {
  readonly token: (id: number, range: Range) => void;
  /** What lies between tokens, normalised, with the range that each unit came from. */
  readonly text: (segment: string, ranges: Pick<Traced, "starts" | "ends">) => void;
}

/** Finds the tokens that are looked for in normalised text; null where there are none. */
function createLateReader(settings: NormalizerSettings, added: readonly AddedToken[]) {
  const tokens = added.filter(({ normalized }) => normalized);
  if (tokens.length === 0) return null;
  const normalise = createPlainNormalizer(settings);
  const forms = tokens.map((token) => ({ ...token, content: normalise(token.content, 0).text }));
  const find = createFinder(forms);
  const firsts = new Set(forms.flatMap(({ content }) => [content.slice(0, 1).toLowerCase()]));
  return {
    /** Quick for printable ASCII, in which normalising changes the case of letters alone: all-mpnet-base-v2 has such a token. */
    mayHold(part: string): boolean {
      if (!/^[\t\n\r -~]*$/.test(part)) return true;
      const lower = part.toLowerCase();
      for (const first of firsts) if (first === " " || lower.includes(first)) return true;
      return false;
    },
    read(part: string, offset: number, sink: LateSink): void {
      const { text, starts, ends } = normalise(part, offset);
      for (const { id, start, end } of find(text)) {
        if (id !== null) sink.token(id, [starts[start] as number, ends[end - 1] as number]);
        else sink.text(text.slice(start, end), { starts: starts.slice(start, end), ends: ends.slice(start, end) });
      }
    },
  };
}
