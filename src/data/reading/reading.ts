// Which columns of a file of texts are read and how the file is written: as a task says whose columns it has, by the names that
// people give to columns of texts, or as a task's file without a header.

import { dataError } from "../../errors/errors";
import { isKeyed, usualQuotes } from "../../tasks/format";
import type { Columns, SplitSource, Task } from "../../tasks/task";
import type { Layout } from "../rows/table";

/** Columns by name, or by position in a file without a header. */
export type TextColumns = Pick<Columns, "text" | "pair" | "index">;

export interface Reading {
  readonly layout: Layout;
  readonly columns: TextColumns;
  /** The task that says so; absent where names alone do. */
  readonly task?: Task;
}

/** The names that a file has for its columns, read in one of the ways that it may be meant. */
export interface Header {
  readonly layout: Layout;
  readonly names: readonly string[];
}

const textNames = ["text", "sentence", "sentence1", "question", "question1", "premise", "text1"];
const pairNames = ["pair", "sentence2", "question2", "hypothesis", "text2"];
const idNames = ["id", "index", "idx"];

/** A source's own. */
export function readingOf(
  task: Task,
  { format, header, quotes, columns: { text, pair, index } }: SplitSource,
): Reading {
  const columns = { text, ...(pair === undefined ? {} : { pair }), ...(index === undefined ? {} : { index }) };
  const ofFolder = format === "folder" ? { columns } : {};
  return { layout: { format, header, quotes, ...ofFolder }, columns, task };
}

/** The readings of the tasks whose columns the file has, one a task at most. @param headers the likeliest first */
export function readingsByNames(headers: readonly [Header, ...Header[]], tasks: readonly Task[]): Reading[] {
  const { format } = headers[0].layout;
  return tasks.flatMap((task): Reading[] => {
    for (const source of Object.values(task.splits).flatMap((declared) => formsOf(declared, headers[0].names))) {
      if (!source.header && !isKeyed(source.format)) continue;
      const quotes = source.format === format ? source.quotes : usualQuotes(format);
      const { layout, names } = headers.find((header) => header.layout.quotes === quotes) ?? headers[0];
      const { index, ...texts } = readingOf(task, source).columns;
      if (!Object.values(texts).every((column) => names.includes(String(column)))) continue;
      const indexed = index !== undefined && names.includes(String(index)) ? { index } : idColumn({ layout, names });
      return [{ layout, columns: { ...texts, ...indexed }, task }];
    }
    return [];
  });
}

/** A split's own form, and that of `datasets`, which alone has an idx. */
function formsOf(declared: SplitSource, names: readonly string[]): SplitSource[] {
  const { exported } = declared;
  if (!exported) return [declared];
  const other: SplitSource = { ...declared, header: true, quotes: "csv", columns: exported.columns };
  const marked = names.some((name) => name.replaceAll('"', "") === exported.columns.index);
  return marked ? [other] : [declared, other];
}

/** The one reading that all agree on; null for none. Throws dataError (3) for two that differ. */
export function agreed(readings: readonly Reading[], file: string): Reading | null {
  // A task of single texts reads of a pair's columns the first alone: the pair says more.
  const widest = readings.find(({ columns }) => columns.pair !== undefined) ?? readings[0];
  if (!widest) return null;
  for (const reading of readings) {
    const { columns, layout } = reading;
    const same = columns.text === widest.columns.text && layout.quotes === widest.layout.quotes;
    if (same && (columns.pair === undefined || columns.pair === widest.columns.pair)) continue;
    throw dataError(
      `${file}: ${widest.task?.name} reads ${described(widest)}, ${reading.task?.name} ${described(reading)}. ` +
        `Name one of them with --task, or say which columns are meant: --columns "${asOption(widest.columns)}"`,
    );
  }
  return widest;
}

const described = ({ columns: { text, pair }, layout: { format, quotes } }: Reading): string =>
  `"${text}"${pair === undefined ? "" : ` and "${pair}"`}${format === "tsv" && quotes === "csv" ? " in CSV's quotes" : ""}`;

const asOption = ({ text, pair }: TextColumns): string => `text=${text}${pair === undefined ? "" : `,pair=${pair}`}`;

/** By the names that people give to such columns. Null where there is no column of texts. */
export function readingByUse({ layout, names }: Header): Reading | null {
  const text = columnNamed(textNames, { layout, names });
  if (text === undefined) return null;
  // QNLI's: a question and the sentence that may answer it.
  const answer = plain(text) === "question" ? columnNamed(["sentence"], { layout, names }) : undefined;
  const pair = columnNamed(pairNames, { layout, names }) ?? answer;
  return { layout, columns: { text, ...(pair === undefined ? {} : { pair }), ...idColumn({ layout, names }) } };
}

/** The file's own ids, where it has any. */
export function idColumn(header: Header): Pick<TextColumns, "index"> {
  const index = columnNamed(idNames, header);
  return index === undefined ? {} : { index };
}

const plain = (name: string) => name.trim().toLowerCase();

/** Cells of a header count in their order. The keys of JSON have none: there the wanted names count in theirs. */
function columnNamed(wanted: readonly string[], { layout, names }: Header): string | undefined {
  if (!isKeyed(layout.format)) return names.find((name) => wanted.includes(plain(name)));
  return wanted.map((name) => names.find((key) => plain(key) === name)).find((key) => key !== undefined);
}

/** Of a file without a header, whose first row can be one of the task's: it is wide enough, and its label is one. */
export function readingsByRow(cells: readonly string[], { format }: Layout, tasks: readonly Task[]): Reading[] {
  return tasks.flatMap((task) => {
    const fitting = Object.values(task.splits).find((source) => {
      const { text, pair, label } = source.columns;
      if (source.header || isKeyed(source.format) || source.format !== format || label === undefined) return false;
      const wide = [text, pair ?? text, label].every((column) => Number(column) < cells.length);
      return wide && typeof task.kind.readLabel((cells[Number(label)] as string).trim(), task, source) !== "string";
    });
    return fitting ? [readingOf(task, fitting)] : [];
  });
}
