// One split of one task: rows -> examples, labels as ids by name, broken rows counted and named.
// Texts stay as they are written (SST-2's sentences end with a space); the tokenizer decides what a space is.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { dataError } from "../errors/errors";
import { counted } from "../messages/words";
import type { Label } from "../tasks/kinds/kind";
import type { SplitName, SplitSource, Task } from "../tasks/task";
import { isOfPart } from "./part";
import { parseRows, type RawRow } from "./rows";

export interface Example {
  readonly text: string;
  readonly pair: string | null;
  /** As the task's kind has it; null where the split has no labels. */
  readonly label: Label | null;
  /** The file's own row id, else the row's number from 0: what a submission repeats. */
  readonly index: string;
  /** In the file, from 1. */
  readonly line: number;
}

export interface BrokenRow {
  readonly line: number;
  readonly reason: string;
}

export interface Split {
  readonly task: Task;
  readonly name: SplitName;
  readonly path: string;
  readonly examples: Example[];
  /** Rows left out. */
  readonly broken: BrokenRow[];
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
 *   or too many columns, no text, unknown label, no number) unless `skipBroken`
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
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw dataError(`${file}: cannot be read (${cause.code}); check that it is a file and its permissions`, cause);
  });

  const examples: Example[] = [];
  const broken: BrokenRow[] = [];
  for (const [i, row] of parseRows(bytes, source, file).entries()) {
    if (examples.length + broken.length === options.maxRows) break;
    if (!isOfPart(row.cells, source)) continue;
    const example = toExample(task, source, row, i);
    if (typeof example === "string") broken.push({ line: row.line, reason: example });
    else examples.push(example);
  }
  if (broken.length > 0 && (!options.skipBroken || examples.length === 0)) {
    throw brokenRows(file, broken, examples.length);
  }
  if (source.part && examples.length + broken.length === 0) throw emptyPart(file, name, source.part.devShare);
  return { task, name, path: file, examples, broken, sha256: hashOf(task, examples) };
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

function brokenRows(file: string, broken: readonly BrokenRow[], whole: number): Error {
  const shown = broken.slice(0, shownRows).map(({ line, reason }) => `line ${line}: ${reason}`);
  if (broken.length > shownRows) shown.push(`and ${broken.length - shownRows} more`);
  const advice =
    whole > 0 ? "mend them, or leave them out with --skip-broken-rows" : "no row is left; is it the right file?";
  const rows = counted(broken.length, "broken row");
  return dataError(`${file}: ${rows} (${shown.join("; ")}); ${advice}`);
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
  const label = readLabel(task, source, written);
  if (typeof label === "string") return label;
  return { text, pair: pair ?? null, label, index: index?.trim() ?? String(position), line: row.line };
}

/** What a label cell stands for, null where it may lack, or why it is broken. */
function readLabel(task: Task, source: SplitSource, written: string | undefined): Label | null | string {
  if (source.columns.label === undefined) return null;
  if (written === undefined && source.labelOptional) return null;
  const cell = (written ?? "").trim();
  // Where labels are lists, an empty one is a label too.
  if (cell === "" && source.labelOptional && source.labelSeparator === undefined) return null;
  return task.kind.readLabel(cell, task, source);
}

function hashOf(task: Task, examples: readonly Example[]): string {
  const hash = createHash("sha256").update(JSON.stringify(task.labels));
  for (const { text, pair, label } of examples) {
    const name = label === null ? null : task.kind.named(label, task);
    hash.update(`\n${JSON.stringify([text, pair, name])}`);
  }
  return hash.digest("hex");
}
