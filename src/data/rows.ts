// A split's file -> raw rows: the cells that a task names, as text, with their line numbers. Quotes are ordinary characters
// unless the source says csv: GLUE has many odd ones, and RFC 4180's would swallow half of MRPC's rows. Whether a cell is a
// known label is for read-split.ts to judge.

import path from "node:path";
import { dataError } from "../errors/errors";
import { shown } from "../errors/printable";
import { didYouMean } from "../messages/nearest";
import { counted, listed } from "../messages/words";
import { formatByName, isKeyed } from "../tasks/format";
import type { Column, Columns, SplitSource } from "../tasks/task";
import { joinWords, type TextRange, wordList } from "../tasks/words";
import { headerAdvice } from "./rows/strange";
import { firstCells, openTable, type Table, type TableRow } from "./rows/table";
import type { ByteSource } from "./rows/text-blocks";

/** What a cell is for. */
type Role = keyof Columns;

export interface RawRow {
  /** In the file, from 1; the first of a row that goes over several. */
  readonly line: number;
  /** Cells by role; a role that the source names is missing only where `problem` says so or the label is optional. */
  readonly cells: Readonly<Partial<Record<Role, string>>>;
  /** Why the row cannot be read. */
  readonly problem?: string;
  /** Lines that an open quote made one row of. */
  readonly lines?: number;
  /** Where the text's words stand, if the file says it. */
  readonly words?: readonly TextRange[];
}

/** A role and where its cells stand: a position, or a key. */
type Position = readonly [Role, number | string];

export interface SplitRows {
  /** As it is read: the source's own form, or the one that the file has. */
  readonly source: SplitSource;
  readonly rows: AsyncGenerator<RawRow[], void, undefined>;
}

/**
 * The data rows of a split's file, broken ones among them.
 * @throws UserError (exit code 3) for an empty file, a missing column; the rows throw it for bytes that are no text
 */
export async function openRows(bytes: ByteSource, declared: SplitSource): Promise<SplitRows> {
  const source = await formOf(bytes, declared);
  const table = await openTable(bytes, source);
  const positions = positionsOf(table, source, bytes.name);
  return { source, rows: pickedRows(table, positions, source, bytes.name) };
}

async function* pickedRows(table: Table, positions: readonly Position[], source: SplitSource, name: string) {
  let count = 0;
  for await (const rows of table.rows) {
    count += rows.length;
    yield rows.map((row) => pickCells(row, positions, source));
  }
  if (count === 0) throw dataError(`${name}: there is a header and no row; fetch the file again`);
}

/** The source as the file has it: GLUE's rows are kept in more than one form. */
export async function formOf(bytes: ByteSource, declared: SplitSource): Promise<SplitSource> {
  const { exported } = declared;
  if (!exported) return declared;
  const renamed = path.basename(bytes.name) !== path.basename(declared.file);
  const source = { ...declared, format: (renamed && formatByName(bytes.name)) || declared.format };
  const names = await namesIn(bytes, source);
  const has = (columns: Columns, roles: readonly Role[]) =>
    roles.every((role) => columns[role] === undefined || names.includes(String(columns[role])));
  const marked = exported.columns.index !== undefined && names.includes(String(exported.columns.index));
  const headed = source.header || isKeyed(source.format);
  const own = !headed || has(source.columns, ["text", "pair", "label", "index"]);
  if ((own && !marked) || !has(exported.columns, ["text", "pair", "label"])) return source;
  const { index, ...columns } = exported.columns;
  return {
    ...source,
    header: true,
    quotes: "csv", // as pandas and Arrow write both TSV and CSV
    columns: { ...columns, ...(marked ? { index } : {}) },
    ...(exported.spellings ? { spellings: exported.spellings } : {}),
  };
}

/** The keys of the rows, or what may be a header. */
async function namesIn(bytes: ByteSource, source: SplitSource): Promise<readonly string[]> {
  if (isKeyed(source.format)) {
    const table = await openTable(bytes, source);
    await table.rows.return();
    return table.names ?? [];
  }
  const cells = (await firstCells(bytes, { ...source, quotes: "ordinary" })) ?? [];
  return cells.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
}

/** Where the source's columns stand. Throws dataError (3) for one that the file lacks, unless it is an optional label. */
function positionsOf(table: Table, source: SplitSource, file: string): Position[] {
  const { names, width } = table;
  return (Object.entries(source.columns) as [Role, Column][]).flatMap(([role, column]): Position[] => {
    const position = names ? onlyPosition(names, String(column), file) : Number(column);
    const keyed = isKeyed(source.format);
    if (position >= 0 && (names || position < width)) return [[role, keyed ? String(column) : position]];
    // Later rows may have the key that the first ones lack.
    if (role === "label" && source.labelOptional) return keyed ? [[role, String(column)]] : [];
    throw names
      ? missingColumn(source, file, column, names)
      : dataError(
          `${file}: there is no column ${column} (from 0) for the ${role}: rows have ${counted(width, "column")}; ` +
            "the file is another task's or another split's",
        );
  });
}

