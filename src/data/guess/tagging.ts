// Files whose words have labels, guessed: words in columns, a folder of columns, lists of words beside lists of tags, and texts
// with spans. Tags tell themselves by their prefixes; the numbers that data sets write in their place do not.

import { createReadStream } from "node:fs";
import { dataError, usageError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { usualQuotes } from "../../tasks/format";
import type { Column, Columns } from "../../tasks/task";
import { fileBytes } from "../rows/file-bytes";
import { filesIn } from "../rows/folder";
import { type Layout, openTable, type TableRow } from "../rows/table";
import { textNames } from "./guess";

export interface TaggingGuess {
  readonly layout: Layout;
  readonly columns: Columns & { readonly label: Column };
  /** What the column of labels has: names of tags, their numbers, or spans. */
  readonly written: "tags" | "numbers" | "spans";
  /** Cells of the first rows. */
  readonly examples: readonly { readonly text: string; readonly label: string }[];
}

type Cells = Readonly<Record<Column, unknown>>;
type Said = Pick<Partial<Columns>, "text" | "label">;

const EXAMPLES = 3;
/** Rows that decide. */
const LOOKED_AT = 1000;
const wordNames = "tokens words token word text sentence".split(" ");
const FOLDER = { text: "seq.in", label: "seq.out" };

/**
 * What the file's words are labelled by; null for rows that are labelled as a whole.
 * @param layout of the file, where it is no folder
 * @throws UserError (2) for a folder whose files are not those of slots, (3) for a file that cannot be read
 */
export async function guessTagging(file: string, layout: Layout | null, said: Said): Promise<TaggingGuess | null> {
  if (layout === null) return guessFolder(file, said);
  const inColumns = layout.format === "conll" || (isText(layout) && (await looksLikeColumns(file)));
  const own: Layout = inColumns ? { format: "conll", header: false, quotes: usualQuotes("conll") } : layout;
  const { names, width, rows: batches } = await openTable(fileBytes(file), own);
  const rows = await firstRows(batches);
  const all: Column[] = names ? [...names] : Array.from({ length: width }, (_, i) => i);
  const found = guessAmong(all, rows, inColumns ? numbered(said) : said);
  if (found) return { ...found, layout: own, examples: examplesOf(found.columns, rows) };
  if (!inColumns) return null;
  throw dataError(`${file}: no column is of tags such as B-x, I-x and O. Say which: --columns text=0,label=1`);
}

const isText = ({ format }: Layout) => format === "tsv" || format === "csv";

const numbered = (said: Said): Said =>
  Object.fromEntries(Object.entries(said).map(([role, column]) => [role, Number(column)]));

async function guessFolder(folder: string, said: Said): Promise<TaggingGuess> {
  const names = await filesIn(folder);
  const columns = { text: String(said.text ?? FOLDER.text), label: String(said.label ?? FOLDER.label) };
  const missing = Object.values(columns).filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw usageError(
      `${folder} is a folder without ${missing.join(" and ")}. Name its files of words and of tags: --columns text=FILE,label=FILE`,
    );
  }
  const layout: Layout = { format: "folder", header: true, quotes: usualQuotes("folder"), columns };
  const rows = await firstRows((await openTable(fileBytes(folder), layout)).rows);
  const found = guessAmong(Object.values(columns), rows, columns);
  if (!found)
    throw dataError(`${folder}: ${columns.label} has no tags such as B-x, I-x and O for the words of ${columns.text}`);
  return { ...found, layout, examples: examplesOf(columns, rows) };
}

async function firstRows(batches: AsyncIterable<readonly TableRow[]>): Promise<Cells[]> {
  const found: Cells[] = [];
  for await (const batch of batches) {
    for (const { cells, problem } of batch) if (problem === undefined) found.push(cells as unknown as Cells);
    if (found.length >= LOOKED_AT) break;
  }
  return found.slice(0, LOOKED_AT);
}

/** Bytes of a file that are looked at for words a line. */
const HEAD = 1 << 16;

/** Whether lines are words with a tag in their last column, and empty lines stand between sentences. */
async function looksLikeColumns(file: string): Promise<boolean> {
  let head = "";
  for await (const chunk of createReadStream(file, { end: HEAD - 1, encoding: "utf8" })) head += chunk;
  const lines = head.split(/\r?\n/).slice(0, head.length < HEAD ? undefined : -1);
  const words = lines.filter((line) => line.trim() !== "" && !line.startsWith("-DOCSTART-"));
  const last = lines.findLastIndex((line) => line.trim() !== "");
  const parted = lines.slice(0, last).some((line) => line.trim() === "");
  const cells = words.map((line) => line.trim().split(line.includes("\t") ? "\t" : / +/));
  const width = cells[0]?.length ?? 0;
  const tags = cells.map((one) => one.at(-1) as string);
  return parted && width > 1 && cells.every(({ length }) => length === width) && areTags(tags) && tags.some(isPrefixed);
}

const isPrefixed = (tag: string) => /^[BIES]-./u.test(tag);
const areTags = (tags: readonly unknown[]): tags is string[] =>
  tags.every((tag) => typeof tag === "string" && (tag === "O" || isPrefixed(tag)));

