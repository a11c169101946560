// The rows of a table as predict takes them: texts, the file's own ids, and the other columns where they are kept.

import type { Reading } from "../data/reading/reading";
import { onlyPosition, wordsProblem } from "../data/rows";
import { openTable, type TableRow } from "../data/rows/table";
import type { ByteSource } from "../data/rows/text-blocks";
import { dataError, usageError } from "../errors/errors";
import { shown } from "../errors/printable";
import { counted } from "../messages/words";
import { isKeyed } from "../tasks/format";
import type { Column } from "../tasks/task";
import { joinWords, wordList } from "../tasks/words";
import type { InputRow } from "./rows";

/** A row that cannot be predicted. */
export interface BrokenInput {
  readonly line: number;
  readonly reason: string;
  /** Rows that it is, as people count. */
  readonly rows: number;
}

export interface OpenInput {
  readonly rows: AsyncIterable<readonly (InputRow | BrokenInput)[]>;
  /** Whether there is a column of ids. */
  readonly ids: boolean;
  readonly kept: readonly string[];
}

/**
 * Throws dataError (3) for an empty file, for columns that rows are too short for, and for two kept columns of one name;
 * usageError (2) for what words in columns have not.
 */
export async function openInput(
  bytes: ByteSource,
  { layout, columns, task }: Reading,
  keep: boolean,
): Promise<OpenInput> {
  const wordColumns = layout.format === "conll";
  if (wordColumns && (keep || columns.pair !== undefined || columns.index !== undefined)) {
    throw usageError(
      `${bytes.name} has a word a line: its rows have one text, and no pair, ids or other columns to keep. Leave them out`,
    );
  }
  const table = await openTable(bytes, layout);
  const keyed = isKeyed(layout.format);
  const at = (column: Column): number | string => {
    if (keyed) return String(column);
    const position = table.names ? onlyPosition(table.names, String(column), bytes.name) : Number(column);
    if (position >= 0 && position < table.width) return position;
    throw dataError(`${bytes.name}: there is no column ${column}: rows have ${counted(table.width, "column")}`);
  };
  const names = keep ? otherNames(table.names ?? [], columns, bytes.name) : [];
  const places = {
    text: at(columns.text),
    pair: columns.pair === undefined ? null : at(columns.pair),
    id: columns.index === undefined ? null : at(columns.index),
    // Where only names say that a column is a pair's, rows without it are single texts.
    pairMayLack: task === undefined && keyed,
    kept: names.map((name): [string, number | string] => [name, at(name)]),
    used: new Set(Object.values(columns).map(String)),
    keyed: keyed && keep,
    wordColumns,
    wordLists: task?.kind.perWord === true && keyed,
  };
  async function* rows() {
    for await (const batch of table.rows) yield batch.map((row) => toInput(row, places));
  }
  return { rows: rows(), ids: places.id !== null, kept: names };
}

function otherNames(names: readonly string[], columns: Reading["columns"], file: string): string[] {
  const used = Object.values(columns).map(String);
  const others = names.filter((name) => !used.includes(name));
  const twice = others.find((name, i) => others.indexOf(name) < i);
  if (twice !== undefined) throw dataError(`${file}: two columns are named "${twice}". Rename one, to keep both`);
  return others;
}

interface Places {
  readonly text: number | string;
  readonly pair: number | string | null;
  readonly id: number | string | null;
  readonly pairMayLack: boolean;
  readonly kept: readonly (readonly [string, number | string])[];
  readonly used: ReadonlySet<string>;
  /** Rows carry their keys, and keep what they have. */
  readonly keyed: boolean;
  /** Cells are lists of words. */
  readonly wordColumns: boolean;
  /** Cells may be lists of words. */
  readonly wordLists: boolean;
}

function toInput(row: TableRow, places: Places): InputRow | BrokenInput {
  const { line, problem, lines = 1 } = row;
  if (problem !== undefined) return { line, reason: problem, rows: lines };
  const cells = row.cells as Readonly<Record<number | string, unknown>>;
  if (places.wordColumns) {
    const column = cells[places.text] as readonly string[];
    const reason = wordsProblem(column);
    return reason === undefined ? { ...joinWords(column), pair: null } : { line, reason, rows: 1 };
  }
  const list = places.wordLists ? wordList(cells[places.text]) : null;
  const { text, words } = list ? joinWords(list) : { text: cells[places.text] };
  if (typeof text !== "string") return { line, reason: notText(places.text, text), rows: 1 };
  let pair = places.pair === null ? null : cells[places.pair];
  if (places.pairMayLack) pair ??= null;
  if (typeof pair !== "string" && pair !== null) return { line, reason: notText(places.pair, pair), rows: 1 };
  const id = places.id === null ? undefined : idOf(cells[places.id]);
  // Written out, and without spreading: a million rows of five spread parts take seconds.
  if (!places.keyed && places.kept.length === 0 && !words)
    return id === undefined ? { text, pair } : { id, text, pair };
  if (words) {
    const columns = places.keyed || places.kept.length > 0 ? { columns: otherCells(cells, places) } : {};
    return { text, words, pair, ...(id === undefined ? {} : { id }), ...columns };
  }
  const columns = otherCells(cells, places);
  return id === undefined ? { text, pair, columns } : { id, text, pair, columns };
}

const otherCells = (cells: Readonly<Record<number | string, unknown>>, { keyed, used, kept }: Places) =>
  keyed
    ? Object.fromEntries(Object.entries(cells).filter(([name]) => !used.has(name)))
    : Object.fromEntries(kept.map(([name, at]) => [name, cells[at]]));

const notText = (key: number | string | null, value: unknown): string =>
  value === undefined ? `no "${key}"` : `"${key}" is ${shown(value)}, not a string`;

const idOf = (value: unknown): string | number | undefined =>
  typeof value === "string" || typeof value === "number" ? value : undefined;
