// GLUE as Hugging Face's `datasets` keeps it (nyu-mll/glue and what its users write from it): one header for all files of a
// task, label ids for labels, -1 where they are hidden, idx for the row, and names such as
// validation_matched-00000-of-00001.parquet. Label ids are in the order of the tasks' labels.

import type { Columns, SplitName, SplitSource, Task } from "./task";

const pairs = { text: "sentence1", pair: "sentence2" };
const entailed = { text: "premise", pair: "hypothesis" };

/** By task; the others are single sentences. */
const texts: Readonly<Record<string, Columns>> = {
  mrpc: pairs,
  stsb: pairs,
  rte: pairs,
  wnli: pairs,
  qqp: { text: "question1", pair: "question2" },
  qnli: { text: "question", pair: "sentence" },
  mnli: entailed,
  ax: entailed,
};

const stems: Readonly<Record<SplitName, readonly string[]>> = {
  train: ["train"],
  dev: ["validation", "dev"],
  dev_mismatched: ["validation_mismatched", "dev_mismatched"],
  test: ["test"],
  test_mismatched: ["test_mismatched"],
};
const matchedStems = { dev: ["validation_matched", "dev_matched"], test: ["test_matched"] };

const endings = [".parquet", ".jsonl", ".json", ".csv", ".tsv"].flatMap((extension) => [
  extension,
  `-00000-of-00001${extension}`,
]);

/** The task, which also reads what `datasets` writes, in its own folder and in one of its name. */
export function withExported(task: Task): Task {
  const splits = Object.entries(task.splits).map(([name, source]) => [
    name,
    exportedSplit(task, name as SplitName, source),
  ]);
  return { ...task, splits: Object.fromEntries(splits) };
}

function exportedSplit(task: Task, name: SplitName, source: SplitSource): SplitSource {
  const columns = texts[task.name] ?? { text: "sentence" };
  // Test labels are hidden: a label's column is none of a test split's, in either form.
  const label = source.columns.label === undefined ? {} : { label: "label" };
  const spellings = Object.fromEntries(
    task.labels.flatMap((written, id) => [
      [String(id), written],
      [written, written],
    ]),
  );
  const matched = task.splits.dev_mismatched && Object.hasOwn(matchedStems, name);
  const files = (matched ? matchedStems[name as keyof typeof matchedStems] : stems[name]).flatMap((stem) =>
    endings.map((ending) => stem + ending),
  );
  const places = [...files, ...files.map((file) => `../${task.name}/${file}`)];
  return {
    ...source,
    alternatives: [...(source.alternatives ?? []), ...places.filter((place) => place !== source.file)],
    exported: {
      columns: { ...columns, ...label, index: "idx" },
      ...(task.labels.length > 0 ? { spellings } : {}),
    },
  };
}