const areNumbers = (tags: readonly unknown[]): boolean =>
  tags.every((tag) => Number.isInteger(tag) && (tag as number) >= 0 && (tag as number) < 10_000);

/** A cell as a list: one, or what stands between spaces; null for what is none. */
function listOf(cell: unknown): readonly unknown[] | null {
  if (Array.isArray(cell)) return cell;
  return typeof cell === "string" && !cell.startsWith("[") ? cell.split(" ").filter((word) => word !== "") : null;
}

type Found = Pick<TaggingGuess, "columns" | "written">;

function guessAmong(all: readonly Column[], rows: readonly Cells[], said: Said): Found | null {
  const labels = said.label === undefined ? all : all.filter((column) => column === said.label);
  const spans = labels.find((column) => areSpans(rows, column));
  if (spans !== undefined) {
    const text = said.text ?? textBeside(all, rows, spans);
    return text === undefined ? null : { columns: { text, label: spans }, written: "spans" };
  }
  const lists = (column: Column) => rows.map((cells) => listOf(cells[column]) ?? []);
  const isTags = (column: Column) => {
    const flat = lists(column).flat();
    return areTags(flat) && flat.some(isPrefixed);
  };
  const isNumbers = (column: Column) => {
    const named = column === said.label || /tag|label|ner|slot/i.test(String(column));
    return named && rows.some((cells) => Array.isArray(cells[column])) && areNumbers(lists(column).flat());
  };
  // CoNLL's last column is what its files are for; data sets may have several lists of tags.
  for (const [written, isLabel] of [
    ["tags", isTags],
    ["numbers", isNumbers],
  ] as const) {
    const label = labels.filter(isLabel).sort(byUse).at(-1);
    if (label === undefined) continue;
    const text = said.text ?? wordsBeside(all, rows, label, (column) => isTags(column) || isNumbers(column));
    if (text !== undefined) return { columns: { text, label }, written };
  }
  return null;
}

/** Named entities before parts of speech and chunks. */
const byUse = (a: Column, b: Column): number =>
  Number(/ner|slot|entit/i.test(String(a))) - Number(/ner|slot|entit/i.test(String(b)));

/** The column with a word for each tag in every row, by its name or the first; some row has two at least. */
function wordsBeside(
  all: readonly Column[],
  rows: readonly Cells[],
  label: Column,
  isOther: (column: Column) => boolean,
): Column | undefined {
  const fitting = all.filter((column) => {
    if (column === label || isOther(column)) return false;
    const lengths = rows.map((cells) => [listOf(cells[column])?.length, listOf(cells[label])?.length]);
    const worded = rows.every((cells) => (listOf(cells[column]) ?? []).every((word) => typeof word === "string"));
    return worded && lengths.every(([words, tags]) => words === tags) && lengths.some(([words = 0]) => words > 1);
  });
  const named = wordNames.flatMap((name) => fitting.filter((column) => String(column).toLowerCase() === name));
  // Some files number their words first.
  const counts = (column: Column) =>
    rows.every((cells) => (listOf(cells[column]) ?? []).every((word) => /^\d+$/.test(String(word))));
  return named[0] ?? fitting.find((column) => !counts(column));
}

/** Lists of {start, end, label} or [start, end, label], some of them with one. */
function areSpans(rows: readonly Cells[], column: Column): boolean {
  const isSpan = (value: unknown) => {
    const { start, end, label } = Object(value);
    const parts = Array.isArray(value) ? value : [start, end, label];
    return (
      parts.length === 3 && Number.isInteger(parts[0]) && Number.isInteger(parts[1]) && typeof parts[2] === "string"
    );
  };
  const lists = rows.map((cells) => cells[column]).filter((cell) => cell !== undefined && cell !== null);
  const all = lists.every((cell) => Array.isArray(cell) && cell.every(isSpan));
  return all && lists.some((cell) => (cell as unknown[]).length > 0);
}

function textBeside(all: readonly Column[], rows: readonly Cells[], label: Column): Column | undefined {
  const texts = all.filter((column) => column !== label && rows.every((cells) => typeof cells[column] === "string"));
  const named = textNames.flatMap((name) => texts.filter((column) => String(column).toLowerCase() === name));
  const size = (column: Column) => rows.reduce((sum, cells) => sum + (cells[column] as string).length, 0);
  return named[0] ?? [...texts].sort((a, b) => size(b) - size(a))[0];
}

const examplesOf = ({ text, label }: Pick<TaggingGuess["columns"], "text" | "label">, rows: readonly Cells[]) =>
  rows.slice(0, EXAMPLES).map((cells) => ({ text: cellText(cells[text]), label: cellText(cells[label]) }));

const cellText = (cell: unknown): string => {
  if (typeof cell === "string") return cell;
  const plain = Array.isArray(cell) && cell.every((one) => Object(one) !== one);
  return plain ? cell.join(" ") : Array.isArray(cell) ? JSON.stringify(cell) : shown(cell);
};