/** Throws dataError (3) for a name that two columns have: nobody can say which is meant. -1 for a name that none has. */
export function onlyPosition(names: readonly string[], column: string, file: string): number {
  const position = names.indexOf(column);
  if (names.lastIndexOf(column) === position) return position;
  throw dataError(`${file}: two columns are named "${column}", and which one is meant is not said. Rename one of them`);
}

function missingColumn(source: SplitSource, file: string, column: Column, found: readonly string[]): Error {
  const taken = Object.values(source.columns);
  const free = found.filter((name) => !taken.includes(name));
  const names = listed(found.map((name) => `"${name}"`));
  const quoted = found.includes(`"${column}"`) ? "its names stand in quotes: say quotes: csv" : null;
  const advice = headerAdvice(found, source) ?? quoted ?? "name its columns so, or put the right file there";
  return dataError(
    `${file}: there is no column "${column}"${didYouMean(String(column), free)}; the file has ${names}; ${advice}`,
  );
}

/** The cells of a row by what they are for. */
function pickCells(row: TableRow, positions: readonly Position[], source: SplitSource): RawRow {
  const { line, cells: all, problem, lines } = row;
  if (problem !== undefined) return { line, cells: {}, problem, ...(lines === undefined ? {} : { lines }) };
  const cells: Partial<Record<Role, string>> = {};
  if (source.format === "conll") return pickColumns(row, positions, source);
  let words: readonly TextRange[] | undefined;
  for (const [role, at] of positions) {
    const value = (all as Readonly<Record<number | string, unknown>>)[at];
    const list = role === "text" && source.offsetUnit !== undefined ? wordList(value) : null;
    if (list) {
      const joined = joinWords(list);
      cells.text = joined.text;
      words = joined.words;
      continue;
    }
    const torn = role === "label" ? tornItem(value, source) : undefined;
    if (torn !== undefined) return { line, cells: {}, problem: torn };
    const written = typeof value === "string" ? value : asText(value, role, source);
    if (typeof written === "string") cells[role] = written;
    else if (written !== null) return { line, cells: {}, problem: wrongValue(value, role, String(at), source) };
  }
  return { line, cells, ...(words && { words }) };
}

/** Of words in columns: the text is made of them, and the labels are as many. */
function pickColumns({ line, cells: columns }: TableRow, positions: readonly Position[], source: SplitSource): RawRow {
  const cells: Partial<Record<Role, string>> = {};
  let words: readonly TextRange[] = [];
  for (const [role, at] of positions) {
    const column = (columns as Readonly<Record<number, readonly string[]>>)[Number(at)] as readonly string[];
    const problem = role === "text" ? wordsProblem(column) : tornItem(column, source);
    if (problem !== undefined) return { line, cells: {}, problem };
    if (role === "text") {
      const joined = joinWords(column);
      cells.text = joined.text;
      words = joined.words;
    } else cells[role] = column.join(source.labelSeparator);
  }
  return { line, cells, words };
}

/** Why words in a column are none; undefined where they are. */
export const wordsProblem = (column: readonly string[]): string | undefined =>
  wordList(column) ? undefined : "a line has no word before its other columns";

/** Of labels in a list, joined for the row's cell: one that would come apart again. undefined where there is none. */
function tornItem(value: unknown, { labelSeparator, offsetUnit }: SplitSource): string | undefined {
  if (labelSeparator === undefined || !Array.isArray(value)) return undefined;
  const torn = value.find((label) => typeof label === "string" && label.includes(labelSeparator));
  if (torn === undefined) return undefined;
  return offsetUnit !== undefined
    ? `the tag ${shown(torn)} has a space in it, and no tag has one`
    : `the label ${shown(torn)} has the separator "${labelSeparator}" in it: give another label-separator`;
}

const isPlain = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);

/** A value as a cell has it; null where it may lack, undefined where it is none. */
function asText(value: unknown, role: Role, source: SplitSource): string | null | undefined {
  if (role === "text" || role === "pair") return undefined;
  const separator = role === "label" ? source.labelSeparator : undefined;
  // Of words' labels: tags, or spans, of which a row may have none.
  const spans = role === "label" && source.offsetUnit !== undefined && Array.isArray(value) && !isPlain(value[0]);
  if (spans) return JSON.stringify(value);
  if (separator !== undefined && Array.isArray(value) && value.every(isPlain)) return value.join(separator);
  if (isPlain(value)) return String(value);
  return role === "label" && source.labelOptional && (value === undefined || value === null) ? null : undefined;
}

function wrongValue(value: unknown, role: Role, key: string, source: SplitSource): string {
  if (value === undefined) return `no "${key}"`;
  const isText = role === "text" || role === "pair";
  const isList = role === "label" && source.labelSeparator !== undefined;
  const list = source.offsetUnit === undefined ? "an array of strings" : "an array of spans or of tags";
  const words = role === "text" && source.offsetUnit !== undefined;
  const wanted = isText
    ? words
      ? "a string or an array of words"
      : "a string"
    : isList
      ? list
      : "a string or a number";
  return `"${key}" is ${shown(value)}, not ${wanted}`;
}
