// One split of one task: rows -> examples, labels as ids by name, broken rows counted and named.
// Texts stay as they are written (SST-2's sentences end with a space); the tokenizer decides what a space is.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { dataError } from "../errors/errors";
import { counted } from "../messages/words";
import type { Label } from "../tasks/kinds/kind";
import type { SplitName, SplitSource, Task } from "../tasks/task";
import { isOfPart } from "./part";
import { openRows, type RawRow } from "./rows";
import { fileBytes } from "./rows/file-bytes";
import { looksQuoted } from "./rows/layout";
import { readAsTags, type TaggedRow, taggedRow } from "./tagged";

export interface Example {
  readonly text: string;
  readonly pair: string | null;
  /** As the task's kind has it; null where the split has no labels. */
  readonly label: Label | null;
  /** The file's own row id, else the row's number from 0: what a submission repeats. */
  readonly index: string;
  /** In the file, from 1. */
  readonly line: number;
  /** Where words have labels: where they stand in the text, as many as labels. */
  readonly words?: TaggedRow["words"];
  /** As of {@link TaggedRow}. */
  readonly cuts?: number;
}

export interface BrokenRow {
  readonly line: number;
  readonly reason: string;
  /** Rows that were lost in it, where an open quote made one of several. */
  readonly rows?: number;
}

/** What is worth a line of the log. */
export function splitNotes({ name, path: file, examples, broken, warnings }: Split): string[] {
  const [first] = broken;
  if (!first) return [...warnings];
  const count = countBroken(broken);
  return [
    `${file}: ${count} of ${count + examples.length} ${name} rows are broken and left out ` +
      `(the first in line ${first.line}: ${first.reason})`,
    ...warnings,
  ];
}

/** As people count them. */
export const countBroken = (broken: readonly BrokenRow[]): number =>
  broken.reduce((count, { rows = 1 }) => count + rows, 0);

export interface Split {
  readonly task: Task;
  readonly name: SplitName;
  readonly path: string;
  readonly examples: Example[];
  /** Rows left out. */
  readonly broken: BrokenRow[];
  /** What looks wrong in the rows that could be read. */
  readonly warnings: readonly string[];
  /** Of the examples really used: their texts and labels in order, and the task's label names. */
  readonly sha256: string;
}

export interface ReadOptions {
  /** The folder that holds a folder for each GLUE task. */
  readonly glueData: string;
  /** Reads the file's first rows only. */
  readonly maxRows?: number;
  /** Leaves broken rows out instead of refusing the file. */
  readonly skipBroken?: boolean;
  /** The share of the rows that may be left out so; any where it is not given. */
  readonly maxBroken?: number;
}

/** Broken rows that an error names. */
const shownRows = 3;

/** The file of a split, or null where the task has no such split or the file is not there. */
export function findSplitFile(task: Task, name: SplitName, glueData: string): string | null {
  const source = task.splits[name];
  return (source && placesOf(task, source, glueData).find((place) => existsSync(place))) ?? null;
}

/**
 * Reads a split.
 * @throws UserError (exit code 3) for a missing, empty or foreign file, a missing column, and for broken rows (too few
 *   or too many columns, no text, unknown label, no number) unless `skipBroken`, and for more of them than `maxBroken`
 */
export async function readSplit(task: Task, name: SplitName, options: ReadOptions): Promise<Split> {
  const source = task.splits[name];
  if (!source) {
    const has = Object.keys(task.splits).join(", ");
    const instead = task.predictedWith ? `; it is predicted with ${task.predictedWith}'s branch` : "";
    throw dataError(`${task.name} has no ${name} split, only ${has}${instead}`);
  }
  const file = findSplitFile(task, name, options.glueData);
  if (file === null) throw missingFile(task, name, placesOf(task, source, options.glueData)[0] as string);
  const read = await readExamples(task, source, file, options.maxRows ?? Number.POSITIVE_INFINITY);
  requireWhole(task, file, read, options);
  const { broken } = read;
  const { examples, warnings: ofTags } = readAsTags(task, file, read.examples);
  if (source.part && examples.length + broken.length === 0) throw emptyPart(file, name, source.part.devShare);
  const warnings = [...quotesWarning(task, source, file, examples), ...ofTags];
  return { task, name, path: file, examples, broken, warnings, sha256: hashOf(task, examples) };
}

interface ReadRows {
  readonly examples: Example[];
  readonly broken: BrokenRow[];
  /** Broken rows whose label is one that hidden labels have. */
  readonly hidden: number;
}

async function readExamples(task: Task, declared: SplitSource, file: string, maxRows: number): Promise<ReadRows> {
  const { source, rows } = await openRows(fileBytes(file), declared);
  const examples: Example[] = [];
  const broken: BrokenRow[] = [];
  let hidden = 0;
  let position = 0;
  for await (const batch of rows) {
    for (const row of batch) {
      const i = position++;
      if (!isOfPart(row.cells, source)) continue;
      if (examples.length + broken.length === maxRows) return { examples, broken, hidden };
      const example = toExample(task, source, row, i);
      if (typeof example !== "string") examples.push(example);
      else {
        broken.push({ line: row.line, reason: example, ...(row.lines === undefined ? {} : { rows: row.lines }) });
        if (isHidden(row.cells.label?.trim())) hidden++;
      }
    }
  }
  return { examples, broken, hidden };
}

