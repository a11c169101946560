// Texts out of files that anybody may have written, for a line of an error: nothing in them that a terminal obeys.

const LONGEST = 120;

const visible = (character: string) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`;

/** A text on one line, its control and invisible characters written out. */
export const onOneLine = (text: string): string => text.replace(/[\p{C}\u2028\u2029]/gu, visible);

/** A name on one line, cut where it is long. */
export const printable = (name: string): string =>
  onOneLine(name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name);

/** Of a line of a message; a path is at most 4,096. Its end says what to do next, so it is the middle that goes. */
const LONGEST_LINE = 4_000;
const KEPT_END = 1_000;

/** A line of a message: line ends and what a terminal obeys are written out, the middle of an endless one is left out. */
export function messageLine(text: string): string {
  const line = text.replace(/\n|\u2028|\u2029/g, visible).replace(OBEYED, visible);
  const left = line.length - LONGEST_LINE;
  if (left <= 0) return line;
  return `${line.slice(0, LONGEST_LINE - KEPT_END)} ... ${left} characters ... ${line.slice(-KEPT_END)}`;
}

/** What `shown` goes into, and how many items it names of a list or an object. */
const DEEPEST = 3;
const MOST_ITEMS = 8;

/**
 * A value that a file holds, for a message: as JSON writes it, but for what would be endless. What JSON.stringify does not
 * survive, a circle or 60,000 brackets, is a file's to hold.
 */
export const shown = (value: unknown): string => printable(written(value, 0));

/** As String of a value that a file holds, which may be an object with a toString of its own that is no function. */
export function asText(value: unknown): string {
  if (Array.isArray(value)) return value.map(asText).join(",");
  return typeof value === "object" && value !== null ? shown(value) : String(value);
}

function written(value: unknown, depth: number): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}...` : value);
  if (typeof value !== "object" || value === null) return String(value);
  const list = Array.isArray(value);
  const [open, close] = list ? "[]" : "{}";
  const keys = Object.keys(value);
  if (depth === DEEPEST && keys.length > 0) return `${open}...${close}`;
  const items = keys.slice(0, MOST_ITEMS).map((key) => {
    const item = written((value as Readonly<Record<string, unknown>>)[key], depth + 1);
    return list ? item : `${written(key, 0)}:${item}`;
  });
  return `${open}${items.join(",")}${keys.length > MOST_ITEMS ? ",..." : ""}${close}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const OBEYED = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Output as a terminal shows it: line ends and tabs stay, what else moves its cursor or turns its text is written out. JSON stays the same JSON. */
export const forTerminal = (text: string): string =>
  text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
