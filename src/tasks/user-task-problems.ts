// Everything that can be wrong with the content of a tasks file, found in one pass so that one report shows it all.

import { unseenDifference } from "../messages/look-alikes";
import { type Problem, schemaProblems, valueAt } from "../options/yaml-file";
import { formats, isKeyed } from "./format";
import { glueTasks } from "./glue";
import type { Kind, Kinds } from "./kinds/kind";
import { asTags, OUTSIDE, schemeOf } from "./tags";
import { TUNED } from "./thresholds";
import {
  formatOf,
  type Issue,
  keysAt,
  kindOf,
  labelName,
  labelSpelling,
  listedLabels,
  type TaskEntry,
  taskEntry,
  tasksFile,
} from "./user-task-schema";

/** The content's entries, and its problems; entries are complete and usable only where there is no problem. */
export function checkTasksFile(content: unknown, kinds: Kinds): { entries: TaskEntry[]; problems: Problem[] } {
  const parsed = tasksFile(kinds).safeParse(content);
  const issues = parsed.success ? [] : parsed.error.issues.flatMap((issue) => ofMeant(issue, content));
  const problems = issues.flatMap((issue) => schemaProblems(issue, content, (at) => keysAt(kinds, at)));
  const entries: TaskEntry[] = [];
  for (const [i, raw] of rawEntries(content).entries()) {
    const own = issues.filter((issue) => issue.path[0] === "tasks" && issue.path[1] === i);
    problems.push(...nameProblems(content, i), ...aloneProblems(raw, kinds, i));
    // Beside an unknown key the entry still makes sense, and its other problems belong in the same report.
    const entry = taskEntry(kinds).safeParse(withoutUnknownKeys(raw, own));
    if (!entry.success) continue;
    entries.push(entry.data);
    const found = [...scoringProblems(entry.data, kinds), ...fileProblems(entry.data), ...columnProblems(entry.data)];
    problems.push(...found.map(({ path, message }) => ({ path: ["tasks", i, ...path], message })));
  }
  return { entries, problems };
}

/** What is wrong with a list of labels, or with a number, rather than that it is neither that nor a word. */
function ofMeant(issue: Issue, content: unknown): Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const key = issue.path.at(-1);
  const value = valueAt(content, issue.path);
  const meant = (key === "labels" && Array.isArray(value)) || (key === "threshold" && typeof value === "number");
  if (!meant) return [issue];
  return (issue.errors[0] ?? []).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }) as Issue);
}

function rawEntries(content: unknown): unknown[] {
  const list = (content as { tasks?: unknown } | null)?.tasks;
  return Array.isArray(list) ? list : [];
}

function withoutUnknownKeys(raw: unknown, issues: readonly Issue[]): unknown {
  const copy = structuredClone(raw);
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const parent = valueAt(copy, issue.path.slice(2)) as Record<string, unknown>;
    for (const key of issue.keys) delete parent[key];
  }
  return copy;
}

/** One label decides nothing; of words one type of spans does, which is tags of its own and O. Asked of entries that lack something too. */
function aloneProblems(raw: unknown, kinds: Kinds, i: number): Problem[] {
  const { labels, kind } = Object(raw) as { labels?: unknown; kind?: unknown };
  if (!Array.isArray(labels) || labels.length !== 1) return [];
  const perWord = typeof kind === "string" && Object.hasOwn(kinds, kind) && kinds[kind]?.perWord;
  if (perWord && labels[0] !== OUTSIDE) return [];
  return [{ path: ["tasks", i, "labels"], message: "has one label, and needs two at least" }];
}

/** Names that are taken: by GLUE, by `all`, by another entry. */
function nameProblems(content: unknown, i: number): Problem[] {
  const names = rawEntries(content).map((entry) => (entry as { name?: unknown } | null)?.name);
  const name = names[i];
  const problem = (message: string): Problem[] => [{ path: ["tasks", i, "name"], message }];
  if (typeof name !== "string") return [];
  if (Object.hasOwn(glueTasks, name)) return problem(`"${name}" is a GLUE task's name; choose another`);
  if (name === "all") return problem('"all" means every task; choose another name');
  return names.indexOf(name) < i ? problem(`"${name}" names two tasks; rename one`) : [];
}

function scoringProblems(entry: TaskEntry, kinds: Kinds): Problem[] {
  const problems: Problem[] = [];
  const { range } = entry;
  const labels = listedLabels(entry);
  const kind = kindOf(entry, kinds);
  if (entry.labels !== undefined && range !== undefined) {
    problems.push({ path: [], message: "needs either labels (classification) or a range (regression)" });
  } else if (entry[kind.definedBy] === undefined && !(kind.definedBy === "labels" && range === undefined)) {
    problems.push({
      path: ["kind"],
      message: `${kind.name} needs ${kind.definedBy === "labels" ? "labels" : "a range"}`,
    });
  }
  if (range && range[0] >= range[1])
    problems.push({ path: ["range"], message: `${range[0]} is not below ${range[1]}` });
  const names = (labels ?? []).map(labelName);
  const twice = repeated(names).map((name) => `"${name}" is there twice`);
  const alike = repeated((labels ?? []).map(labelSpelling)).map((written) => `two labels are written "${written}"`);
  const unseen = lookAlikes(names);
  const named = [twice, alike, unseen].find((found) => found.length > 0) ?? [];
  problems.push(...named.map((message) => ({ path: ["labels"], message })));

  problems.push(...listProblems(entry, kind), ...tagProblems(entry, kind));

  const fitting = Object.keys(kind.metrics).join(", ");
  const chosen = [
    ["metric", entry.metric] as const,
    ...entry["also-report"].map((name) => ["also-report", name] as const),
  ];
  for (const [key, name] of chosen) {
    if (name === undefined) continue;
    const metric = kind.metrics[name];
    const problem = metric
      ? labels && metric.problem?.(labels.map(labelName))
      : `${name} is no metric of ${kind.name}; there are ${fitting}`;
    if (problem) problems.push({ path: [key], message: problem });
  }
  return problems;
}

