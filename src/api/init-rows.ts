// What is in a file of rows that nobody has described: how it is laid out, what its columns are for, its labels, and some rows.

import { statSync } from "node:fs";
import type { Survey } from "../data/guess/columns";
import type { Guess } from "../data/guess/guess";
import type { TaggingGuess } from "../data/guess/tagging";
import type { Layout } from "../data/rows/table";
import { dataError, usageError } from "../errors/errors";
import { kinds } from "../tasks/kinds";
import { asTags } from "../tasks/tags";
import type { Column, Columns, Task } from "../tasks/task";

export interface InitRows {
  readonly layout: Layout;
  readonly guess: Guess;
  /** All of them, sorted. */
  readonly labels: readonly string[];
  /** As the tasks file has them. */
  readonly listed: readonly string[] | "from-data";
  readonly rows: number;
  /** The first rows: the cells of the columns, by what these are for. */
  readonly examples: readonly Readonly<Record<string, string>>[];
}

interface RowsValues {
  readonly tasks: string;
  readonly columns: string | undefined;
  readonly labels: readonly string[] | undefined;
}

/** Labels that are listed; more are left to the data. */
const LISTED = 20;

/** Throws UserError (2) for labels that are wanted or not wanted, (3) for a file that is no task's. */
export async function readRows(train: string, values: RowsValues): Promise<InitRows> {
  const { guessLayout } = await import("../data/guess/layout.js");
  const { guessTagging } = await import("../data/guess/tagging.js");
  const { fileBytes } = await import("../data/rows/file-bytes.js");
  const layout = isFolder(train) ? null : await guessLayout(fileBytes(train));
  const said = saidColumns(values.columns, layout ?? { header: true });
  const tagging = await guessTagging(train, layout, said);
  if (tagging) return wordRows(train, tagging, values);
  if (values.labels !== undefined) {
    throw usageError(`--labels names the tags of numbers that label words, and ${train} has none. Leave it out`);
  }
  return wholeRows(train, layout as Layout, said, values);
}

async function wholeRows(train: string, layout: Layout, said: Partial<Columns>, values: RowsValues): Promise<InitRows> {
  const { surveyColumns, cellOf } = await import("../data/guess/columns.js");
  const { fileBytes } = await import("../data/rows/file-bytes.js");
  const { guessColumns } = await import("../data/guess/guess.js");
  const { sortedLabels } = await import("../data/labels.js");
  const survey = await surveyColumns(fileBytes(train), layout);
  requireRows(survey, train);
  const spans = spansColumn(survey);
  const known = spans === null ? null : unknownSpans(train, values.tasks, spans);
  const guess = guessOr(known, () => guessColumns(survey.columns, said, train));
  if (known && guess.columns.label === spans) throw known;
  const labels = sortedLabels([...guess.labels.keys()]);
  const places = survey.columns.map(({ column }) => column);
  return {
    ...{ layout, guess, labels },
    listed: labels.length > LISTED ? "from-data" : labels,
    rows: survey.rows,
    examples: survey.examples.map((cells) => {
      const text = (column: Column) => cellOf(cells, places.indexOf(column), column).text;
      return Object.fromEntries(Object.entries(guess.columns).map(([role, column]) => [role, text(column)]));
    }),
  };
}

/** Labels are those of the whole file, as they are in a task that takes them from it. */
async function wordRows(train: string, found: TaggingGuess, { labels: given }: RowsValues): Promise<InitRows> {
  const { countTags, sortedLabels } = await import("../data/labels.js");
  const { layout, columns, written, examples } = found;
  const { format, quotes, header } = layout;
  const source = {
    file: train,
    format,
    quotes,
    header: header && format !== "conll",
    columns,
    offsetUnit: "codepoint",
  } as const;
  const task: Task = {
    ...{
      name: "words",
      title: "words",
      folder: "",
      kind: kinds.tagging,
      inputs: "single",
      labels: [],
      metric: "span_f1",
    },
    ...{ alsoReport: [], inAverage: true, splits: { train: { ...source, labelSeparator: " " } } },
  };
  const { counts, rows } = await countTags(task);
  const guess = { columns, kind: "tagging" as const, range: null, separator: null };
  if (written === "numbers") {
    const names = namesOfNumbers(train, columns.label, [...counts.keys()].map(Number), given);
    const byName = new Map(names.map((name, id) => [name, counts.get(String(id)) ?? 0]));
    return { layout, guess: { ...guess, labels: byName }, labels: names, listed: names, rows, examples };
  }
  if (given !== undefined) {
    throw usageError(`--labels names the tags of numbers that label words, and ${train} has their names. Leave it out`);
  }
  const labels = sortedLabels([...counts.keys()]);
  const fits = (kinds.tagging.labelsProblem?.(asTags(labels)) ?? null) === null;
  const listed = fits && labels.length <= LISTED ? labels : "from-data";
  return { layout, guess: { ...guess, labels: counts }, labels, listed, rows, examples };
}

/** Throws usageError (2) where nobody says which tags the numbers are. */
function namesOfNumbers(
  file: string,
  column: Column,
  numbers: readonly number[],
  given: readonly string[] | undefined,
): readonly string[] {
  const most = Math.max(0, ...numbers);
  if (given && given.length > most) return given;
  const has = given ? `--labels has ${given.length}` : "which tags they are is not in the file";
  throw usageError(
    `${file}: "${column}" labels words by numbers up to ${most}, and ${has}. Name them from 0: --labels O,B-PER,I-PER`,
  );
}

const isFolder = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;

const unknownSpans = (file: string, tasks: string, column: Column): Error =>
  usageError(
    `${file}: "${column}" has lists that are no spans of a start, an end and a label. Name another column with --columns label=NAME, ` +
      `or describe the task in ${tasks} (docs/tasks.md has examples)`,
  );

/** A column whose cells are lists of objects or of lists, as spans of a text are; null without one. */
function spansColumn({ columns, examples }: Survey): Column | null {
  const isSpans = (cell: unknown) => Array.isArray(cell) && cell.length > 0 && cell.every((one) => Object(one) === one);
  const found = columns.find(({ column }) =>
    examples.some((cells) => isSpans((cells as Readonly<Record<Column, unknown>>)[column])),
  );
  return found?.column ?? null;
}

/** What a guess throws, or what is known better. */
function guessOr(known: Error | null, guess: () => Guess): Guess {
  try {
    return guess();
  } catch (error) {
    throw known ?? error;
  }
}

/** Guesses from what is left of a file whose quotes or lines are broken would be wrong, and nobody would know why. */
function requireRows({ rows, broken: { rows: broken, first } }: Survey, file: string): void {
  if (rows + broken === 0) throw dataError(`${file}: there is a header and no row`);
  if (!first || (10 * broken < rows && first.lines === undefined)) return;
  throw dataError(`${file}: line ${first.line}: ${first.problem}. Mend it first`);
}

/** text=body,label=3 as columns: positions where the file has no header. */
function saidColumns(given: string | undefined, { header }: Pick<Layout, "header">): Partial<Columns> {
  const said: Partial<Record<keyof Columns, string | number>> = {};
  for (const part of given?.split(",") ?? []) {
    const [role = "", column = ""] = part.split(/=(.*)/s).map((one) => one.trim());
    if (!["text", "pair", "label", "index"].includes(role) || column === "") {
      throw usageError(
        `--columns ${given}: it takes text=NAME, pair=NAME, label=NAME and index=NAME, with commas between`,
      );
    }
    said[role as keyof Columns] = header ? column : Number(column);
  }
  return said;
}
