// The user's own tasks, read from a YAML file (tasks.yaml): files, columns, labels or a range, metric.
// Whether the data files exist and hold what they should is for src/data to say when a task is used.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { type Document, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { type UserError, usageError } from "../errors/errors";
import type { Columns, SplitSource, Task } from "./task";
import { checkTasksFile, type EntryPath } from "./user-task-problems";
import { type Format, formatOf, labelName, labelSpelling, type TaskEntry, tasksFile } from "./user-task-schema";

/** JSON Schema of a tasks file, for editors (`flexbert tasks --schema`). */
export function userTasksJsonSchema(): object {
  return z.toJSONSchema(tasksFile, { io: "input" });
}

/**
 * The tasks of a YAML file, in its order.
 * @throws UserError (exit code 2) naming the file and every problem in it with its line
 */
export async function readUserTasks(file: string): Promise<Task[]> {
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw usageError(`${file}: cannot read the tasks file that --tasks names (${cause.code})`, cause);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw report(
      file,
      document.errors.map(({ pos, message }) => ({ line: lines.linePos(pos[0]).line, message })),
    );
  }
  keepLabelsAsWritten(document);
  const { entries, problems } = checkTasksFile(contentOf(document, file));
  if (problems.length > 0) {
    throw report(
      file,
      problems.map((problem) => ({
        line: lines.linePos(offsetOf(document, problem.path)).line,
        message: `${pathText(problem.path)}${problem.message}`,
      })),
    );
  }
  return entries.map((entry) => toTask(entry, path.dirname(path.resolve(file))));
}

/** YAML reads 0, 1.0, 01 and true as values; labels are compared as text, so they get their source text back. */
function keepLabelsAsWritten(document: Document): void {
  visit(document, {
    Scalar(_, node, ancestors) {
      const inLabels = ancestors.some((above) => isPair(above) && isScalar(above.key) && above.key.value === "labels");
      if (inLabels && typeof node.value !== "string" && node.source) node.value = node.source;
    },
  });
}

function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw usageError(`${file}: ${(cause as Error).message}`, cause); // an alias without its anchor
  }
}

/** Where the deepest part of a path that exists begins, in characters from the file's start. */
function offsetOf(document: Document, at: EntryPath): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const key of at) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (!pair || !isNode(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[key as number];
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset;
    } else break;
  }
  return offset;
}

/** `tasks[0].columns.text: `, or nothing for the file as a whole. */
function pathText(at: EntryPath): string {
  const text = at.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return text === "" ? "" : `${text.slice(1)}: `;
}

/** One line for one problem; else a line each, in the file's order. */
function report(file: string, problems: readonly { line: number; message: string }[]): UserError {
  const sorted = [...problems].sort((a, b) => a.line - b.line);
  const texts = sorted.map(({ line, message }) => `line ${line}: ${message}`);
  return usageError(
    texts.length === 1 ? `${file}, ${texts[0]}` : `${file}: ${texts.length} problems\n  ${texts.join("\n  ")}`,
  );
}

function toTask(entry: TaskEntry, folder: string): Task {
  const { train, dev, test } = entry.files;
  return {
    name: entry.name,
    title: entry.title ?? entry.name,
    folder: "",
    kind: entry.range ? "regression" : "classification",
    inputs: entry.columns.pair === undefined ? "single" : "pair",
    labels: (entry.labels ?? []).map(labelName),
    ...(entry.range && { range: entry.range }),
    metric: entry.metric ?? (entry.range ? "pearson" : "accuracy"),
    alsoReport: entry["also-report"],
    splits: {
      ...(train !== undefined && { train: toSource(entry, folder, train) }),
      ...(dev !== undefined && { dev: toSource(entry, folder, dev) }),
      ...(test !== undefined && { test: { ...toSource(entry, folder, test), labelOptional: true } }),
    },
    inAverage: true,
  };
}

function toSource(entry: TaskEntry, folder: string, file: string): SplitSource {
  const format = formatOf(entry, file) as Format; // checkTasksFile has seen to it
  const { text, pair, label, index } = entry.columns;
  const columns: Columns = { text, label, ...(pair !== undefined && { pair }), ...(index !== undefined && { index }) };
  return {
    file: path.resolve(folder, file),
    format,
    header: entry.header,
    quotes: entry.quotes ?? (format === "csv" ? "csv" : "ordinary"),
    columns,
    ...(entry.labels && {
      spellings: Object.fromEntries(entry.labels.map((label) => [labelSpelling(label), labelName(label)])),
    }),
  };
}
