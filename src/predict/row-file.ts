// Files of rows to predict. A file is read once before any of its rows is predicted, so that what is wrong in it is told
// at once; then its rows come as they are needed, each of them, in order. Stdin and pipes come once.

import { stat } from "node:fs/promises";
import { findReading, type ReadingOptions, type ReadingPlace } from "../data/reading/find-reading";
import type { Reading } from "../data/reading/reading";
import { fileBytes, passingBytes } from "../data/rows/file-bytes";
import { firstLine, isJson, looksQuoted } from "../data/rows/layout";
import { type ByteSource, linesOf } from "../data/rows/text-blocks";
import { dataError } from "../errors/errors";
import { counted } from "../messages/words";
import type { InputRow } from "./rows";
import { type BrokenInput, openInput } from "./table-rows";

export interface RowFileOptions extends ReadingOptions {
  /** Rows also hold the cells of the file's other columns. */
  readonly keepColumns?: boolean | undefined;
}

export interface RowFile {
  readonly rows: AsyncIterable<InputRow>;
  /** Null where the rows come once, and are not counted before. */
  readonly total: number | null;
  /** Whether rows have ids. */
  readonly ids: boolean;
  /** The names of the other columns, where they are kept. */
  readonly kept: readonly string[];
  /** What should be known of how the file is read. */
  readonly notes: readonly string[];
}

/** Broken rows that an error names. */
const shownRows = 3;

/**
 * The rows of a file, or of bytes that come once: lines, of which a tab divides a pair, unless they are JSON or an option
 * says that they are a table.
 * @param of the tasks that are to be predicted: what is theirs is read as they say
 * @throws UserError (exit code 3) for a file that cannot be read, broken rows (too short, too long, open quotes, no text),
 *   columns of texts that nobody names, and tasks that read the same file differently
 */
export async function openRowFile(
  from: string | AsyncIterable<Uint8Array>,
  of: Omit<ReadingPlace, "file">,
  options: RowFileOptions = {},
): Promise<RowFile> {
  const keep = options.keepColumns ?? false;
  const file = typeof from === "string" ? from : null;
  if (file !== null && (await isPlainFile(file))) {
    const bytes = fileBytes(file);
    return checkedRows(bytes, await findReading(bytes, { ...of, file }, options), keep);
  }
  const bytes = passingBytes(file ?? "stdin", typeof from === "string" ? fileBytes(from).open() : from);
  const isTable = file !== null || keep || options.columns !== undefined || options.quotes !== undefined;
  if (!isTable && !isJson((await firstLine(bytes)) ?? "")) {
    bytes.release();
    return { rows: textLines(bytes), total: null, ids: false, kept: [], notes: [] };
  }
  const reading = await findReading(bytes, { ...of, file: null }, options);
  bytes.release();
  const { rows, ids, kept } = await openInput(bytes, reading, keep);
  return { rows: unbroken(rows, bytes.name), total: null, ids, kept, notes: [] };
}

async function isPlainFile(file: string): Promise<boolean> {
  try {
    const found = await stat(file);
    return found.isFile() || found.isDirectory(); // a folder of columns
  } catch (error) {
    throw dataError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
}

async function* textLines(bytes: ByteSource): AsyncGenerator<InputRow, void, undefined> {
  for await (const line of linesOf(bytes)) {
    const tab = line.indexOf("\t");
    yield tab < 0 ? { text: line, pair: null } : { text: line.slice(0, tab), pair: line.slice(tab + 1) };
  }
}

/** A file that is read twice: its rows are counted and found whole before the first is handed out. */
async function checkedRows(bytes: ByteSource, reading: Reading, keep: boolean): Promise<RowFile> {
  const opened = await openInput(bytes, reading, keep);
  const kept = new Set(opened.kept);
  const broken: BrokenInput[] = [];
  let [total, pairs, ids, quoted, count] = [0, 0, 0, 0, 0];
  for await (const batch of opened.rows) {
    total += batch.length;
    for (const row of batch) {
      if ("reason" in row) {
        count += row.rows;
        if (broken.length < shownRows) broken.push(row);
        continue;
      }
      if (row.pair !== null) pairs++;
      if (row.id !== undefined) ids++;
      if (looksQuoted(row.text) || looksQuoted(row.pair ?? "")) quoted++;
      // Rows that carry their keys may have new ones further down.
      if (row.columns) for (const name of Object.keys(row.columns)) kept.add(name);
    }
  }
  if (count > 0) throw brokenRows(bytes.name, broken, count);
  if (pairs > 0 && pairs < total) {
    throw dataError(`${bytes.name}: ${pairs} of ${total} rows are pairs: predict pairs and single texts apart`);
  }
  async function* rows() {
    yield* unbroken((await openInput(bytes, reading, keep)).rows, bytes.name);
  }
  const notes = quoted > 0 ? quotesNote(bytes.name, quoted, reading) : [];
  return { rows: rows(), total, ids: ids > 0, kept: [...kept], notes };
}

/** Throws dataError (3) at the first row that is broken. */
async function* unbroken(
  batches: AsyncIterable<readonly (InputRow | BrokenInput)[]>,
  name: string,
): AsyncGenerator<InputRow, void, undefined> {
  for await (const batch of batches) {
    for (const row of batch) {
      if ("reason" in row) throw brokenRows(name, [row], row.rows);
      yield row;
    }
  }
}

function brokenRows(name: string, broken: readonly BrokenInput[], count: number): Error {
  const shown = broken.map(({ line, reason }) => `line ${line}: ${reason}`);
  const left = count - broken.reduce((sum, { rows }) => sum + rows, 0);
  if (left > 0) shown.push(`and ${left} more`);
  return dataError(`${name}: ${counted(count, "broken row")} (${shown.join("; ")}); mend them: every row is predicted`);
}

/** GLUE's quotes are known; the user's may be CSV's without anything that says so. */
function quotesNote(name: string, quoted: number, { layout, task }: Reading): string[] {
  if (layout.format !== "tsv" || layout.quotes === "csv" || (task && !task.definedIn)) return [];
  const say = task
    ? `say quotes: csv for ${task.name} in ${task.definedIn}, or give --quotes csv`
    : "give --quotes csv";
  return [
    `${name}: texts of ${counted(quoted, "row")} stand in quotes as CSV writes them, and the quotes are read as part of the text; ` +
      `if they are not, ${say}`,
  ];
}
