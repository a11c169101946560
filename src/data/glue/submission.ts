// The files that GLUE's site takes: one a test set, `index` and `prediction` under a header, indices as in the test file,
// labels as the train file spells them (0 and 1 for CoLA, SST-2, MRPC, QQP and WNLI, names for the inference tasks), STS-B's
// values within 0 to 5 with three decimals. The site refuses a zip in which a file or a row is missing.

import { dataError } from "../../errors/errors";
import { glueTasks } from "../../tasks/glue";
import type { SplitName, SplitSource, Task } from "../../tasks/task";

export interface SubmissionFile {
  /** MNLI-mm.tsv */
  readonly name: string;
  readonly task: Task;
  readonly split: SplitName;
  readonly source: SplitSource;
}

/** What one row is predicted to be, by the label's name. */
export type Predicted = { readonly label: string } | { readonly value: number };

const HEADER = "index\tprediction";
const DECIMALS = 3;

/** All files of a submission, in the order of the leaderboard's columns. */
export function submissionFiles(tasks: readonly Task[] = Object.values(glueTasks)): SubmissionFile[] {
  return tasks.flatMap((task) =>
    (task.submission?.files ?? []).map(({ file, split }) => {
      const source = task.splits[split];
      if (!source) throw new Error(`${task.name} submits a split ${split} that it does not have`);
      return { name: `${file}.tsv`, task, split, source };
    }),
  );
}

/** A prediction as the site spells it. Values are cut to the task's range. */
export function spell(task: Task, predicted: Predicted): string {
  if ("label" in predicted) return spelledLabel(task, predicted.label);
  const [lowest, highest] = task.range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return Math.min(highest, Math.max(lowest, predicted.value)).toFixed(DECIMALS);
}

function spelledLabel(task: Task, label: string): string {
  const spellings = task.splits.train?.spellings;
  if (!spellings) return label;
  const written = Object.keys(spellings).find((spelling) => spellings[spelling] === label);
  if (written === undefined) throw new Error(`${task.name} has no spelling of ${label}`);
  return written;
}

/** What stands in every row where no model predicts the task. */
export function constantOf(task: Task): Predicted {
  if (!task.submission) throw new Error(`${task.name} is no task of GLUE's site`);
  return task.submission.constant;
}

/** The content of one file. */
export function submissionText(task: Task, indices: readonly string[], predicted: readonly Predicted[]): string {
  const rows = indices.map((index, row) => `${index}\t${spell(task, predicted[row] as Predicted)}`);
  return `${[HEADER, ...rows].join("\n")}\n`;
}

export type Predictions =
  | { readonly labels: readonly { readonly prediction: string; readonly count: number }[] }
  | { readonly min: number; readonly mean: number; readonly max: number };

/** What stands in a file: how often each label, the most frequent first, or the spread of the values. */
export function describePredictions(task: Task, text: string): Predictions {
  const cells = text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t")[1] as string);
  if (task.labels.length === 0) {
    const values = cells.map(Number).sort((a, b) => a - b);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return { min: values[0] as number, mean, max: values.at(-1) as number };
  }
  const counts = new Map<string, number>();
  for (const cell of cells) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  const labels = [...counts].map(([prediction, count]) => ({ prediction, count }));
  return { labels: labels.sort((a, b) => b.count - a.count) };
}

/**
 * Looks at a finished file as the site would. Throws dataError (3) for a wrong header, number of rows or index, and for
 * a prediction that is no label of the task and no number in its range.
 */
export function checkSubmissionFile({ name, task, source }: SubmissionFile, text: string): void {
  const [header, ...rows] = text.replace(/\n$/, "").split("\n");
  if (header !== HEADER) throw dataError(`${name} begins with "${header}", not with "${HEADER}"`);
  if (source.rows !== undefined && rows.length !== source.rows) {
    throw dataError(`${name} has ${rows.length} rows, the site takes ${source.rows}`);
  }
  const labels = new Set(task.labels.map((label) => spelledLabel(task, label)));
  const [lowest, highest] = task.range ?? [];
  const seen = new Set<string>();
  for (const [i, row] of rows.entries()) {
    const [index = "", prediction = "", ...rest] = row.split("\t");
    const isRight =
      labels.size === 0
        ? /^\d+\.\d+$/.test(prediction) && Number(prediction) >= Number(lowest) && Number(prediction) <= Number(highest)
        : labels.has(prediction);
    if (!/^\d+$/.test(index) || seen.has(index)) {
      throw dataError(
        `${name}, line ${i + 2}: the index "${index}" is ${seen.has(index) ? "there twice" : "no number"}`,
      );
    }
    if (!isRight || rest.length > 0)
      throw dataError(`${name}, line ${i + 2}: "${prediction}" is no ${task.title} prediction`);
    seen.add(index);
  }
}
