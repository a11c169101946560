// Texts out of files that anybody may have written, for a line of an error: nothing in them that a terminal obeys.

const LONGEST = 120;

const visible = (character: string) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`;

/** A text on one line, its control and invisible characters written out. */
export const onOneLine = (text: string): string => text.replace(/[\p{C}\u2028\u2029]/gu, visible);

/** A name on one line, cut where it is long. */
export const printable = (name: string): string =>
  onOneLine(name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name);

/** A message, whose own line ends and tabs stay. */
export const withoutControls = (message: string): string => message.replace(/(?![\n\t])\p{Cc}/gu, visible);

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const OBEYED = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Output as a terminal shows it: line ends and tabs stay, what else moves its cursor or turns its text is written out. JSON stays the same JSON. */
export const forTerminal = (text: string): string =>
  text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
