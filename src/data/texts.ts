// Texts without labels, from tasks' own files and from any others, one after the other as they come: as many as there are, in
// memory for a block of them.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dataError } from "../errors/errors";
import { counted } from "../messages/words";
import type { SplitSource, Task } from "../tasks/task";
import type { TextRange } from "../tasks/words";
import { isOfPart } from "./part";
import { findSplitFile, tooManyBroken } from "./read-split";
import { findReading } from "./reading/find-reading";
import { formOf, openRows } from "./rows";
import { fileBytes } from "./rows/file-bytes";

/** A file of texts, and how it is read. */
export interface TextSource {
  readonly file: string;
  readonly source: SplitSource;
}

export interface TextRules {
  /** Words have labels: where a file says them, they are part of what is read. */
  readonly worded?: boolean;
  /** Leaves broken rows out instead of refusing the file. */
  readonly skipBroken: boolean;
  /** The share of a file's rows that may be left out so. */
  readonly maxBroken: number;
}

/** What there is in some sources. */
export interface TextSurvey {
  /** Of all texts in order, whatever the files that they stand in are called. */
  readonly sha256: string;
  readonly rows: number;
  /** What was left out, for the log. */
  readonly notes: readonly string[];
}

/** The train rows of a task, as its files have them; null where it has none. */
export function textsOfTask(task: Task, glueData: string): TextSource | null {
  const source = task.splits.train;
  const file = findSplitFile(task, "train", glueData);
  return source && file !== null ? { file, source } : null;
}

/**
 * A file of anybody's, read as the task's own files are or by the names of its columns.
 * @throws UserError (exit code 3) for a file that is missing, empty or no text, and for one without the columns that the task takes
 */
export async function textsOfFile(file: string, task: Task, glueData: string): Promise<TextSource> {
  if (!existsSync(file)) throw dataError(`${file} is missing. Give the name of a file of texts, task:NAME or all`);
  const { layout, columns } = await findReading(
    fileBytes(file),
    {
      ...{ file, tasks: [task], takesPairs: task.inputs === "pair", glueData },
      otherwise: "describe the file as a task's in a tasks file and give task:NAME",
    },
    {},
  );
  if (task.inputs === "pair" && columns.pair === undefined) {
    throw dataError(`${file} has single texts, and ${task.name} takes pairs. Name the column of the second texts pair`);
  }
  const pair = task.inputs === "pair" && columns.pair !== undefined ? { pair: columns.pair } : {};
  const lists = task.kind.perWord ? { offsetUnit: "codepoint" as const } : {};
  return { file, source: { file, ...layout, ...lists, columns: { text: columns.text, ...pair } } };
}

/**
 * Reads every text of some sources.
 * @throws UserError (exit code 3) for broken rows (too few or too many columns, no text) that the rules do not leave out, and
 *   where no text is left
 */
export async function eachText(
  sources: readonly TextSource[],
  rules: TextRules,
  take: (text: string, pair: string | null, words?: readonly TextRange[]) => void = () => undefined,
): Promise<TextSurvey> {
  const hash = createHash("sha256");
  const notes: string[] = [];
  let rows = 0;
  for (const one of sources) {
    const { file } = one;
    const broken: { rows: number; first: string | null } = { rows: 0, first: null };
    let read = 0;
    const { source, rows: batches } = await openRows(fileBytes(file), await unlabelledForm(one));
    for await (const batch of batches) {
      for (const { cells, problem, line, lines = 1, words } of batch) {
        const { text = "", pair } = cells;
        // Dev rows of a file that holds both stay unseen.
        if (problem === undefined && !isOfPart(cells, source)) continue;
        const reason = problem ?? (text.trim() === "" && (pair ?? "").trim() === "" ? "empty text" : null);
        if (reason === null) {
          const own = rules.worded ? words : undefined;
          hash.update(`${JSON.stringify([text, pair ?? null, ...(own ? [own] : [])])}\n`);
          take(text, pair ?? null, own);
          read++;
        } else {
          broken.rows += lines;
          broken.first ??= `line ${line}: ${reason}`;
        }
      }
    }
    if (broken.first !== null) notes.push(leftOut(file, broken.rows, broken.first, read, rules));
    rows += read;
  }
  if (rows === 0) throw dataError(`${sources.map(({ file }) => file).join(", ")}: no text. Give other files`);
  return { sha256: hash.digest("hex"), rows, notes };
}

/** The file in the form that it has. A row without a label, or with one that nobody knows, has a text all the same. */
async function unlabelledForm({ file, source: declared }: TextSource): Promise<SplitSource> {
  const { exported: _, ...source } = await formOf(fileBytes(file), declared);
  const { label: __, ...columns } = source.columns;
  return { ...source, columns };
}

/** The note of rows that were left out. Throws dataError (3) where they may not be. */
function leftOut(file: string, broken: number, first: string, read: number, rules: TextRules): string {
  const total = broken + read;
  const rows = `${file}: ${counted(broken, "broken row")} of ${total} (the first in ${first})`;
  if (!rules.skipBroken) throw dataError(`${rows}; mend them, or leave them out with --skip-broken-rows`);
  const tooMany = tooManyBroken(broken, total, rules.maxBroken);
  if (tooMany !== null) throw dataError(`${rows}: ${tooMany}`);
  return `${rows} left out`;
}
