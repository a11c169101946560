// The sample: four small tasks of our own making, written by seed, so that a fresh clone can train something at once.
// They are no benchmark; the README that is written beside them says so. Their tasks.yaml is an example of user tasks.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../../files/folder";
import {
  entailmentLabels,
  entailmentRow,
  intentLabels,
  intentRow,
  type Random,
  type SampleRow,
  sentimentLabels,
  sentimentRow,
  similarityRow,
} from "./texts";

/** The seed of the sample in glue-data/sample. */
export const sampleSeed = 1;

interface SampleTask {
  readonly name: string;
  readonly about: string;
  readonly columns: readonly string[];
  readonly row: (random: Random) => SampleRow;
  readonly train: number;
  readonly dev: number;
  /** Lines of its entry in tasks.yaml: columns and scoring. */
  readonly yaml: readonly string[];
}

export const sampleTasks: readonly SampleTask[] = [
  {
    name: "sample-sentiment",
    about: "reviews, negative or positive; the main clause decides, negations and concessions mislead",
    columns: ["sentence", "label"],
    row: sentimentRow,
    train: 480,
    dev: 160,
    yaml: ["columns: { text: sentence, label: label }", `labels: [${sentimentLabels.join(", ")}]`, "metric: accuracy"],
  },
  {
    name: "sample-entailment",
    about: "a report and a claim that follows from it or does not",
    columns: ["sentence1", "sentence2", "label"],
    row: entailmentRow,
    train: 560,
    dev: 200,
    yaml: [
      "columns: { text: sentence1, pair: sentence2, label: label }",
      `labels: [${entailmentLabels.join(", ")}]`,
      "metric: accuracy",
    ],
  },
  {
    name: "sample-similarity",
    about: "two scenes and how alike they are, 0 to 5",
    columns: ["sentence1", "sentence2", "score"],
    row: similarityRow,
    train: 560,
    dev: 200,
    yaml: [
      "columns: { text: sentence1, pair: sentence2, label: score }",
      "range: [0, 5]",
      "metric: pearson",
      "also-report: [spearman]",
    ],
  },
  {
    name: "sample-intent",
    about: "what a customer wants, six intents; many requests mention another one in passing",
    columns: ["sentence", "label"],
    row: intentRow,
    train: 480,
    dev: 160,
    yaml: [
      "columns: { text: sentence, label: label }",
      `labels: [${intentLabels.join(", ")}]`,
      "metric: accuracy",
      "also-report: [macro_f1]",
    ],
  },
];

/** Makes the generator of one task's rows from the seed and the task's place in the list. */
export type MakeRandom = (seed: number, stream: number) => Random;

/**
 * Writes the sample: a folder of train.tsv and dev.tsv for each task, tasks.yaml and README.md. The same seed gives the
 * same bytes. No text (or pair) of dev stands in train.
 * @param folder is made where it is missing; files of these names in it are replaced
 */
export async function writeSample(folder: string, seed: number, makeRandom: MakeRandom = splitmix32): Promise<void> {
  for (const [stream, task] of sampleTasks.entries()) {
    const rows = distinctRows(task, makeRandom(seed, stream));
    await makeFolder(path.join(folder, task.name));
    await writeTsv(path.join(folder, task.name, "train.tsv"), task.columns, rows.slice(0, task.train));
    await writeTsv(path.join(folder, task.name, "dev.tsv"), task.columns, rows.slice(task.train));
  }
  await writeFile(path.join(folder, "tasks.yaml"), tasksYaml());
  await writeFile(path.join(folder, "README.md"), readme(seed));
}

/** SplitMix of 32 bits (Steele et al. 2014, with the finaliser of MurmurHash3): a counter, hashed. */
export function splitmix32(seed: number, stream: number): Random {
  let state = (Math.imul(seed, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Rows whose texts all differ. */
function distinctRows({ row, train, dev }: SampleTask, random: Random): SampleRow[] {
  const byTexts = new Map<string, SampleRow>();
  while (byTexts.size < train + dev) {
    const made = row(random);
    const texts = made.slice(0, -1).join("\t");
    if (!byTexts.has(texts)) byTexts.set(texts, made);
  }
  return [...byTexts.values()];
}

async function writeTsv(file: string, columns: readonly string[], rows: readonly SampleRow[]): Promise<void> {
  await writeFile(file, `${[columns, ...rows].map((cells) => cells.join("\t")).join("\n")}\n`);
}

function tasksYaml(): string {
  const entries = sampleTasks.map(({ name, yaml }) => {
    const files = `files: { train: ${name}/train.tsv, dev: ${name}/dev.tsv }`;
    return [`  - name: ${name}`, ...[files, ...yaml].map((line) => `    ${line}`)].join("\n");
  });
  const about = "# Tasks of the user's own: an example, and what quickstart trains. Schema: flexbert tasks --schema";
  return `${about}\ntasks:\n${entries.join("\n")}\n`;
}

function readme(seed: number): string {
  const list = sampleTasks.map(({ name, about, train, dev }) => `| ${name} | ${train} | ${dev} | ${about} |`);
  return `# Sample tasks

These four tasks are made up. A script (src/data/sample/sample.ts) writes them from word lists and sentence patterns with seed
${seed}; nobody wrote or labelled these texts. They exist so that a fresh clone can train, distil and merge something in
minutes. They are no benchmark: a score on them says nothing about any other text.

| task | train | dev | what |
|---|---|---|---|
${list.join("\n")}

About 4 % of the class labels are wrong on purpose, and similarity carries noise of up to 0.3, so no model should reach
100 %. No text or pair of dev stands in train, but both come from the same patterns. \`tasks.yaml\` describes the tasks as
users describe their own. A test writes the sample again and compares the bytes.
`;
}
