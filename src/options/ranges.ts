// Comma lists of whole numbers, ranges of them and words: `3-9`, `2`, `same,2-5`.

import { asText } from "../errors/printable";

/** What such an option asked for, before the base is known. */
export interface Range<Word extends string> {
  readonly text: string;
  /** Each once, in the order given. */
  readonly values: readonly (number | Word)[];
  /** Numbers named one by one: what does not fit the base is an error there, where a range is cut. */
  readonly singles: readonly number[];
}

/**
 * Reader of such a list, which takes one that it has read too.
 * @param allowed what an error says that it takes
 */
export function rangeReader<Word extends string>(words: readonly Word[], least: number, allowed: string) {
  return (given: unknown): Range<Word> => {
    if (isRange<Word>(given)) return given;
    const text = asText(given);
    const singles: number[] = [];
    const values = text.split(",").flatMap((part): (number | Word)[] => {
      const written = part.trim();
      const word = words.find((known) => known === written);
      if (word !== undefined) return [word];
      const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(written);
      const first = Number(match?.[1]);
      const last = Number(match?.[2] ?? match?.[1]);
      if (!match || first < least || last < first || last > 1000) throw new Error(allowed);
      if (match[2] === undefined) singles.push(first);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    return { text, values: [...new Set(values)], singles };
  };
}

const isRange = <Word extends string>(given: unknown): given is Range<Word> =>
  typeof given === "object" && given !== null && "singles" in given && "values" in given;
