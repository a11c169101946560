// The user's own tasks, read from a YAML file (tasks.yaml): files, columns, labels or a range, metric.
// Whether the data files exist and hold what they should is for src/data to say when a task is used.

import path from "node:path";
import { z } from "zod";
import { parseYamlFile, readYamlText } from "../options/yaml-file";
import { type Format, usualQuotes } from "./format";
import { kinds } from "./kinds";
import type { Kind, Kinds, TagRules } from "./kinds/kind";
import { asTags, OUTSIDE } from "./tags";
import type { Columns, SplitSource, Task } from "./task";
import { checkTasksFile } from "./user-task-problems";
import {
  firstMetric,
  formatOf,
  kindOf,
  labelName,
  labelSpelling,
  listedLabels,
  type TaskEntry,
  tasksFile,
} from "./user-task-schema";

/** JSON Schema of a tasks file, for editors (`flexbert tasks --schema`). */
export function userTasksJsonSchema(): object {
  return z.toJSONSchema(tasksFile(kinds), { io: "input" });
}

/**
 * The tasks of a YAML file, in its order.
 * @param known the kinds that they may have
 * @throws UserError (exit code 2) naming the file and every problem in it with its line
 */
export async function readUserTasks(file: string, known: Kinds = kinds): Promise<Task[]> {
  return parseUserTasks(await readYamlText(file, "the tasks file"), file, known);
}

/** The same of the file's text, which need not be written yet. */
export function parseUserTasks(text: string, file: string, known: Kinds = kinds): Task[] {
  // Labels are compared as text.
  const { content, report } = parseYamlFile(file, text, ["labels"]);
  const { entries, problems } = checkTasksFile(content, known);
  if (problems.length > 0) throw report(problems);
  return entries.map((entry) => toTask(entry, kindOf(entry, known), path.resolve(file)));
}

function toTask(entry: TaskEntry, kind: Kind, definedIn: string): Task {
  const { train, dev, test } = entry.files;
  const listed = listedLabels(entry);
  const share = entry["dev-share"];
  const part = (of: "train" | "dev") => (share === undefined ? {} : { part: { of, devShare: share } });
  const folder = path.dirname(definedIn);
  return {
    name: entry.name,
    title: entry.title ?? entry.name,
    definedIn,
    folder: "",
    kind,
    inputs: entry.columns.pair === undefined ? "single" : "pair",
    labels: namesOf(entry, kind),
    ...(kind.definedBy === "labels" &&
      !listed && { labelsFrom: entry.labels === undefined && !kind.perWord ? "few words" : "data" }),
    ...(kind.perWord && { tags: tagRules(entry) }),
    ...(entry.range && { range: entry.range }),
    ...(kind.threshold !== undefined && { threshold: entry.threshold ?? kind.threshold }),
    metric: entry.metric ?? firstMetric(kind),
    alsoReport: entry["also-report"],
    splits: {
      ...(train !== undefined && { train: { ...toSource(entry, kind, folder, train), ...part("train") } }),
      ...(train !== undefined &&
        share !== undefined && { dev: { ...toSource(entry, kind, folder, train), ...part("dev") } }),
      ...(dev !== undefined && { dev: toSource(entry, kind, folder, dev) }),
      ...(test !== undefined && { test: { ...toSource(entry, kind, folder, test), labelOptional: true } }),
    },
    inAverage: true,
  };
}

/** Types of spans stand for their tags. */
function namesOf(entry: TaskEntry, kind: Kind): readonly string[] {
  const listed = (listedLabels(entry) ?? []).map(labelName);
  return kind.perWord && listed.length > 0 ? asTags(listed, entry.scheme) : listed;
}

/** Punctuation is apart where data has it so: in spans' texts, and among CoNLL's words. ATIS' are what stands between spaces. */
function tagRules(entry: TaskEntry): TagRules {
  const first = Object.values(entry.files).find((file) => file !== undefined) as string;
  const usual = formatOf(entry, first) === "folder" ? "spaces" : "punctuation";
  const scheme = entry.scheme === undefined ? {} : { scheme: entry.scheme };
  return { ...scheme, words: entry.words ?? usual, pieces: entry["label-pieces"] ?? "first" };
}

function toSource(entry: TaskEntry, kind: Kind, folder: string, file: string): SplitSource {
  const format = formatOf(entry, file) as Format; // checkTasksFile has seen to it
  const { text, pair, label, index } = entry.columns;
  const listed = listedLabels(entry);
  const columns: Columns = { text, label, ...(pair !== undefined && { pair }), ...(index !== undefined && { index }) };
  return {
    file: path.resolve(folder, file),
    format,
    header: entry.header && format !== "conll",
    quotes: entry.quotes ?? usualQuotes(format),
    columns,
    ...(kind.separator !== undefined && { labelSeparator: entry["label-separator"] ?? kind.separator }),
    ...(kind.perWord && { offsetUnit: entry["offset-unit"] ?? "codepoint" }),
    ...(listed &&
      (!kind.perWord || listed.map(labelName).includes(OUTSIDE)) && {
        spellings: Object.fromEntries(listed.map((label) => [labelSpelling(label), labelName(label)])),
      }),
  };
}
