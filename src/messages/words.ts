// Numbers with their nouns, and lists.

/** "1 layer", "3 layers". */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A file may have ten thousand columns, and a line of an error has room for some. */
const MOST_LISTED = 20;

/** "a, b, c", or the first twenty of more and how many those are. */
export function listed(words: readonly string[]): string {
  const more = words.length - MOST_LISTED;
  return [...words.slice(0, MOST_LISTED), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
