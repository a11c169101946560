// How a file of rows is laid out, as far as its name and its first bytes leave that open: quotes in TSV, and whether its
// first line names columns.

import { dataError } from "../../errors/errors";
import { isKeyed } from "../../tasks/format";
import { layoutOf } from "../rows/layout";
import { headerAdvice } from "../rows/strange";
import { firstCells, type Layout, openTable, type TableRow } from "../rows/table";
import type { ByteSource } from "../rows/text-blocks";

/** Throws dataError (3) for a file that cannot be read, is empty or no text, or whose cells stand between other signs. */
export async function guessLayout(bytes: ByteSource): Promise<Layout> {
  const usual = await layoutOf(bytes);
  if (isKeyed(usual.format) || usual.format === "conll") return usual;
  const plain = await firstRows(bytes, { ...usual, header: false });
  const cells = (await firstCells(bytes, { ...usual, quotes: "ordinary" })) ?? [];
  const advice = headerAdvice(cells, usual);
  // A lone CR ends no line, and texts may have one; of a whole file it is the end of every line.
  if (advice !== null && (plain.length === 1 || !cells.some((cell) => cell.includes("\r")))) {
    throw dataError(`${bytes.name}: ${advice}`);
  }
  const isBroken = ({ problem }: TableRow) => problem !== undefined;
  const doubtful = usual.format === "tsv" && (usual.quotes === "csv" ? plain.some(isBroken) : looksWrong(plain));
  const other = usual.quotes === "csv" ? "ordinary" : "csv";
  const otherwise = doubtful ? await firstRows(bytes, { ...usual, quotes: other, header: false }) : null;
  const read = otherwise && !otherwise.some(isBroken) ? otherwise : plain;
  const quotes = read === otherwise ? other : usual.quotes;
  return { ...usual, quotes, header: hasHeader(read.map(({ cells }) => cells as readonly string[])) };
}

/** Whether quotes may be more than characters: pandas puts cells in them that hold quotes or tabs. */
const looksWrong = (rows: readonly TableRow[]): boolean =>
  rows.some(({ cells, problem }) => problem !== undefined || (cells as readonly string[]).some(isQuoted));

const isQuoted = (cell: string) => /^".*"$/s.test(cell);

/** Rows that are looked at to tell a header from a row. */
const LOOKED_AT = 1000;

async function firstRows(bytes: ByteSource, layout: Layout): Promise<TableRow[]> {
  const { rows } = await openTable(bytes, layout);
  const found: TableRow[] = [];
  for await (const batch of rows) {
    found.push(...batch.slice(0, LOOKED_AT - found.length));
    if (found.length === LOOKED_AT) break;
  }
  return found;
}

const usual = new Set(
  "text sentence sentence1 sentence2 text1 text2 question question1 question2 premise hypothesis message query label labels class category intent sentiment score target id index".split(
    " ",
  ),
);

/** Names that are usual, or cells that are short, different, no numbers, and do not come again below. */
function hasHeader([first = [], ...below]: readonly (readonly string[])[]): boolean {
  const names = first.map((cell) => cell.trim());
  if (names.some((name) => usual.has(name.toLowerCase()))) return true;
  const plain = names.every(
    (name) => name !== "" && name.length <= 40 && !/^[+-]?[\d.]+$/.test(name) && name.split(/\s+/).length <= 3,
  );
  if (!plain || new Set(names).size < names.length) return false;
  return names.every((name, i) => below.every((cells) => cells[i]?.trim() !== name));
}
