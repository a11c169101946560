// What the columns of a file are like, in one pass over its rows and in memory that does not grow with them.

import { asText } from "../../errors/printable";
import { isNumber } from "../../tasks/kinds/regression";
import type { Column } from "../../tasks/task";
import { MOST_LABELS } from "../labels";
import { type Layout, openTable, type TableRow } from "../rows/table";
import type { ByteSource } from "../rows/text-blocks";

export interface ColumnTraits {
  readonly column: Column;
  /** Rows whose cell is not empty. */
  readonly filled: number;
  /** Of those: means. */
  readonly characters: number;
  readonly words: number;
  /** Rows by cell; null where there are more cells than labels can be. */
  readonly counts: ReadonlyMap<string, number> | null;
  /** Where every filled cell is a number. */
  readonly numbers: { readonly least: number; readonly most: number; readonly whole: boolean } | null;
  /** Rows whose cell is a JSON array of texts. */
  readonly lists: number;
}

/** What stands between the texts of a JSON array once it is a cell. */
export const LIST_SEPARATOR = "|";

/** What there is to know of a file before anybody has said what its columns are for. */
export interface Survey {
  readonly columns: readonly ColumnTraits[];
  /** Those that can be read. */
  readonly rows: number;
  readonly broken: { readonly rows: number; readonly first: TableRow | null };
  /** The first rows that can be read. */
  readonly examples: readonly TableRow["cells"][];
}

const EXAMPLES = 3;

/** Throws dataError (3) for a file that cannot be read, is empty or no text. */
export async function surveyColumns(bytes: ByteSource, layout: Layout): Promise<Survey> {
  const { names, width, rows: batches } = await openTable(bytes, layout);
  const columns: Column[] = names ? [...names] : Array.from({ length: width }, (_, position) => position);
  const traits = columns.map(collectTraits);
  const examples: TableRow["cells"][] = [];
  const broken: { rows: number; first: TableRow | null } = { rows: 0, first: null };
  let rows = 0;
  for await (const batch of batches) {
    for (const row of batch) {
      if (row.problem !== undefined) {
        broken.rows += row.lines ?? 1;
        broken.first ??= row;
        continue;
      }
      rows++;
      if (examples.length < EXAMPLES) examples.push(row.cells);
      for (const [position, one] of traits.entries()) one.add(cellOf(row.cells, position, columns[position] as Column));
    }
  }
  return { columns: traits.map((one) => one.traits()), rows, broken, examples };
}

/** A cell as text, and whether it was a list. */
export function cellOf(
  cells: readonly string[] | Readonly<Record<string, unknown>>,
  position: number,
  column: Column,
): { readonly text: string; readonly list: boolean } {
  const value = Array.isArray(cells) ? cells[position] : (cells as Readonly<Record<string, unknown>>)[column];
  if (Array.isArray(value)) return { text: value.map(asText).join(LIST_SEPARATOR), list: true };
  if (value === undefined || value === null) return { text: "", list: false };
  return { text: typeof value === "object" ? JSON.stringify(value) : String(value).trim(), list: false };
}

function collectTraits(column: Column) {
  let [filled, characters, words, lists] = [0, 0, 0, 0];
  let counts: Map<string, number> | null = new Map();
  let numbers: { least: number; most: number; whole: boolean } | null = {
    least: Number.POSITIVE_INFINITY,
    most: Number.NEGATIVE_INFINITY,
    whole: true,
  };
  return {
    add({ text, list }: { readonly text: string; readonly list: boolean }): void {
      if (list) lists++;
      if (text === "") return;
      filled++;
      characters += text.length;
      words += text.split(/\s+/).length;
      counts?.set(text, (counts.get(text) ?? 0) + 1);
      if (counts && counts.size > MOST_LABELS) counts = null;
      if (!numbers) return;
      if (!isNumber(text)) numbers = null;
      else {
        const value = Number(text);
        numbers.least = Math.min(numbers.least, value);
        numbers.most = Math.max(numbers.most, value);
        numbers.whole &&= Number.isInteger(value) && /^[+-]?\d+$/.test(text);
      }
    },
    traits: (): ColumnTraits => ({
      column,
      filled,
      characters: filled === 0 ? 0 : characters / filled,
      words: filled === 0 ? 0 : words / filled,
      counts,
      numbers: filled === 0 ? null : numbers,
      lists,
    }),
  };
}
