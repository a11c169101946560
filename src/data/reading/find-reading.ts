// How a file of texts is read, to predict them or to learn from them without labels: as --columns and --quotes say, as the
// task says whose file it is, or by its header.

import { realpath } from "node:fs/promises";
import { dataError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import { listed } from "../../messages/words";
import { isKeyed } from "../../tasks/format";
import type { SplitName, Task } from "../../tasks/task";
import { findSplitFile } from "../read-split";
import { formOf } from "../rows";
import { layoutOf } from "../rows/layout";
import { headerAdvice } from "../rows/strange";
import { firstCells, type Layout, openTable } from "../rows/table";
import type { ByteSource } from "../rows/text-blocks";
import {
  agreed,
  type Header,
  idColumn,
  type Reading,
  readingByUse,
  readingOf,
  readingsByNames,
  readingsByRow,
  type TextColumns,
} from "./reading";

export interface ReadingOptions {
  /** Where the texts stand; tasks and the names of columns say it otherwise. */
  readonly columns?: TextColumns | undefined;
  readonly quotes?: Layout["quotes"] | undefined;
}

export interface ReadingPlace {
  /** Null for bytes that come once. */
  readonly file: string | null;
  /** The definitions of the tasks that are to be predicted, as far as there are any. */
  readonly tasks: readonly Task[];
  /** Whether any of the tasks takes pairs. */
  readonly takesPairs: boolean;
  readonly glueData: string;
  /** What else the user may do than to name columns as people do; absent: say so with --columns. */
  readonly otherwise?: string;
}

/** Throws dataError (3) for a file that is empty or no text, for columns that it lacks, and where two tasks disagree. */
export async function findReading(bytes: ByteSource, place: ReadingPlace, options: ReadingOptions): Promise<Reading> {
  const own = place.file === null ? null : await ownReading(bytes, place.file, place);
  const layout = { ...(own?.layout ?? (await layoutOf(bytes))), ...(options.quotes && { quotes: options.quotes }) };
  if (own && !options.columns) return { ...own, layout };
  if (layout.format === "parquet" && place.file === null) {
    throw dataError(`${bytes.name} is Parquet, which is read from a file. Give its name with --file`);
  }
  if (options.columns) return givenReading(bytes, layout, options.columns);
  if (layout.format === "conll") return wordsReading(layout, place.tasks);
  const header = await headerOf(bytes, layout);
  // TSV may have CSV's quotes without being called CSV: a task may say so, or the header shows it.
  const doubtful = layout.format === "tsv" && !options.quotes && header.names.some((name) => name.startsWith('"'));
  const headers: [Header, ...Header[]] = [header];
  if (layout.format === "tsv" && !options.quotes) {
    headers.push(await headerOf(bytes, { ...layout, quotes: layout.quotes === "csv" ? "ordinary" : "csv" }));
  }
  const byTask = agreed(readingsByNames(headers, place.tasks), bytes.name);
  const byUse = readingByUse(header);
  const found =
    (byTask && byUse && place.takesPairs && addsPair(byUse, byTask) ? byUse : byTask) ??
    byUse ??
    (doubtful ? readingByUse(headers[1] as Header) : null) ??
    agreed(readingsByRow((await firstCells(bytes, layout)) ?? [], layout, place.tasks), bytes.name);
  if (found) return found;
  const hint = headerAdvice(header.names, layout);
  throw dataError(
    `${bytes.name} has no column of texts among ${listed(header.names)}` +
      (hint === null
        ? `. Name one of them text, and for pairs another one pair, or ${place.otherwise ?? "say which they are: --columns text=NAME or text=NAME,pair=NAME"}`
        : `; ${hint}`),
  );
}

/** Words in columns have no names: they stand where a task has them, else in the first column. */
function wordsReading(layout: Layout, tasks: readonly Task[]): Reading {
  for (const task of tasks) {
    const source = Object.values(task.splits).find(({ format }) => format === "conll");
    if (source) return readingOf(task, source);
  }
  return { layout: { ...layout, header: false }, columns: { text: 0 } };
}

/** Whether names alone say that a task's texts have second ones beside them, which another task may read. */
const addsPair = (byUse: Reading, byTask: Reading): boolean =>
  byTask.columns.pair === undefined && byUse.columns.pair !== undefined && byUse.columns.text === byTask.columns.text;

/** The task's whose file this is, wherever its header would lead; null where it is no task's. */
async function ownReading(bytes: ByteSource, file: string, { tasks, glueData }: ReadingPlace): Promise<Reading | null> {
  const real = (place: string) => realpath(place).catch(() => null);
  const wanted = await real(file);
  const readings: Reading[] = [];
  for (const task of tasks) {
    for (const [name, source] of Object.entries(task.splits)) {
      const place = findSplitFile(task, name as SplitName, glueData);
      if (place === null || wanted === null || (await real(place)) !== wanted) continue;
      readings.push(readingOf(task, await formOf(bytes, source)));
      break;
    }
  }
  return agreed(readings, file);
}

async function headerOf(bytes: ByteSource, layout: Layout): Promise<Header> {
  const { names, rows } = await openTable(bytes, layout);
  await rows.return();
  return { layout, names: names ?? [] };
}

/** Throws dataError (3) for a column that is not there. */
async function givenReading(bytes: ByteSource, layout: Layout, columns: TextColumns): Promise<Reading> {
  // Words in columns have positions alone.
  if (layout.format === "conll") return { layout: { ...layout, header: false }, columns };
  if (!layout.header && !isKeyed(layout.format)) return { layout, columns };
  const header = await headerOf(bytes, layout);
  const { names } = header;
  const hint = headerAdvice(names, layout);
  for (const column of Object.values(columns).map(String)) {
    if (names.includes(column)) continue;
    throw dataError(
      `${bytes.name}: there is no column "${column}"${didYouMean(column, names)}; ` +
        `the file has ${listed(names.map((name) => `"${name}"`))}${hint === null ? ". Give one of them with --columns" : `; ${hint}`}`,
    );
  }
  return { layout, columns: { ...idColumn(header), ...columns } };
}
