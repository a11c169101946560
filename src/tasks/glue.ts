// The nine GLUE tasks and the diagnostic set AX (Wang et al. 2018, gluebenchmark.com), one object each: official file
// names, columns, labels in Hugging Face's id order, metrics, and the published files' row counts.
// Traps: CoLA's train and dev have no header; MNLI's gold_label stands in column 11 of train and 15 of dev, so columns
// go by name; WNLI writes 1 for entailment where RTE's id 0 is entailment, so labels go by name too.

import { withExported } from "./glue-exported";
import { kinds } from "./kinds";
import type { Columns, SplitSource, Task } from "./task";

export type GlueName = "cola" | "sst2" | "mrpc" | "stsb" | "qqp" | "mnli" | "qnli" | "rte" | "wnli" | "ax";

type SourceOptions = Partial<Omit<SplitSource, "file" | "columns" | "rows">>;

const tsv = (file: string, rows: number, columns: Columns, options: SourceOptions = {}): SplitSource => ({
  file,
  rows,
  format: "tsv",
  header: true,
  quotes: "ordinary",
  columns,
  ...options,
});

/** The usual layout: train and dev files with a label column, a test file with an index and without labels. */
function usualSplits(
  rows: Record<"train" | "dev" | "test", number>,
  columns: { readonly labelled: Columns; readonly test: Columns },
  labelled: SourceOptions = {},
): Record<"train" | "dev" | "test", SplitSource> {
  return {
    train: tsv("train.tsv", rows.train, columns.labelled, labelled),
    dev: tsv("dev.tsv", rows.dev, columns.labelled, labelled),
    test: tsv("test.tsv", rows.test, columns.test),
  };
}

/** The test file's predictions under the task's title; `constant` is the most frequent label, where one is. */
const submittedAs = (title: string, constant: { label: string } | { value: number }) =>
  ({ files: [{ file: title, split: "test" }], constant }) as const;

const sentencePair = { text: "sentence1", pair: "sentence2", index: "index" } as const;
const mnliColumns = { ...sentencePair, label: "gold_label" } as const;
const mnliLabels = ["entailment", "neutral", "contradiction"] as const;
const rteLabels = ["entailment", "not_entailment"] as const;

