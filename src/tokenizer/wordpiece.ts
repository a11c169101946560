// WordPiece: greedy longest match first (Devlin et al. 2019; Wu et al. 2016).

/** Longer words are [UNK], as in BERT's code; counted in code points. */
const MAX_WORD = 100;

/** Words kept with their pieces: text repeats its words, and a bound keeps a long run's memory flat. */
const CACHE_SIZE = 65_536;

export interface Pieces {
  readonly ids: readonly number[];
  /** Where each piece ends in the word, in UTF-16 units; one piece for [UNK]. */
  readonly ends: readonly number[];
}

/** Splits words, as the normaliser gives them, into pieces. `ids` are the vocabulary's, `unknown` is [UNK]'s. */
export function createWordPiece(ids: ReadonlyMap<string, number>, unknown: number): (word: string) => Pieces {
  let longest = 1;
  for (const token of ids.keys()) longest = Math.max(longest, token.length);
  const cache = new Map<string, Pieces>();

  return (word) => {
    // Two units hold a code point at most.
    if (word.length > 2 * MAX_WORD) return { ids: [unknown], ends: [word.length] };
    let pieces = cache.get(word);
    if (pieces === undefined) {
      pieces = splitWord(word, ids, unknown, longest);
      if (cache.size >= CACHE_SIZE) cache.clear();
      // A slice of 13 units or more keeps the whole text that it was cut from alive; this copy does not.
      cache.set(` ${word}`.slice(1), pieces);
    }
    return pieces;
  };
}

function splitWord(word: string, vocabulary: ReadonlyMap<string, number>, unknown: number, longest: number): Pieces {
  const ids: number[] = [];
  const ends: number[] = [];
  const none = { ids: [unknown], ends: [word.length] };
  if (word.length > MAX_WORD && Array.from(word).length > MAX_WORD) return none;
  for (let start = 0; start < word.length; ) {
    let end = Math.min(word.length, start + longest);
    let id: number | undefined;
    for (; end > start; end--) {
      const piece = word.slice(start, end);
      id = vocabulary.get(start === 0 ? piece : `##${piece}`);
      if (id !== undefined) break;
    }
    if (id === undefined) return none;
    ids.push(id);
    ends.push(end);
    start = end;
  }
  return { ids, ends };
}
