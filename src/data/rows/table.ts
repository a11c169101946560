// A file of rows -> a table: the names of its columns, and its rows as they come, broken ones among them with what is
// wrong. What columns are for, and what cells may say, is for others to judge.

import { dataError } from "../../errors/errors";
import { counted } from "../../messages/words";
import { type Format, isKeyed } from "../../tasks/format";
import type { Columns } from "../../tasks/task";
import { type DelimitedRecord, delimitedRecords } from "./delimited";
import { filesIn, folderRecords } from "./folder";
import { type JsonRecord, jsonRecords } from "./json";
import { parquetRecords } from "./parquet";
import { CR_ALONE, headerAdvice } from "./strange";
import { type ByteSource, textBlocks } from "./text-blocks";
import { checkedWords, wordRecords } from "./words";

export interface TableRow {
  /** In the file, from 1; the first of a row that goes over several. */
  readonly line: number;
  /** By position, or by key where rows carry their keys. Of words in columns a list by position. */
  readonly cells: readonly string[] | Readonly<Record<string, unknown>>;
  /** Why the row cannot be read. */
  readonly problem?: string;
  /** Lines that an open quote made one row of, which people count as rows. */
  readonly lines?: number;
}

/** How to read a file. */
export interface Layout {
  readonly format: Format;
  /** Of no matter where rows carry their keys. */
  readonly header: boolean;
  readonly quotes: "ordinary" | "csv";
  /** Of a folder, the files to read by what they are for; others in it are let alone. */
  readonly columns?: Partial<Columns>;
}

export interface Table {
  /** Of its columns; of rows that carry their keys, those that the first rows have. Null without a header. */
  readonly names: readonly string[] | null;
  /** Columns of a row; 0 where rows carry their keys. */
  readonly width: number;
  readonly rows: AsyncGenerator<readonly TableRow[], void, undefined>;
}

/** Rows that decide what a file does not say of itself: its width without a header, its keys. */
const AHEAD = 4096;

/**
 * Throws dataError (3) for a file that is empty, no text, or open quotes in its header; the rows' generator throws it
 * for bytes further down that are no text.
 */
export async function openTable(source: ByteSource, layout: Layout): Promise<Table> {
  if (layout.format === "conll") return openWords(source);
  if (layout.format === "folder") return openFolder(source.name, layout.columns ?? {});
  return isKeyed(layout.format) ? openKeyed(source, layout.format) : openDelimited(source, layout);
}

async function openWords(source: ByteSource): Promise<Table> {
  const { first, all } = await lookAhead(wordRecords(textBlocks(source)));
  if (first.length === 0) throw emptyFile(source.name);
  const [only] = first;
  if (first.length === 1 && only?.cells.some(([word = "", ...more]) => more.length === 0 && word.includes("\r"))) {
    throw dataError(`${source.name}: ${CR_ALONE}`);
  }
  const width = mostCommonWidth(first.filter(({ problem }) => problem === undefined));
  async function* rows() {
    for await (const batch of all) {
      yield batch.map((record): TableRow => {
        const { cells, ...row } = checkedWords(record, width);
        return { ...row, cells: { ...cells } };
      });
    }
  }
  return { names: null, width, rows: rows() };
}

async function openFolder(folder: string, columns: NonNullable<Layout["columns"]>): Promise<Table> {
  const wanted = Object.values(columns).map(String);
  const names = await filesIn(folder);
  return {
    names,
    width: 0,
    rows: folderRecords(
      folder,
      wanted.filter((name) => names.includes(name)),
    ),
  };
}

const delimiting = ({ format, quotes }: Layout) => ({ delimiter: format === "csv" ? "," : "\t", quotes }) as const;

/** The cells of the first line that is not blank; null where there is none. */
export async function firstCells(source: ByteSource, layout: Layout): Promise<readonly string[] | null> {
  for await (const records of delimitedRecords(textBlocks(source), delimiting(layout), source.name)) {
    const first = records.find((record) => !isBlank(record));
    if (first) return first.cells;
  }
  return null;
}

async function openDelimited(source: ByteSource, layout: Layout): Promise<Table> {
  const records = delimitedRecords(textBlocks(source), delimiting(layout), source.name);
  const { first, all } = await lookAhead(records);
  const begin = first.findIndex((record) => !isBlank(record));
  if (begin < 0) throw emptyFile(source.name);
  const header = layout.header ? (first[begin] as DelimitedRecord) : null;
  if (header?.problem !== undefined) {
    throw dataError(`${source.name}: line ${header.line}, the header: ${header.problem}; close the quote`);
  }
  const names = header ? header.cells.map((name) => name.trim()) : null;
  if (names && first.length === begin + 1 && names.some((name) => name.includes("\r"))) {
    throw dataError(`${source.name}: ${headerAdvice(names, layout)}`);
  }
  const width = names?.length ?? mostCommonWidth(first);
  const below = behind(all, header ? begin + 1 : 0);
  // Of one column, an empty line is a row whose cell is empty.
  const rows = width === 1 ? below : withoutEmptyEnd(below, isEmptyLine, (line) => ({ line, cells: [""] }));
  return { names, width, rows: checked(rows, width, layout) };
}

