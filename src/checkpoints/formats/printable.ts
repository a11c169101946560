// Names out of files that anybody may have written, for a line of an error: short, and nothing that a terminal obeys.

const LONGEST = 120;

/** The name with control characters escaped, cut where it is long. */
export function printable(name: string): string {
  const short = name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name;
  return short.replace(
    /[\p{C}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  );
}
