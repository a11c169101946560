// Text of files and of others on a terminal: control characters would move its cursor, colour it or change its title, so
// they are shown by number. Line ends and tabs stay.

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** The text with its control characters, those of writing direction too, as \u001b: JSON stays the same JSON. */
export const printable = (text: string): string =>
  text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
