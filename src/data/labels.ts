// The labels of a task whose tasks file does not list them: those of its train file, sorted.

import { dataError, usageError } from "../errors/errors";
import { counted } from "../messages/words";
import { isIob1, NO_BEGINNINGS, withBeginnings, withRow } from "../tasks/iob1";
import { OUTSIDE, schemeOf, tagOf, tagsForTypes } from "../tasks/tags";
import type { SplitSource, Task } from "../tasks/task";
import { findSplitFile, readSplit } from "./read-split";
import { openRows } from "./rows";
import { fileBytes } from "./rows/file-bytes";
import { isSpans, namesInCell } from "./tagged";

/** More are no labels but texts or numbers, in the wrong column. */
export const MOST_LABELS = 10_000;

/** Without being told that a column holds labels: so many, of so many words, at so many rows each on average. */
const FEW = { labels: 1000, words: 5, rows: 2 };

/**
 * The task with its labels, as it is where its tasks file lists them or its train file is not there.
 * @param given the labels in another order or with further ones, as --labels and config.yaml have them
 * @throws UserError (3) for a train file whose column is none of labels, (2) for a metric that they do not have
 */
export async function withLabels(task: Task, given?: readonly string[]): Promise<Task> {
  if (given && !task.labelsFrom) {
    throw usageError(
      `--labels: ${task.name} ${task.definedIn ? `has its labels in ${task.definedIn}` : "has labels of its own"}. Leave --labels out`,
    );
  }
  if (!task.labelsFrom || findSplitFile(task, "train", "") === null) return task;
  const { counts, rows, file, tags } = await (task.kind.perWord ? countTags(task) : countLabels(task));
  const found = sortedLabels([...counts.keys()]);
  if (tags && found.every((label) => /^\d+$/.test(label))) {
    throw dataError(
      `${file}: the tags of ${task.name} are numbers, ${found[0]} to ${found.at(-1)}. List in ${task.definedIn} under labels the tags ` +
        "that they stand for, in the order of the numbers",
    );
  }
  const labels = tags === false ? tagsForTypes(found, task.tags?.scheme ?? "BIO") : found;
  const problem = task.kind.labelsProblem?.(given ?? labels) ?? schemeProblem(task, given ?? labels);
  if (problem !== null) throw dataError(`${file}: the labels of ${task.name}: ${problem}`);
  if (task.labelsFrom === "few words") requireFewWords(task, labels, rows, file);
  requireDistinct(labels, file);
  const missing = given && labels.find((label) => !given.includes(label));
  if (missing !== undefined) throw dataError(`${file} has the label "${missing}", which --labels does not name`);
  const labelled = { ...task, labels: given ?? labels };
  for (const name of [task.metric, ...task.alsoReport]) {
    const problem = task.kind.metrics[name]?.problem?.(labelled.labels);
    if (problem) throw usageError(`${task.name}: ${problem}`);
  }
  return labelled;
}

/** What the tasks file says of words' tags, and the data has otherwise; null where there is nothing. */
function schemeProblem({ kind, tags }: Task, labels: readonly string[]): string | null {
  if (!kind.perWord) return null;
  if (labels.every((label) => label === OUTSIDE))
    return `every word's tag is ${OUTSIDE}, and there is no span to learn`;
  const found = schemeOf(labels);
  if (tags?.scheme === undefined || tags.scheme === found) return null;
  return `they are tags of ${found}, and its scheme is ${tags.scheme}. Leave scheme out, or mend them`;
}

/** Whole numbers by value, as scikit-learn sorts them; else by code unit, the same on every machine. */
export function sortedLabels(labels: readonly string[]): string[] {
  const numbers = labels.every((label) => /^[+-]?\d{1,15}$/.test(label));
  const byCodeUnit = (a: string, b: string) => (a < b ? -1 : Number(a > b));
  return [...labels].sort((a, b) => (numbers && Number(a) - Number(b)) || byCodeUnit(a, b));
}

interface LabelCounts {
  /** Rows by label. */
  readonly counts: ReadonlyMap<string, number>;
  readonly rows: number;
  readonly file: string;
  /** Of words: whether they have labels by tags, rather than their texts by spans. */
  readonly tags?: boolean;
}

