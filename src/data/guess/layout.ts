// How a file of rows is laid out, as far as it does not say: format, quotes, and whether its first line names columns.

import { dataError } from "../../errors/errors";
import { isKeyed } from "../../tasks/format";
import { fileBytes } from "../rows/file-bytes";
import { firstLine } from "../rows/layout";
import type { Layout } from "../rows/table";
import { readTable, type Table } from "./table";

/**
 * The file as a table, and how it was read.
 * @param named its format, where its name says it
 * @throws UserError (3) for a file that cannot be read, or whose cells stand between semicolons
 */
export async function guessTable(
  file: string,
  named: Layout["format"] | undefined,
): Promise<{ readonly layout: Layout; readonly table: Table }> {
  const first = named && isKeyed(named) ? "" : ((await firstLine(fileBytes(file))) ?? "").trim();
  const format = named ?? formatOf(first);
  if (isKeyed(format)) {
    const layout: Layout = { format, header: true, quotes: "ordinary" };
    return { layout, table: await readTable(file, layout) };
  }
  if (!first.includes(format === "csv" ? "," : "\t") && first.includes(";")) {
    throw dataError(`${file}: its cells stand between semicolons. Save it with commas or tabs`);
  }
  const quotes = format === "csv" || isQuoted(first) ? "csv" : "ordinary";
  const whole = await readTable(file, { format, header: false, quotes });
  const header = hasHeader(whole.rows.map(({ cells }) => cells as readonly string[]));
  const layout: Layout = { format, header, quotes };
  return { layout, table: header ? await readTable(file, layout) : whole };
}

function formatOf(first: string): Layout["format"] {
  if (/^[{[]/.test(first)) return "jsonl";
  return first.includes("\t") ? "tsv" : "csv";
}

/** A tab-separated line whose cells stand in quotes: pandas writes such files. */
const isQuoted = (line: string): boolean => {
  const cells = line.split("\t");
  return cells.length > 1 && cells.every((cell) => /^".*"$/.test(cell));
};

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
  return names.every((name, i) => below.slice(0, 1000).every((cells) => cells[i]?.trim() !== name));
}
