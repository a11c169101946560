// Predicted rows as text: a table for people, TSV, or JSON lines.

import { dataError } from "../errors/errors";
import type { ServedTask } from "../predict/model";
import type { PredictedRow } from "../predict/rows";
import { inUnit } from "../predict/span-offsets";
import type { Prediction } from "../tasks/kinds/kind";
import type { OffsetUnit } from "../tasks/offset-unit";
import { table } from "./terminal";

/** What the rows have beside a text. */
export interface RowShape {
  readonly tasks: readonly ServedTask[];
  readonly ids: boolean;
  readonly pairs: boolean;
  /** Names of other columns. */
  readonly kept: readonly string[];
  /** What offsets of spans count. */
  readonly unit: OffsetUnit;
}

/** Lines that are written at a time: one by one, a million of them take seconds. */
const CHUNK = 512;

/** A value as one cell of one line. */
const oneCell = (value: string) => value.replace(/\r\n|[\t\r\n]/g, " ");

/** Whole lines, as many at a time as have come. A table comes at the end: its columns are as wide as their widest cell. */
export async function* printedRows(
  predicted: AsyncIterable<PredictedRow>,
  shape: RowShape,
  format: "table" | "tsv" | "jsonl",
): AsyncGenerator<string, void, undefined> {
  const { tasks, ids, pairs, kept, unit } = shape;
  const rows = unit === "utf16" || !tasks.some(({ kind }) => kind.perWord) ? predicted : countedIn(predicted, unit);
  const names = columnNames(shape, format);
  const cellsOf = ({ predictions }: PredictedRow) =>
    tasks.flatMap(({ kind, name }) => kind.cells(predictions[name] as Prediction));
  const keptOf = ({ columns }: PredictedRow) => kept.map((name) => plainCell(columns?.[name]));
  if (format === "table") {
    const shown: string[][] = [];
    for await (const row of rows) shown.push([shortened(row), ...keptOf(row).map(oneCell), ...cellsOf(row)]);
    yield `${table(names, shown)}\n`;
    return;
  }
  const lines = format === "tsv" ? [names.map(oneCell).join("\t")] : [];
  for await (const row of rows) {
    if (format === "jsonl") lines.push(JSON.stringify(row));
    else {
      const texts = [...(ids ? [String(row.id ?? "")] : []), row.text, ...(pairs ? [row.pair ?? ""] : [])];
      lines.push([...texts, ...keptOf(row), ...cellsOf(row)].map(oneCell).join("\t"));
    }
    if (lines.length < CHUNK) continue;
    yield `${lines.join("\n")}\n`;
    lines.length = 0;
  }
  if (lines.length > 0) yield `${lines.join("\n")}\n`;
}

/** The rows with the offsets of spans in a unit. */
async function* countedIn(rows: AsyncIterable<PredictedRow>, unit: OffsetUnit): AsyncGenerator<PredictedRow> {
  for await (const row of rows) {
    const predictions = Object.entries(row.predictions).map(([task, said]) => [task, inUnit(said, row.text, unit)]);
    yield { ...row, predictions: Object.fromEntries(predictions) };
  }
}

/** Throws dataError (3) for two of one name: whoever reads the table again would take one for the other. */
function columnNames({ tasks, ids, pairs, kept }: RowShape, format: "table" | "tsv" | "jsonl"): string[] {
  const outputs = tasks.flatMap(({ kind, name }) => kind.columns(name));
  const own = format === "table" ? ["text"] : [...(ids ? ["id"] : []), "text", ...(pairs ? ["pair"] : [])];
  const twice = kept.find((name) => own.includes(name) || outputs.includes(name));
  if (format === "jsonl" || twice === undefined) return [...own, ...kept, ...outputs];
  throw dataError(
    `--keep-columns: the file's column "${twice}" has the name of one that predict writes. Rename it, or give --format jsonl, which keeps them apart`,
  );
}

function shortened({ text, pair }: PredictedRow): string {
  const written = oneCell(pair === null ? text : `${text} | ${pair}`);
  return written.length > 60 ? `${written.slice(0, 59)}…` : written;
}

/** Another column's value in a cell: text as it is, anything else as JSON. */
function plainCell(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
