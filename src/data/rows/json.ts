// JSON lines, or one JSON array -> objects. An array is cut into its elements as it comes, so that one of any length
// takes no more memory than its longest element.

import { dataError, oneLine } from "../../errors/errors";
import { parseJson } from "../../files/json";
import { countLines, LONGEST, splitLines, type TextBlock } from "./text-blocks";

export interface JsonRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly cells: Readonly<Record<string, unknown>>;
  /** Why there is no object. */
  readonly problem?: string;
}

/** Records in the order of the file, as many at a time as have come. An array is told by its first character. */
export async function* jsonRecords(
  blocks: AsyncIterable<TextBlock>,
  name: string,
): AsyncGenerator<JsonRecord[], void, undefined> {
  let elements: ArrayElements | null | undefined;
  let blank: JsonRecord[] = [];
  for await (const { text, line } of blocks) {
    if (elements === undefined && text.trim() !== "") {
      elements = text.trimStart().startsWith("[") ? new ArrayElements(name) : null;
      if (elements === null) yield blank;
      blank = [];
    }
    if (elements) yield elements.read(text, line);
    else {
      const records = splitLines(text).map((written, i) => toRecord(written, line + i));
      if (elements === null) yield records;
      else blank = blank.concat(records);
    }
  }
  elements?.end();
}

function toRecord(written: string, line: number): JsonRecord {
  if (written.trim() === "") return { line, cells: {}, problem: "empty line" };
  try {
    const value = parseExactly(written);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return { line, cells: value as Record<string, unknown> };
    }
    return { line, cells: {}, problem: "not a JSON object" };
  } catch (error) {
    const open = /^\s*\{/.test(written) && written.split("{").length > written.split("}").length;
    return { line, cells: {}, problem: open ? OPEN : `not JSON (${oneLine(error)})` };
  }
}

const OPEN = "not JSON (an object begins and does not end in this line)";

const LONG_NUMBER = /(?<![\d.])\d{16}|\de\+?\d{3}/i;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi;

/** Numbers that JavaScript's cannot hold (ids of 64 bits have more digits) become texts with the digits that they have. */
function parseExactly(written: string): unknown {
  const value = parseJson(written);
  if (!LONG_NUMBER.test(written)) return value;
  return JSON.parse(written.replace(TOKEN, (token) => (isExact(token) ? token : `"${token}"`)));
}

/** Whether a whole number is written again with the same digits, and any other is finite. */
function isExact(token: string): boolean {
  if (token.startsWith('"')) return true;
  return /[.e]/i.test(token) ? Number.isFinite(Number(token)) : token === "-0" || String(Number(token)) === token;
}

const [LINE_FEED, QUOTE, COMMA, BACKSLASH] = [0x0a, 0x22, 0x2c, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (code: number) => code === 0x20 || code === LINE_FEED || code === 0x09 || code === 0x0d;

/** The elements of an array that comes in blocks. Whether each is JSON is for JSON.parse to say. */
class ArrayElements {
  private readonly name: string;
  private where: "before" | "inside" | "after" = "before";
  /** Arrays and objects that are open inside of the element in hand. */
  private depth = 0;
  private quoted = false;
  /** What earlier blocks had of that element, and the line after which it comes. */
  private begun = "";
  private line = 1;
  private count = 0;

  constructor(name: string) {
    this.name = name;
  }

  read(text: string, line: number): JsonRecord[] {
    const records: JsonRecord[] = [];
    if (this.where === "before") this.line = line;
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.quoted) {
        if (code === BACKSLASH) at++;
        else if (code === QUOTE || code === LINE_FEED) this.quoted = false; // no JSON string goes over a line's end
      } else if (this.where === "after") {
        if (!isSpace(code)) throw this.error(text.slice(0, at), line, "there is more behind the array's end");
      } else if (code === QUOTE) this.quoted = true;
      else if (this.where === "before") {
        if (code !== OPEN_ARRAY) continue;
        this.where = "inside";
        this.line += countLines(text.slice(0, at));
        from = at + 1;
      } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) this.depth++;
      else if (this.depth > 0 && (code === CLOSE_ARRAY || code === CLOSE_OBJECT)) this.depth--;
      else if (this.depth === 0 && (code === COMMA || code === CLOSE_ARRAY)) {
        if (code === CLOSE_ARRAY) this.where = "after";
        records.push(...this.element(text.slice(from, at)));
        from = at + 1;
      }
    }
    if (this.where === "inside") this.begun += text.slice(from);
    if (this.begun.length > LONGEST) {
      throw this.error("", this.line, `an element of the array is longer than ${LONGEST / 2 ** 20} MiB`);
    }
    return records;
  }

  end(): void {
    if (this.where !== "after") throw this.error(this.begun, this.line, "the array has no end");
  }

  /** None where the array is empty. */
  private element(end: string): JsonRecord[] {
    const written = this.begun + end;
    const element = written.trimStart();
    const line = this.line + countLines(written.slice(0, written.length - element.length));
    this.line += countLines(written);
    this.begun = "";
    if (element === "" && this.where === "after" && this.count === 0) return [];
    this.count++;
    return [element === "" ? { line, cells: {}, problem: "nothing between two commas" } : toRecord(element, line)];
  }

  private error(before: string, line: number, what: string): Error {
    return dataError(`${this.name}: line ${line + countLines(before)}: ${what}; is the file whole?`);
  }
}
