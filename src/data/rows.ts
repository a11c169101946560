// A data file's bytes -> raw rows: the cells that a task names, as text, with their line numbers.
// Formats are TSV, CSV and JSON lines, in UTF-8. Lines end at \n only (one \r before it goes): GLUE's texts may hold
// U+0085 and U+2028. Quotes are ordinary characters unless the source says csv: GLUE has many odd ones, and PapaParse's
// default quoting would swallow half of MRPC's rows. Whether a cell is a known label is for read-split.ts to judge.

import { isUtf8 } from "node:buffer";
import Papa from "papaparse";
import { dataError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import { counted } from "../messages/words";
import type { Column, SplitSource } from "../tasks/task";

/** What a cell is for; also its key in `Columns`. */
type Role = "text" | "pair" | "label" | "index";

export interface RawRow {
  /** In the file, from 1; the first of a quoted row that goes over several. */
  readonly line: number;
  /** Cells by role; a role that the source names is missing only where `problem` says so or the label is optional. */
  readonly cells: Readonly<Partial<Record<Role, string>>>;
  /** Why the row cannot be read. */
  readonly problem?: string;
}

/**
 * The data rows of a file, broken ones among them.
 * @throws UserError (exit code 3) for an encoding other than UTF-8, an empty file, a missing column
 */
export function parseRows(bytes: Buffer, source: SplitSource, file: string): RawRow[] {
  if (!isUtf8(bytes)) {
    throw dataError(`${file}: line ${firstLineNotUtf8(bytes)} is not UTF-8; save the file as UTF-8`);
  }
  // TextDecoder removes a byte order mark: MRPC's files begin with one.
  const text = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n").replace(/\r$/, "").replace(/\n+$/, "");
  if (text.trim() === "") throw dataError(`${file}: the file is empty; put the rows there or fetch it again`);
  const rows = source.format === "jsonl" ? jsonRows(text, source, file) : delimitedRows(text, source, file);
  if (rows.length === 0) throw dataError(`${file}: there is a header and no row; fetch the file again`);
  return rows;
}

function firstLineNotUtf8(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start); // never part of a longer character in UTF-8
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  return line;
}

function delimitedRows(text: string, source: SplitSource, file: string): RawRow[] {
  const quoted = source.quotes === "csv";
  const parsed = Papa.parse<string[]>(text, {
    delimiter: source.format === "csv" ? "," : "\t",
    newline: "\n",
    quoteChar: quoted ? '"' : "", // null or undefined would mean '"'
    fastMode: !quoted,
  });
  const quoteProblems = new Map(parsed.errors.map((error) => [error.row, error.message]));
  const header = source.header ? (parsed.data[0] ?? []).map((name) => name.trim()) : null;
  const width = header?.length ?? mostCommonWidth(parsed.data);
  const positions = resolveColumns(source, file, header, width);

  const rows: RawRow[] = [];
  let line = 1;
  for (const [i, cells] of parsed.data.entries()) {
    const problem = quoteProblems.get(i) ?? widthProblem(cells, width, header !== null);
    if (!(header && i === 0)) {
      const picked = Object.fromEntries(positions.map(([role, position]) => [role, cells[position]]));
      rows.push(problem === undefined ? { line, cells: picked } : { line, cells: {}, problem });
    }
    line += quoted ? cells.reduce((count, cell) => count + cell.split("\n").length - 1, 1) : 1;
  }
  return rows;
}

/** The width that most rows of a file without a header have: one broken row must not decide it. */
function mostCommonWidth(rows: readonly (readonly string[])[]): number {
  const counts = new Map<number, number>();
  for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [0, 0] as [number, number])[0];
}

/** A row of another width is broken: its cells may have moved. Empty cells at its end are harmless. */
function widthProblem(cells: readonly string[], width: number, hasHeader: boolean): string | undefined {
  if (cells.length === 1 && cells[0]?.trim() === "" && width > 1) return "empty line";
  if (cells.length === width || (cells.length > width && cells.slice(width).every((cell) => cell === ""))) {
    return undefined;
  }
  return `${counted(cells.length, "column")}, ${hasHeader ? "the header has" : "most rows have"} ${width}`;
}

/** Positions of the source's columns. */
function resolveColumns(
  source: SplitSource,
  file: string,
  header: readonly string[] | null,
  width: number,
): [Role, number][] {
  return (Object.entries(source.columns) as [Role, Column][]).flatMap(([role, column]) => {
    const position = header ? header.indexOf(String(column)) : Number(column);
    if (position >= 0 && position < width) return [[role, position]];
    if (role === "label" && source.labelOptional) return [];
    throw header
      ? missingColumn(source, file, column, header)
      : dataError(
          `${file}: there is no column ${column} (from 0) for the ${role}: rows have ${counted(width, "column")}; ` +
            "the file is another task's or another split's",
        );
  });
}

function missingColumn(source: SplitSource, file: string, column: Column, found: readonly string[]): Error {
  const taken = Object.values(source.columns);
  const free = found.filter((name) => !taken.includes(name));
  const names = found.map((name) => `"${name}"`).join(", ");
  return dataError(
    `${file}: there is no column "${column}"${didYouMean(String(column), free)}; the file has ${names}; ` +
      "name its columns so, or put the right file there",
  );
}

function jsonRows(text: string, source: SplitSource, file: string): RawRow[] {
  const columns = Object.entries(source.columns) as [Role, Column][];
  const objects = text.split("\n").map(parseObject);
  for (const [role, column] of columns) {
    const somewhere = objects.some((object) => typeof object !== "string" && Object.hasOwn(object, column));
    const first = objects.find((object) => typeof object !== "string");
    if (!somewhere && first && !(role === "label" && source.labelOptional)) {
      throw missingColumn(source, file, column, Object.keys(first));
    }
  }
  return objects.map((object, i) => {
    const line = i + 1;
    return typeof object === "string" ? { line, cells: {}, problem: object } : pickCells(object, columns, source, line);
  });
}

/** The object on a line, or why there is none. */
function parseObject(line: string): Record<string, unknown> | string {
  if (line.trim() === "") return "empty line";
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    return "not a JSON object";
  } catch (error) {
    return `not JSON (${(error as Error).message})`;
  }
}

function pickCells(
  object: Record<string, unknown>,
  columns: readonly [Role, Column][],
  source: SplitSource,
  line: number,
): RawRow {
  const cells: Partial<Record<Role, string>> = {};
  for (const [role, column] of columns) {
    const value = object[column];
    const isText = role === "text" || role === "pair";
    const separator = role === "label" ? source.labelSeparator : undefined;
    if (separator !== undefined && Array.isArray(value) && value.every(isPlain)) {
      cells[role] = value.join(separator);
    } else if (typeof value === "string" || (!isText && (typeof value === "number" || typeof value === "boolean"))) {
      cells[role] = String(value);
    } else if (!(role === "label" && source.labelOptional && (value === undefined || value === null))) {
      const wanted = isText ? "a string" : separator === undefined ? "a string or a number" : "an array of strings";
      const problem = value === undefined ? `no "${column}"` : `"${column}" is ${JSON.stringify(value)}, not ${wanted}`;
      return { line, cells: {}, problem };
    }
  }
  return { line, cells };
}

const isPlain = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);
