// Texts out of files that anybody may have written, for a line of an error: nothing in them that a terminal obeys.

const LONGEST = 120;

const visible = (character: string) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`;

/** A text on one line, its control and invisible characters written out. */
export const onOneLine = (text: string): string => text.replace(/[\p{C}\u2028\u2029]/gu, visible);

/** A name on one line, cut where it is long. */
export const printable = (name: string): string =>
  onOneLine(name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name);

/** A message, whose own line ends stay. */
export const withoutControls = (message: string): string => message.replace(/(?!\n)\p{Cc}/gu, visible);
