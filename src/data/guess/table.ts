// A file of rows as a table, before anybody has said what its columns are for.

import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import Papa from "papaparse";
import { dataError } from "../../errors/errors";
import type { SplitSource } from "../../tasks/task";

export type Layout = Pick<SplitSource, "format" | "header" | "quotes">;

export interface TableRow {
  /** By position, or by key where rows carry their keys. */
  readonly cells: readonly string[] | Readonly<Record<string, unknown>>;
  /** In the file, from 1; the first of a row that goes over several. */
  readonly line: number;
  /** Why the row cannot be read. */
  readonly problem?: string;
  /** Lines that an open quote made one row of. */
  readonly lines?: number;
}

export interface Table {
  /** Null without a header. */
  readonly names: readonly string[] | null;
  readonly rows: readonly TableRow[];
}

/** Throws dataError (3) for a file that cannot be read, is empty or no UTF-8. */
export async function readTable(file: string, { format, header, quotes }: Layout): Promise<Table> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw dataError(`${file}: cannot be read (${cause.code}); check that it is a file and its permissions`, cause);
  });
  if (!isUtf8(bytes)) throw dataError(`${file} is not UTF-8; save the file as UTF-8`);
  const text = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n").replace(/\n+$/, "");
  if (text.trim() === "") throw dataError(`${file}: the file is empty; give one with rows`);
  if (format === "jsonl") return keyedTable(text);
  const parsed = Papa.parse<string[]>(text, {
    delimiter: format === "csv" ? "," : "\t",
    newline: "\n",
    quoteChar: quotes === "csv" ? '"' : "",
    fastMode: quotes !== "csv",
  });
  const problems = new Map(parsed.errors.map((error) => [error.row, error.message]));
  const [first = []] = parsed.data;
  const names = header ? first.map((name) => name.trim()) : null;
  let line = 1;
  const rows = parsed.data.map((cells, i): TableRow => {
    const problem = problems.get(i);
    const row = { cells, line };
    const lines = cells.reduce((count, cell) => count + cell.split("\n").length - 1, 1);
    line += lines;
    return problem === undefined ? row : { ...row, problem, lines };
  });
  return { names, rows: header ? rows.slice(1) : rows };
}

function keyedTable(text: string): Table {
  const rows = text.split("\n").map((written, i): TableRow => {
    const line = i + 1;
    try {
      const value: unknown = JSON.parse(written);
      const isRow = typeof value === "object" && value !== null && !Array.isArray(value);
      return isRow
        ? { line, cells: value as Record<string, unknown> }
        : { line, cells: {}, problem: "not a JSON object" };
    } catch {
      return { line, cells: {}, problem: "not JSON" };
    }
  });
  return { names: [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))], rows };
}
