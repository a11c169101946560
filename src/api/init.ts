// A tasks file for files of rows that somebody has: what is in them is guessed, shown and checked. What is there is not touched.

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Guess } from "../data/guess/guess";
import type { Layout } from "../data/rows/table";
import { usageError } from "../errors/errors";
import { storageFailure } from "../files/storage-failure";
import { type Given, readGiven } from "../options/given";
import { option, optional } from "../options/option";
import { decimal, list, names, text } from "../options/readers";
import { formatByName, usualQuotes } from "../tasks/format";
import type { Columns, SplitName, Task } from "../tasks/task";
import { type Caller, callOf } from "./caller";
import type { InitRows } from "./init-rows";
import { DEFAULT_TASKS, labelledTasks } from "./session";

export const initOptions = {
  tasks: option(text, {
    flag: "--tasks",
    value: "<file>",
    help: "the tasks file to write; one that is there is left as it is",
    fallback: DEFAULT_TASKS,
  }),
  name: optional(text, {
    flag: "--name",
    value: "<task>",
    help: "the task's name (default the file's, or its folder's)",
  }),
  columns: optional(names, {
    flag: "--columns",
    value: "<roles>",
    help: "columns that are known: text=NAME,pair=NAME,label=NAME,index=NAME",
  }),
  labels: optional(list, {
    flag: "--labels",
    value: "<names>",
    help: "where words are labelled by numbers: the tags that they stand for, from 0",
  }),
  devShare: optional(decimal({ min: 0.01, max: 0.5 }), {
    flag: "--dev-share",
    value: "<share>",
    help: "without a dev file: the share of rows that become dev rows, by a hash of their texts (default 0.1; 0.2 of fewer than 500)",
  }),
};

export type InitOptions = Given<typeof initOptions>;

export interface PlannedTask {
  readonly task: string;
  readonly kind: string;
  readonly inputs: Task["inputs"];
  /** The tasks file, and what stands in it. */
  readonly file: string;
  readonly content: string;
  readonly columns: Columns;
  /** Rows by label in the order of ids; of words with labels words by tag, or spans by type. Of values none. */
  readonly labels: readonly { readonly label: string; readonly rows: number }[];
  readonly range: readonly [number, number] | null;
  /** Of each split the rows that can be used, and those that cannot. */
  readonly splits: Readonly<Partial<Record<SplitName, { readonly rows: number; readonly broken: number }>>>;
  /** The first rows of the train file: the cells of the columns, by what these are for. */
  readonly examples: readonly Readonly<Record<string, string>>[];
  /** What comes next, as a command line. */
  readonly next: string;
}

/**
 * Writes a tasks file with one task for these files: train alone, or with dev and test, which are told by their names.
 * Throws UserError (2) for a tasks file that is there, (3) for files that are no task's.
 */