/** Settings of kinds that decide each label alone, or whose rows have several. */
function listProblems(entry: TaskEntry, kind: Kind): Problem[] {
  const problem = (key: keyof TaskEntry, message: string): Problem[] => [{ path: [key], message }];
  const separator = entry["label-separator"] ?? kind.separator;
  const torn =
    separator &&
    listedLabels(entry)
      ?.map(labelSpelling)
      .find((written) => written.includes(separator));
  return [
    ...(entry.threshold !== undefined && kind.threshold === undefined
      ? problem("threshold", `${kind.name} has no threshold`)
      : []),
    ...(entry.threshold === TUNED && kind.threshold !== undefined && !kind.tune
      ? problem("threshold", `that of a ${kind.name} is not tuned; give a number`)
      : []),
    ...(entry["label-separator"] !== undefined && (kind.separator === undefined || kind.perWord)
      ? problem(
          "label-separator",
          kind.perWord ? "tags of a row stand between spaces" : `a row of a ${kind.name} has one label`,
        )
      : []),
    ...(kind.separator !== undefined && !kind.perWord && torn
      ? problem("labels", `"${torn}" has the separator "${separator}" in it; give another label-separator`)
      : []),
  ];
}

/** Settings of kinds whose words have labels. */
function tagProblems(entry: TaskEntry, kind: Kind): Problem[] {
  const problem = (key: keyof TaskEntry, message: string): Problem[] => [{ path: [key], message }];
  const keys = ["scheme", "words", "label-pieces", "offset-unit"] as const;
  const columns = filesOf(entry).some(([, file]) => formatOf(entry, file) === "conll");
  if (!kind.perWord) {
    const whole = `a text of a ${kind.name} is labelled as a whole`;
    return [
      ...keys.flatMap((key) => (entry[key] === undefined ? [] : problem(key, whole))),
      ...(columns ? problem("format", `${whole}, and conll's columns have a label a word`) : []),
    ];
  }
  if (columns && entry.columns.index !== undefined) {
    return [{ path: ["columns", "index"], message: "words in columns have no index of their row; rows are numbered" }];
  }
  if (entry.columns.pair !== undefined) {
    return [{ path: ["columns", "pair"], message: `a ${kind.name} task labels the words of one text` }];
  }
  const listed = listedLabels(entry)?.map(labelName);
  if (!listed) return [];
  const tags = asTags(listed, entry.scheme);
  const wrong = kind.labelsProblem?.(tags) ?? null;
  if (wrong !== null) return problem("labels", wrong);
  const scheme = schemeOf(tags);
  if (entry.scheme === undefined || entry.scheme === scheme) return [];
  return problem("scheme", `the labels are tags of ${scheme}, not of ${entry.scheme}`);
}

function fileProblems(entry: TaskEntry): Problem[] {
  const files = filesOf(entry);
  if (files.length === 0) return [{ path: ["files"], message: "names no file; give train, dev or test" }];
  return [
    ...shareProblems(entry),
    ...files
      .filter(([, file]) => formatOf(entry, file) === undefined)
      .map(([split, file]) => ({
        path: ["files", split],
        message: `"${file}" does not tell its format; add format: ${formats.slice(0, -1).join(", ")} or ${formats.at(-1)}`,
      })),
  ];
}

function shareProblems({ files, "dev-share": share }: TaskEntry): Problem[] {
  const problem = (message: string): Problem[] => [{ path: ["dev-share"], message }];
  if (share === undefined) return [];
  if (files.train === undefined) return problem("takes rows of the train file, and there is none");
  return files.dev === undefined ? [] : problem("is for tasks without a dev file; leave one of the two out");
}

function filesOf(entry: TaskEntry): [split: string, file: string][] {
  return Object.entries(entry.files).flatMap(([split, file]) => (file === undefined ? [] : [[split, file]]));
}

/** Files with names take names, files without take positions. */
function columnProblems(entry: TaskEntry): Problem[] {
  const found = filesOf(entry).map(([, file]) => formatOf(entry, file) ?? "tsv");
  // Words in columns have no header.
  const positions = found.length > 0 && found.every((format) => format === "conll");
  const named = (entry.header && !positions) || found.some(isKeyed);
  return Object.entries(entry.columns)
    .filter(([, column]) => (typeof column === "string") !== named)
    .map(([key, column]) => ({
      path: ["columns", key],
      message: named
        ? `${column} is a position; give the column's name, or say header: false`
        : `"${column}" is a name; ${positions ? "words in columns have none:" : "with header: false"} give the position from 0`,
    }));
}

const lookAlikes = (names: readonly string[]): string[] =>
  names.flatMap((name, i) => {
    const earlier = names.slice(0, i).find((other) => unseenDifference(other, name));
    return earlier === undefined ? [] : [`"${earlier}" and "${name}" differ ${unseenDifference(earlier, name)}`];
  });

const repeated = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, i) => names.indexOf(name) < i)),
];