const tasks = {
  cola: {
    name: "cola",
    title: "CoLA",
    folder: "CoLA",
    kind: kinds.classification,
    inputs: "single",
    labels: ["unacceptable", "acceptable"],
    metric: "matthews",
    alsoReport: ["accuracy"],
    // Columns without a header: source, label, star (empty on acceptable rows), sentence.
    splits: usualSplits(
      { train: 8551, dev: 1043, test: 1063 },
      { labelled: { text: 3, label: 1 }, test: { text: "sentence", index: "index" } },
      { header: false, spellings: { "0": "unacceptable", "1": "acceptable" } },
    ),
    inAverage: true,
    submission: submittedAs("CoLA", { label: "acceptable" }),
  },
  sst2: {
    name: "sst2",
    title: "SST-2",
    folder: "SST-2",
    kind: kinds.classification,
    inputs: "single",
    labels: ["negative", "positive"],
    metric: "accuracy",
    alsoReport: [],
    splits: usualSplits(
      { train: 67349, dev: 872, test: 1821 },
      { labelled: { text: "sentence", label: "label" }, test: { text: "sentence", index: "index" } },
      { spellings: { "0": "negative", "1": "positive" } },
    ),
    inAverage: true,
    submission: submittedAs("SST-2", { label: "positive" }),
  },
  mrpc: {
    name: "mrpc",
    title: "MRPC",
    folder: "MRPC",
    kind: kinds.classification,
    inputs: "pair",
    labels: ["not_equivalent", "equivalent"],
    metric: "accuracy",
    alsoReport: ["f1"],
    // The public text of the test set comes with gold labels (a Quality column); they are never read.
    splits: usualSplits(
      { train: 3668, dev: 408, test: 1725 },
      {
        labelled: { text: "#1 String", pair: "#2 String", label: "Quality" },
        test: { text: "#1 String", pair: "#2 String", index: "index" },
      },
      { spellings: { "0": "not_equivalent", "1": "equivalent" } },
    ),
    inAverage: true,
    submission: submittedAs("MRPC", { label: "equivalent" }),
  },
  stsb: {
    name: "stsb",
    title: "STS-B",
    folder: "STS-B",
    kind: kinds.regression,
    inputs: "pair",
    labels: [],
    range: [0, 5],
    metric: "pearson",
    alsoReport: ["spearman"],
    splits: usualSplits(
      { train: 5749, dev: 1500, test: 1379 },
      { labelled: { ...sentencePair, label: "score" }, test: sentencePair },
    ),
    inAverage: true,
    // No constant correlates with anything: the middle of the range is as good as any.
    submission: submittedAs("STS-B", { value: 2.5 }),
  },
  qqp: {
    name: "qqp",
    title: "QQP",
    folder: "QQP",
    kind: kinds.classification,
    inputs: "pair",
    labels: ["not_duplicate", "duplicate"],
    metric: "accuracy",
    alsoReport: ["f1"],
    splits: usualSplits(
      { train: 363846, dev: 40430, test: 390965 },
      {
        labelled: { text: "question1", pair: "question2", label: "is_duplicate", index: "id" },
        test: { text: "question1", pair: "question2", index: "id" },
      },
      { spellings: { "0": "not_duplicate", "1": "duplicate" } },
    ),
    inAverage: true,
    submission: submittedAs("QQP", { label: "not_duplicate" }),
  },
  mnli: {
    name: "mnli",
    title: "MNLI",
    folder: "MNLI",
    kind: kinds.classification,
    inputs: "pair",
    labels: mnliLabels,
    metric: "accuracy",
    alsoReport: [],
    splits: {
      train: tsv("train.tsv", 392702, mnliColumns),
      dev: tsv("dev_matched.tsv", 9815, mnliColumns),
      dev_mismatched: tsv("dev_mismatched.tsv", 9832, mnliColumns),
      test: tsv("test_matched.tsv", 9796, sentencePair),
      test_mismatched: tsv("test_mismatched.tsv", 9847, sentencePair),
    },
    inAverage: true,
    submission: {
      files: [
        { file: "MNLI-m", split: "test" },
        { file: "MNLI-mm", split: "test_mismatched" },
      ],
      constant: { label: "entailment" },
    },
  },
  qnli: {
    name: "qnli",
    title: "QNLI",
    folder: "QNLI",
    kind: kinds.classification,
    inputs: "pair",
    labels: rteLabels,
    metric: "accuracy",
    alsoReport: [],
    splits: usualSplits(
      { train: 104743, dev: 5463, test: 5463 },
      {
        labelled: { text: "question", pair: "sentence", label: "label", index: "index" },
        test: { text: "question", pair: "sentence", index: "index" },
      },
    ),
    inAverage: true,
    submission: submittedAs("QNLI", { label: "not_entailment" }),
  },
  rte: {
    name: "rte",
    title: "RTE",
    folder: "RTE",
    kind: kinds.classification,
    inputs: "pair",
    labels: rteLabels,
    metric: "accuracy",
    alsoReport: [],
    splits: usualSplits(
      { train: 2490, dev: 277, test: 3000 },
      { labelled: { ...sentencePair, label: "label" }, test: sentencePair },
    ),
    inAverage: true,
    submission: submittedAs("RTE", { label: "entailment" }),
  },
  wnli: {
    name: "wnli",
    title: "WNLI",
    folder: "WNLI",
    kind: kinds.classification,
    inputs: "pair",
    labels: ["not_entailment", "entailment"],
    metric: "accuracy",
    alsoReport: [],
    splits: usualSplits(
      { train: 635, dev: 71, test: 146 },
      { labelled: { ...sentencePair, label: "label" }, test: sentencePair },
      { spellings: { "0": "not_entailment", "1": "entailment" } },
    ),
    // Its dev set repeats train sentences with the opposite label: a better score than the majority's is a bug sign.
    inAverage: false,
    submission: submittedAs("WNLI", { label: "not_entailment" }),
  },
  ax: {
    name: "ax",
    title: "AX",
    folder: "AX",
    kind: kinds.classification,
    inputs: "pair",
    labels: mnliLabels,
    metric: "matthews",
    alsoReport: [],
    // The official download script saves the bare AX.tsv as diagnostic/diagnostic.tsv.
    splits: { test: tsv("AX.tsv", 1104, sentencePair, { alternatives: ["../diagnostic/diagnostic.tsv"] }) },
    inAverage: false,
    submission: submittedAs("AX", { label: "entailment" }),
    predictedWith: "mnli",
  },
} as const satisfies { [Name in GlueName]: Task & { readonly name: Name } };

/** In the order of the GLUE leaderboard's columns, AX last. */
export const glueTasks = Object.fromEntries(
  Object.entries(tasks).map(([name, task]) => [name, withExported(task)]),
) as Readonly<Record<GlueName, Task>>;
