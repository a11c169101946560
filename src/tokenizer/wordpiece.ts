// WordPiece: greedy longest match first (Devlin et al. 2019; Wu et al. 2016).

/** Longer words are [UNK], as in BERT's code; counted in code points. */
const MAX_WORD = 100;

/** Words kept with their pieces: text repeats its words, and a bound keeps a long run's memory flat. */
const CACHE_SIZE = 65_536;

export interface WordPiece {
  /** Ids of a word's pieces. */
  ids(word: string): readonly number[];
  /** Ids with the end of each piece in UTF-16 units of the word; one piece for [UNK]. */
  pieces(word: string): { readonly ids: readonly number[]; readonly ends: readonly number[] };
}

export function createWordPiece(ids: ReadonlyMap<string, number>, unknown: number): WordPiece {
  const longest = Math.max(...Array.from(ids.keys(), (token) => token.length));
  const cache = new Map<string, { readonly ids: readonly number[]; readonly ends: readonly number[] }>();

  const split = (word: string) => {
    const whole = ids.get(word);
    if (whole !== undefined && word.length <= MAX_WORD) return { ids: [whole], ends: [word.length] };
    if (codePoints(word) > MAX_WORD) return { ids: [unknown], ends: [word.length] };
    const found: number[] = [];
    const ends: number[] = [];
    let start = 0;
    while (start < word.length) {
      let end = Math.min(word.length, start + longest);
      let id: number | undefined;
      for (; end > start; end--) {
        const piece = word.slice(start, end);
        id = ids.get(start === 0 ? piece : `##${piece}`);
        if (id !== undefined) break;
      }
      if (id === undefined) return { ids: [unknown], ends: [word.length] };
      found.push(id);
      ends.push(end);
      start = end;
    }
    return { ids: found, ends };
  };

  const pieces = (word: string) => {
    let known = cache.get(word);
    if (!known) {
      known = split(word);
      if (cache.size >= CACHE_SIZE) cache.clear();
      cache.set(word, known);
    }
    return known;
  };
  return { pieces, ids: (word) => pieces(word).ids };
}

function codePoints(word: string): number {
  let count = 0;
  for (const _ of word) count++;
  return count;
}