async function openKeyed(source: ByteSource, format: Format): Promise<Table> {
  const records = format === "parquet" ? parquetRecords(source.name) : jsonRecords(textBlocks(source), source.name);
  const { first, all } = await lookAhead(records);
  if (first.every(({ problem }) => problem === EMPTY)) throw emptyFile(source.name);
  const told = first.find(({ problem }) => problem !== EMPTY);
  if (told?.problem !== undefined && first.every(({ problem }) => problem !== undefined)) {
    throw dataError(
      `${source.name}: no row can be read, line ${told.line}: ${told.problem}; JSON is one object a line, or one array of objects`,
    );
  }
  const keys = new Set<string>();
  for (const { cells } of first) {
    for (const [key, value] of Object.entries(cells)) if (value !== null && value !== undefined) keys.add(key);
  }
  const empty = (line: number): JsonRecord => ({ line, cells: {}, problem: EMPTY });
  return { names: [...keys], width: 0, rows: withoutEmptyEnd(all, ({ problem }) => problem === EMPTY, empty) };
}

const EMPTY = "empty line";

const isEmptyLine = ({ cells }: DelimitedRecord) => cells.length === 1 && cells[0] === "";
const isBlank = ({ cells }: DelimitedRecord) => cells.length === 1 && (cells[0] as string).trim() === "";

const emptyFile = (name: string): Error =>
  dataError(`${name}: the file is empty; put the rows there or fetch it again`);

/** The first records, and all of them again. */
async function lookAhead<R>(
  batches: AsyncGenerator<R[], void, undefined>,
): Promise<{ first: R[]; all: AsyncGenerator<R[], void, undefined> }> {
  const seen: R[][] = [];
  let count = 0;
  let done = false;
  while (count < AHEAD && !done) {
    const next = await batches.next();
    if (next.done) done = true;
    else {
      seen.push(next.value);
      count += next.value.length;
    }
  }
  const first = seen.flat();
  async function* all() {
    try {
      yield* seen;
      if (!done) yield* batches;
    } finally {
      await batches.return();
    }
  }
  return { first, all: all() };
}

/** Without the first records. */
async function* behind<R>(batches: AsyncGenerator<R[], void, undefined>, count: number) {
  let left = count;
  for await (const batch of batches) {
    if (left === 0) yield batch;
    else {
      const rest = batch.slice(left);
      left -= batch.length - rest.length;
      if (rest.length > 0) yield rest;
    }
  }
}

/** Without the empty lines that a file may end with. */
async function* withoutEmptyEnd<R extends TableRow>(
  batches: AsyncGenerator<R[], void, undefined>,
  isEmpty: (record: R) => boolean,
  empty: (line: number) => R,
): AsyncGenerator<R[], void, undefined> {
  let held = { line: 0, count: 0 };
  for await (const batch of batches) {
    const end = batch.findLastIndex((record) => !isEmpty(record)) + 1;
    for (let from = 0; end > 0 && from < held.count; from += AHEAD) {
      const { line, count } = held;
      yield Array.from({ length: Math.min(AHEAD, count - from) }, (_, i) => empty(line + from + i));
    }
    if (end > 0) {
      held = { line: batch[end]?.line ?? 0, count: batch.length - end };
      yield end === batch.length ? batch : batch.slice(0, end);
    } else {
      held = { line: held.count > 0 ? held.line : (batch[0]?.line ?? 0), count: held.count + batch.length };
    }
  }
}

/** The width that most rows of a file without a header have: one broken row must not decide it. */
function mostCommonWidth(records: readonly { readonly cells: { readonly length: number } }[]): number {
  const counts = new Map<number, number>();
  for (const { cells } of records) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [0, 0] as [number, number])[0];
}

async function* checked(
  batches: AsyncGenerator<DelimitedRecord[], void, undefined>,
  width: number,
  layout: Layout,
): AsyncGenerator<readonly TableRow[], void, undefined> {
  const check = (record: DelimitedRecord): TableRow => {
    if (record.problem !== undefined || record.cells.length === width) return record;
    const problem = widthProblem(record.cells, width, layout);
    return problem === undefined ? record : { ...record, problem };
  };
  for await (const batch of batches) yield batch.map(check);
}

/** A row of another width is broken: its cells may have moved. Empty cells at its end are harmless. */
function widthProblem(cells: readonly string[], width: number, { header, quotes }: Layout): string | undefined {
  if (cells.length === 1 && cells[0]?.trim() === "") return EMPTY;
  if (cells.length > width && cells.slice(width).every((cell) => cell === "")) return undefined;
  const problem = `${counted(cells.length, "column")}, ${header ? "the header has" : "most rows have"} ${width}`;
  const opened =
    quotes === "ordinary" && cells.some((cell) => cell.startsWith('"') && cell.split('"').length % 2 === 0);
  return opened ? `${problem}, and a double quote is open: where quotes are CSV's, say quotes: csv` : problem;
}