/** Throws dataError (3) for broken rows that may not be left out. */
function requireWhole(task: Task, file: string, { examples, broken, hidden }: ReadRows, options: ReadOptions): void {
  if (broken.length === 0) return;
  const count = countBroken(broken);
  const total = count + examples.length;
  const shown = broken.slice(0, shownRows).map(({ line, reason }) => `line ${line}: ${reason}`);
  if (broken.length > shownRows) shown.push(`and ${broken.length - shownRows} more`);
  const rows = `${file}: ${counted(count, "broken row")} (${shown.join("; ")})`;
  if (examples.length === 0) {
    const advice = hidden === count ? "its labels are hidden, as test files have them" : "is it the right file?";
    throw dataError(`${rows}; no row is left; ${advice}`);
  }
  if (!options.skipBroken) {
    throw dataError(`${rows}; mend them, or leave them out with --skip-broken-rows${otherLabels(task, broken)}`);
  }
  const tooMany = tooManyBroken(count, total, options.maxBroken ?? 1);
  if (tooMany !== null) throw dataError(`${rows}: ${count} of ${total} are ${tooMany}`);
}

/** What to do about labels that the train file does not have, where it says which there are. */
function otherLabels({ name, labelsFrom, definedIn }: Task, broken: readonly BrokenRow[]): string {
  if (labelsFrom === undefined || !broken.some(({ reason }) => UNKNOWN.test(reason))) return "";
  return `. Labels of ${name} are those of its train file: where others have more, list all of them under labels in ${definedIn}`;
}

/** As kinds say it. */
const UNKNOWN = /^unknown (label|tag) /;

/** What is said of more broken rows than the share of all rows that may be left out; null where it is not above that. */
export function tooManyBroken(broken: number, total: number, most: number): string | null {
  // Not as most * total: 0.29 * 100 is less than 29, and the share that an error names must do.
  if (broken / total <= most) return null;
  const allowed = Math.ceil((100 * broken) / total) / 100;
  const percent = Number((100 * most).toPrecision(12));
  return `more than ${percent} %; mend them, or allow it with --max-broken-rows ${allowed}`;
}

/** GLUE's files are as they are; the user's may be quoted without saying so. */
function quotesWarning(task: Task, source: SplitSource, file: string, examples: readonly Example[]): string[] {
  if (!task.definedIn || source.format !== "tsv" || source.quotes === "csv") return [];
  const rows = examples.filter(({ text, pair }) => looksQuoted(text) || looksQuoted(pair ?? ""));
  if (rows.length === 0) return [];
  return [
    `${file}: texts of ${counted(rows.length, "row")} (the first in line ${rows[0]?.line}) stand in quotes as CSV writes them, and the ` +
      `quotes are read as part of the text; if they are not, say quotes: csv for ${task.name} in ${task.definedIn}`,
  ];
}

function placesOf(task: Task, source: SplitSource, glueData: string): string[] {
  return [source.file, ...(source.alternatives ?? [])].map((file) =>
    path.isAbsolute(file) ? file : path.join(glueData, task.folder, file),
  );
}

function missingFile(task: Task, name: SplitName, place: string): Error {
  const advice =
    task.folder === ""
      ? "put it there, or correct the tasks file"
      : `put GLUE's ${task.folder} folder there (flexbert data download --task ${task.name}), or say with --glue-data where it lies`;
  return dataError(`${place}: the ${name} file of ${task.name} is missing; ${advice}`);
}

const emptyPart = (file: string, name: SplitName, share: number): Error =>
  dataError(
    `${file}: dev-share ${share} leaves no ${name} row. Give ${name === "dev" ? "a larger" : "a smaller"} one, or a dev file`,
  );

/** The example of a row, or why the row is broken. */
function toExample(task: Task, source: SplitSource, row: RawRow, position: number): Example | string {
  if (row.problem !== undefined) return row.problem;
  const { text = "", pair, label: written, index } = row.cells;
  // One empty text of a pair is fine: the published QQP has some, and its test rows must all be predicted.
  if (text.trim() === "" && (pair ?? "").trim() === "") return "empty text";
  if (task.kind.perWord) {
    const tagged = taggedRow(task, source, row);
    if (typeof tagged === "string") return tagged;
    return { text, pair: null, ...tagged, index: index?.trim() ?? String(position), line: row.line };
  }
  const label = readLabel(task, source, written);
  if (typeof label === "string") return label;
  return { text, pair: pair ?? null, label, index: index?.trim() ?? String(position), line: row.line };
}

/** How data sets write a label that they keep for themselves. */
const isHidden = (cell: string | undefined): boolean => cell !== undefined && /^-1(\.0*)?$/.test(cell);

/** What a label cell stands for, null where it may lack, or why it is broken. */
function readLabel(task: Task, source: SplitSource, written: string | undefined): Label | null | string {
  if (source.columns.label === undefined) return null;
  if (written === undefined && source.labelOptional) return null;
  const cell = (written ?? "").trim();
  // Where labels are lists, an empty one is a label too.
  if (cell === "" && source.labelOptional && source.labelSeparator === undefined) return null;
  const label = task.kind.readLabel(cell, task, source);
  return typeof label === "string" && source.labelOptional && isHidden(cell) ? null : label;
}

function hashOf(task: Task, examples: readonly Example[]): string {
  const hash = createHash("sha256").update(JSON.stringify(task.labels));
  for (const { text, pair, label } of examples) {
    const name = label === null ? null : task.kind.named(label, task);
    hash.update(`\n${JSON.stringify([text, pair, name])}`);
  }
  return hash.digest("hex");
}
