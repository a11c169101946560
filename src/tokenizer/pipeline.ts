// One text to the ids of its pieces as a tokenizer.json says: added tokens, normalizer, added tokens again, words, pieces.
// Words are kept with their pieces, because text repeats them.

import type { AddedToken } from "./added-tokens";
import { createFinder } from "./find-tokens";
import { createModel } from "./models";
import { readNormalizer } from "./normalizers";
import type { PieceReader, PlacedPieces, Range } from "./pieces";
import { inBytes, readSplitter, tracedBytes } from "./splits";
import { slice, type Traced, trace } from "./traced";
import type { Pieces } from "./wordpiece";

type Json = Readonly<Record<string, unknown>>;

const CACHE_SIZE = 65_536;
/** Longer words, in UTF-16 units, are seldom the same. */
const LONGEST_KEPT = 256;

/** A lone half of a pair is no character; the native library cannot be given one. */
const wellFormed = (text: string) => (/\p{Surrogate}/u.test(text) ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text);

/** Throws modelError (4) for what flexbert does not do. */
export function createPipeline(file: Json, tokens: readonly string[], added: readonly AddedToken[]): PieceReader {
  const normalizer = readNormalizer(file["normalizer"]);
  const splitter = readSplitter(file["pre_tokenizer"]);
  const model = createModel(Object(file["model"]), new Map(tokens.map((token, id) => [token, id])), splitter.bytes);
  const early = createFinder(added.filter(({ normalized }) => !normalized));
  const late = createFinder(
    added
      .filter(({ normalized }) => normalized)
      .map((token) => ({ ...token, content: normalizer.plain(token.content) })),
  );
  const cache = new Map<string, Pieces>();
  const pieces = (word: string): Pieces => {
    let found = cache.get(word);
    if (found === undefined) {
      found = model(splitter.bytes ? inBytes(word) : word);
      if (word.length > LONGEST_KEPT) return found;
      if (cache.size >= CACHE_SIZE) cache.clear();
      cache.set(` ${word}`.slice(1), found); // a copy, see createWordPiece
    }
    return found;
  };

  const ranges = (given: string): PlacedPieces => {
    const text = wellFormed(given);
    const ids: number[] = [];
    const ranges: Range[] = [];
    const whole = new Set<number>();
    const token = (id: number, range: Range) => {
      whole.add(ids.length);
      ids.push(id);
      ranges.push(range);
    };
    const push = (word: Traced) => {
      const { starts, ends } = splitter.bytes ? tracedBytes(word) : word;
      const found = pieces(word.text);
      let at = 0;
      for (const [i, to] of found.ends.entries()) {
        ids.push(found.ids[i] as number);
        ranges.push([starts[at] as number, ends[to - 1] as number]);
        at = to;
      }
    };
    for (const { id, start, end } of early(text)) {
      if (id !== null) {
        token(id, [start, end]);
        continue;
      }
      const normal = normalizer.traced(trace(text.slice(start, end), start));
      for (const found of late(normal.text)) {
        const part = slice(normal, found.start, found.end);
        if (found.id !== null) token(found.id, [part.starts[0] as number, part.ends.at(-1) as number]);
        else for (const word of splitter.traced(part)) push(word);
      }
    }
    return { ids, ranges, whole };
  };

  return {
    ids(given) {
      if (splitter.byPlace) return ranges(given).ids;
      const text = wellFormed(given);
      const ids: number[] = [];
      for (const { id, start, end } of early(text)) {
        if (id !== null) {
          ids.push(id);
          continue;
        }
        const normal = normalizer.plain(text.slice(start, end));
        for (const found of late(normal)) {
          if (found.id !== null) ids.push(found.id);
          else {
            for (const word of splitter.plain(normal.slice(found.start, found.end)))
              for (const piece of pieces(word).ids) ids.push(piece);
          }
        }
      }
      return ids;
    },
    ranges,
  };
}