/** Of the whole train file, its dev rows included. Broken rows are told when the task's rows are read. */
async function countLabels(task: Task): Promise<LabelCounts> {
  const counts = new Map<string, number>();
  let rows = 0;
  const readLabel: Task["kind"]["readLabel"] = (cell, _, { labelSeparator }) => {
    const names = labelSeparator === undefined ? [cell] : cell.split(labelSeparator).map((name) => name.trim());
    if (labelSeparator === undefined && cell === "") return "no label";
    for (const name of names.filter((label) => label !== "")) counts.set(name, (counts.get(name) ?? 0) + 1);
    requireFew(task, counts.size);
    rows++;
    return labelSeparator === undefined ? 0 : [];
  };
  const kind = { ...task.kind, readLabel, named: () => "" };
  const { part: _, ...source } = task.splits.train as SplitSource;
  const whole = { ...task, kind, splits: { train: source } };
  const { path: file } = await readSplit(whole, "train", { glueData: "", skipBroken: true });
  if (counts.size < 2) {
    const [only] = counts.keys();
    throw dataError(
      `${file}: ${task.name} needs at least two labels, and there is ${only === undefined ? "none" : `"${only}" alone`}`,
    );
  }
  return { counts, rows, file };
}

/** Of the whole train file: words by tag, or spans by type. */
export async function countTags(task: Task): Promise<LabelCounts> {
  const counts = new Map<string, number>();
  let [rows, shown, tags] = [0, NO_BEGINNINGS, false];
  const source = task.splits.train as SplitSource;
  const file = findSplitFile(task, "train", "") as string;
  for await (const batch of (await openRows(fileBytes(file), source)).rows) {
    for (const { cells } of batch) {
      const cell = cells.label?.trim() ?? "";
      const names = namesInCell(cell);
      tags ||= cell !== "" && !isSpans(cell);
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
      shown = withRow(shown, names.map(tagOf));
      rows++;
    }
    requireFew(task, counts.size);
  }
  if (counts.size === 0) throw dataError(`${file}: ${task.name} needs labels, and there is none`);
  const found = [...counts.keys()];
  for (const label of isIob1(shown) ? withBeginnings(found) : []) counts.set(label, counts.get(label) ?? 0);
  return { counts, rows, file, tags };
}

function requireFew(task: Task, count: number): void {
  if (count <= MOST_LABELS) return;
  throw dataError(
    `${task.name} has more than ${counted(MOST_LABELS, "label")} in its train file: is it the column of labels?`,
  );
}

function requireFewWords(task: Task, labels: readonly string[], rows: number, file: string): void {
  const column = `${file}: the column of ${task.name}'s labels`;
  const advice = `Give ${task.name} labels, labels: from-data or, for numbers, a range in ${task.definedIn}`;
  const fraction = labels.find((label) => /^[+-]?\d*\.\d+$|e[+-]?\d+$/i.test(label) && Number.isFinite(Number(label)));
  if (fraction !== undefined) throw dataError(`${column} holds numbers such as ${fraction}. ${advice}`);
  const long = labels.find((label) => label.split(/\s+/).length > FEW.words);
  if (long !== undefined) throw dataError(`${column} holds texts such as "${long.slice(0, 60)}". ${advice}`);
  if (labels.length > FEW.labels || labels.length * FEW.rows > rows) {
    throw dataError(`${column} has ${labels.length} different words in ${counted(rows, "row")}. ${advice}`);
  }
}

/** Two labels that look alike would be two classes without anybody's knowing. */
function requireDistinct(labels: readonly string[], file: string): void {
  const seen = new Map<string, string>();
  for (const label of labels) {
    const form = label
      .normalize("NFC")
      .replace(/\p{Cf}/gu, "")
      .replace(/\s+/gu, " ");
    const other = seen.get(form);
    if (other !== undefined) {
      throw dataError(
        `${file}: the labels ${escaped(other)} and ${escaped(label)} differ in Unicode form or invisible characters only. Write them alike`,
      );
    }
    seen.set(form, label);
  }
}

/** With every character that is not plain ASCII by its number. */
const escaped = (label: string) =>
  JSON.stringify(label).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
