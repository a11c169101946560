// TSV and CSV -> records of cells. Where quotes are ordinary characters a line is a record; where they are RFC 4180's,
// PapaParse reads what has come, and what it cannot finish yet waits for more.

import Papa from "papaparse";
import { dataError } from "../../errors/errors";
import { countLines, LONGEST, splitLines, type TextBlock } from "./text-blocks";

export interface DelimitedRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
  /** What is wrong with its quotes. */
  readonly problem?: string;
  /** Where its quotes are wrong: the lines that it takes, if more than one. */
  readonly lines?: number;
}

export interface Delimiting {
  readonly delimiter: "," | "\t";
  /** "ordinary": a double quote is a character like any other. "csv": RFC 4180. */
  readonly quotes: "ordinary" | "csv";
}

/** Records in the order of the file, as many at a time as have come. */
export function delimitedRecords(
  blocks: AsyncIterable<TextBlock>,
  { delimiter, quotes }: Delimiting,
  name: string,
): AsyncGenerator<DelimitedRecord[], void, undefined> {
  return quotes === "ordinary" ? plainRecords(blocks, delimiter) : quotedRecords(blocks, delimiter, name);
}

async function* plainRecords(blocks: AsyncIterable<TextBlock>, delimiter: string): AsyncGenerator<DelimitedRecord[]> {
  for await (const { text, line } of blocks) {
    yield splitLines(text).map((written, i) => ({ line: line + i, cells: written.split(delimiter) }));
  }
}

async function* quotedRecords(
  blocks: AsyncIterable<TextBlock>,
  delimiter: string,
  name: string,
): AsyncGenerator<DelimitedRecord[]> {
  const parser = new Papa.Parser({ delimiter, newline: "\n" });
  let held: string[] = [];
  let size = 0;
  let line = 1;
  // An unfinished record is read again from its start: only once it has doubled, or a long one would take forever.
  let enough = 0;
  const parse = (last: boolean): DelimitedRecord[] => {
    const text = last ? held.join("").replace(/\n$/, "") : held.join("");
    const parsed: Papa.ParseResult<string[]> = parser.parse(text, 0, !last);
    const problems = new Map(parsed.errors.map((error) => [error.row, error]));
    const begin = line;
    const records = parsed.data.map((cells, i): DelimitedRecord => {
      const lines = linesOfCells(cells);
      const error = problems.get(i);
      const record = { line, cells };
      line += lines;
      if (error === undefined) return record;
      if (lines === 1) return { ...record, problem: error.message };
      const opened = begin + countLines(text.slice(0, error.index));
      const where = opened === record.line ? "" : `, opened in line ${opened}`;
      return { ...record, problem: error.message + where, lines };
    });
    const rest = last ? "" : text.slice(parsed.meta.cursor);
    held = [rest];
    size = rest.length;
    enough = 2 * size;
    return records;
  };
  for await (const { text } of blocks) {
    held.push(text);
    size += text.length;
    if (size > LONGEST) throw tooLong(name, line);
    if (size < enough) continue;
    const records = parse(false);
    if (records.length > 0) yield records;
  }
  if (size > 0) yield parse(true);
}

const linesOfCells = (cells: readonly string[]) => cells.reduce((lines, cell) => lines + countLines(cell), 1);

const tooLong = (name: string, line: number): Error =>
  dataError(
    `${name}: the row that begins in line ${line} is longer than ${LONGEST / 2 ** 20} MiB: ` +
      "a quote is open there that nothing closes. Close it, or double quotes inside of quotes",
  );
