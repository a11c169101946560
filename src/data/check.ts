// What is worth knowing of a task's data before training on it (`flexbert data check`), as plain values: rows, label
// balance, lengths, truncation, duplicates, rows that dev or test share with train, broken rows.
// Texts are compared as they are written, spaces at their ends apart; near duplicates are not looked for.

import type { Label } from "../tasks/kinds/kind";
import { spanCounts } from "../tasks/span-metrics";
import { type SplitName, splitNames, type Task } from "../tasks/task";
import { type BrokenRow, countBroken, type Example, findSplitFile, readSplit, type Split } from "./read-split";

/** Of one number over the rows; percentiles are values that occur (nearest rank). */
export interface Distribution {
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

export interface LabelShare {
  readonly label: string;
  readonly rows: number;
  readonly share: number;
}

/** A row whose texts stand in an earlier row, of the same split or of train. */
export interface Repetition {
  readonly line: number;
  /** The first row with these texts. */
  readonly firstLine: number;
  /** No earlier row with these texts has this row's label. */
  readonly contradicts: boolean;
}

export interface SplitReport {
  readonly split: SplitName;
  readonly path: string;
  /** Rows that can be used. */
  readonly rows: number;
  /** Rows of the published file; null where none is known. */
  readonly expectedRows: number | null;
  readonly broken: BrokenRow[];
  /** Rows in them, as people count: an open quote makes one broken row of several. */
  readonly brokenRows: number;
  /** What looks wrong in the rows that can be used. */
  readonly warnings: readonly string[];
  /** By label id; of words' labels the types of spans, spans in the place of rows. null where labels have no names, and without labels. */
  readonly labels: LabelShare[] | null;
  /** Where labels are numbers; null otherwise. */
  readonly values: Distribution | null;
  /** "tokens", special ones included and before truncation, where an encoder was given; else "words" between spaces. */
  readonly lengthUnit: "tokens" | "words";
  readonly lengths: Distribution;
  /** Share of rows that lose tokens; null without an encoder. */
  readonly truncatedShare: number | null;
  /** Lines of pairs that lack one text. */
  readonly halfEmpty: number[];
  readonly duplicates: Repetition[];
  /** Rows of this split whose texts are in train too; empty for train. */
  readonly leaks: Repetition[];
}

export interface DataReport {
  readonly task: string;
  readonly splits: SplitReport[];
  /** Splits of the task whose files are not there. */
  readonly missing: SplitName[];
}

/** Tokens of an example before truncation, and how many of them truncation takes. */
export type EncodeLength = (example: Example) => { readonly length: number; readonly truncated: number };

export interface CheckOptions {
  readonly glueData: string;
  readonly encodeLength?: EncodeLength;
}

/**
 * Reports on every split of the task whose file is there; broken rows are listed, not thrown.
 * @throws UserError (exit code 3) for a file that cannot be read as this task's at all
 */
export async function checkTask(task: Task, options: CheckOptions): Promise<DataReport> {
  const splits: SplitReport[] = [];
  const missing: SplitName[] = [];
  let trainRows: SeenRows = new Map();
  for (const name of splitNames) {
    if (!task.splits[name]) continue;
    if (findSplitFile(task, name, options.glueData) === null) {
      missing.push(name);
      continue;
    }
    const split = await readSplit(task, name, { glueData: options.glueData, skipBroken: true });
    const seen: SeenRows = new Map();
    const duplicates = repetitions(split.examples, seen, "add");
    const leaks = name === "train" ? [] : repetitions(split.examples, trainRows, "keep");
    if (name === "train") trainRows = seen;
    splits.push({ ...describeSplit(split, options.encodeLength), duplicates, leaks });
  }
  return { task: task.name, splits, missing };
}

function describeSplit(
  split: Split,
  encodeLength: EncodeLength | undefined,
): Omit<SplitReport, "duplicates" | "leaks"> {
  const { task, name, examples } = split;
  const labels = examples.flatMap(({ label }) => (label === null ? [] : [label]));
  const named = task.labels.length > 0;
  const encoded = encodeLength && examples.map(encodeLength);
  const cut = task.kind.perWord ? [] : (encoded ?? []).filter(({ truncated }) => truncated > 0);
  return {
    split: name,
    path: split.path,
    rows: examples.length,
    expectedRows: task.splits[name]?.rows ?? null,
    broken: split.broken,
    brokenRows: countBroken(split.broken),
    warnings: split.warnings,
    labels:
      named && labels.length > 0 ? (task.kind.perWord ? typeShares(task, labels) : labelShares(task, labels)) : null,
    values: !named && labels.length > 0 ? summarize(labels.flatMap((label) => task.kind.targets(label, task))) : null,
    lengthUnit: encoded ? "tokens" : "words",
    lengths: summarize(encoded ? encoded.map(({ length }) => length) : examples.map(wordsOf)),
    // Of words none is lost: a long text is read in windows.
    truncatedShare: encoded ? cut.length / encoded.length : null,
    halfEmpty: examples.filter(isHalfEmpty).map(({ line }) => line),
  };
}

function labelShares(task: Task, labels: readonly Label[]): LabelShare[] {
  const counts = task.labels.map(() => 0);
  for (const label of labels) for (const id of task.kind.idsOf(label)) counts[id] = (counts[id] as number) + 1;
  return counts.map((rows, id) => ({ label: task.labels[id] as string, rows, share: rows / labels.length }));
}

/** Of all spans, most first. */
function typeShares(task: Task, labels: readonly Label[]): LabelShare[] {
  const targets = labels.flatMap((label) => task.kind.targets(label, task));
  const counts = spanCounts(targets, targets, task.labels);
  const all = counts.reduce((sum, { support }) => sum + support, 0);
  const shares = counts.map(({ type, support }) => ({ label: type, rows: support, share: support / all }));
  return shares.sort((a, b) => b.rows - a.rows);
}

function summarize(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const percentile = (p: number): number => sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] as number;
  return {
    min: percentile(0),
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50: percentile(50),
    p95: percentile(95),
    max: percentile(100),
  };
}

const wordsOf = ({ text, pair }: Example): number => `${text} ${pair ?? ""}`.split(/\s+/).filter((word) => word).length;

const isHalfEmpty = ({ text, pair }: Example): boolean => pair !== null && (text.trim() === "" || pair.trim() === "");

/** First line and labels, as JSON, of the rows seen so far, by their texts. */
type SeenRows = Map<string, { readonly firstLine: number; readonly labels: Set<string> }>;

/** The rows whose texts were seen; with "add" each row is then seen itself. */
function repetitions(examples: readonly Example[], seen: SeenRows, mode: "add" | "keep"): Repetition[] {
  const found: Repetition[] = [];
  for (const { text, pair, label, line } of examples) {
    const key = JSON.stringify([text.trim(), pair?.trim()]);
    const earlier = seen.get(key);
    const written = JSON.stringify(label);
    if (earlier) {
      const contradicts = label !== null && !earlier.labels.has(written);
      found.push({ line, firstLine: earlier.firstLine, contradicts });
    }
    if (mode === "keep") continue;
    if (earlier) earlier.labels.add(written);
    else seen.set(key, { firstLine: line, labels: new Set([written]) });
  }
  return found;
}