export async function initTasks(
  files: readonly string[],
  options: InitOptions = {},
  caller: Caller = {},
): Promise<PlannedTask> {
  const { tasks } = readGiven(initOptions, options);
  requireFiles(files);
  if (existsSync(tasks)) throw alreadyThere(tasks);
  const planned = await planInit(files, options, caller);
  try {
    await writeFile(planned.file, planned.content, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw alreadyThere(planned.file);
    throw storageFailure(error, planned.file);
  }
  return planned;
}

/** The same, with nothing written. */
export async function planInit(
  files: readonly string[],
  options: InitOptions = {},
  caller: Caller = {},
): Promise<PlannedTask> {
  const values = readGiven(initOptions, options);
  requireFiles(files);
  const splits = splitsOf(files);
  const train = splits.train as string;
  const { readRows } = await import("./init-rows.js");
  const rows = await readRows(train, values);
  const { layout, guess, labels } = rows;
  const { glueTasks } = await import("../tasks/glue.js");
  const usual = nameOf(train);
  const name = values.name ?? (usual in glueTasks || usual === "all" ? `my-${usual}` : usual);
  const devShare = values.devShare ?? usualShare(rows);
  const entry = entryOf({ name, splits, layout, guess, labels: rows.listed, devShare, file: values.tasks });
  const { stringify } = await import("yaml");
  const content = `# Guessed by flexbert tasks init. docs/tasks.md says what the keys mean.\n${stringify({ tasks: [entry] })}`;
  const { parseUserTasks } = await import("../tasks/user-tasks.js");
  const call = callOf(caller);
  const [task] = (await labelledTasks(parseUserTasks(content, values.tasks), call)) as [Task];
  return {
    task: name,
    kind: task.kind.name,
    inputs: task.inputs,
    file: values.tasks,
    content,
    columns: guess.columns,
    labels: labels.map((label) => ({ label, rows: guess.labels.get(label) ?? 0 })),
    range: guess.range,
    splits: await countSplits(task),
    examples: rows.examples,
    next: `flexbert finetune --task ${name}${values.tasks === DEFAULT_TASKS ? "" : ` --tasks ${values.tasks}`}`,
  };
}

/** Of few rows a tenth is too few to tell models apart. */
const usualShare = ({ rows }: InitRows): number => (rows < 500 ? 0.2 : 0.1);

const alreadyThere = (file: string) =>
  usageError(
    `${file} is there, and is left as it is. Give --tasks with another file, or --dry-run to see what would be written`,
  );

function requireFiles(files: readonly string[]): void {
  if (files.length > 0) return;
  throw usageError("tasks init takes files of rows: a train file, or train, dev and test files");
}

const splitWords: Readonly<Record<"train" | "dev" | "test", RegExp>> = {
  train: /(^|[^a-z])train(ing)?([^a-z]|$)/i,
  dev: /(^|[^a-z])(dev|development|val|valid|validation)([^a-z]|$)/i,
  test: /(^|[^a-z])test([^a-z]|$)/i,
};

type Splits = Readonly<Partial<Record<"train" | "dev" | "test", string>>>;

/** One file is the train file; of several each must say by its name which it is. */
function splitsOf(files: readonly string[]): Splits {
  if (files.length === 1) return { train: files[0] as string };
  const splits: Partial<Record<"train" | "dev" | "test", string>> = {};
  for (const file of files) {
    const base = path.basename(file);
    const split = (["dev", "test", "train"] as const).find((one) => splitWords[one].test(base)) ?? "train";
    const other = splits[split];
    if (other !== undefined) {
      throw usageError(
        `${other} and ${file} would both be ${split} files. Give one train file, and beside it files with dev and test in their names`,
      );
    }
    splits[split] = file;
  }
  if (splits.train === undefined) throw usageError(`${files.join(" and ")}: none of them is a train file`);
  return splits;
}

/** What people call their files says nothing of the task: then its folder does. */
function nameOf(file: string): string {
  const spelled = (name: string) =>
    name
      .normalize("NFKD")
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, "-")
      .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  const { name: stem } = path.parse(file);
  const words = stem.split(/[^\p{L}\p{N}]+/u).filter((word) => !/^(train(ing)?|data|dataset|all|full)$/i.test(word));
  return spelled(words.join("-")) || spelled(path.basename(path.dirname(path.resolve(file)))) || "task";
}

interface Described {
  readonly name: string;
  readonly splits: Splits;
  readonly layout: Layout;
  readonly guess: Guess;
  readonly labels: InitRows["listed"];
  readonly devShare: number;
  readonly file: string;
}

/** The task's entry, with keys that say what is not meant without them. */
function entryOf({ name, splits, layout, guess, labels, devShare, file }: Described): object {
  const { format, header, quotes } = layout;
  const below = (split: string) =>
    path.relative(path.dirname(path.resolve(file)), path.resolve(split)).replaceAll("\\", "/");
  const named = formatByName(splits.train as string) === format;
  return {
    name,
    files: Object.fromEntries(Object.entries(splits).map(([split, given]) => [split, below(given)])),
    ...(named ? {} : { format }),
    ...(header || format === "conll" ? {} : { header }),
    ...(quotes === usualQuotes(format) ? {} : { quotes }),
    ...(splits.dev === undefined ? { "dev-share": devShare } : {}),
    columns: guess.columns,
    ...(guess.kind === "multilabel" || guess.kind === "tagging" ? { kind: guess.kind } : {}),
    ...(guess.range ? { range: guess.range } : { labels }),
    ...(guess.separator && guess.separator !== "|" ? { "label-separator": guess.separator } : {}),
  };
}

async function countSplits(task: Task): Promise<PlannedTask["splits"]> {
  const { countBroken, readSplit } = await import("../data/read-split.js");
  const counts: Partial<Record<SplitName, { rows: number; broken: number }>> = {};
  for (const split of Object.keys(task.splits) as SplitName[]) {
    const { examples, broken } = await readSplit(task, split, { glueData: "", skipBroken: true });
    counts[split] = { rows: examples.length, broken: countBroken(broken) };
  }
  return counts;
}
