// A row whose words have labels: where its words stand, and the tag of each. Files say it by tags, one a word, or by spans of
// the text, which are tags of the words that they touch.

import { oneLine } from "../errors/errors";
import { shown } from "../errors/printable";
import { counted } from "../messages/words";
import type { Label } from "../tasks/kinds/kind";
import { offsetsFrom } from "../tasks/offset-unit";
import { isPossible, tagsOf, tagsOfSpans, type WordSpan } from "../tasks/tags";
import type { SplitSource, Task } from "../tasks/task";
import { type TextRange, wordsOf } from "../tasks/words";
import type { RawRow } from "./rows";

export interface TaggedRow {
  readonly words: readonly TextRange[];
  /** A tag id for each; null where the row has no labels. */
  readonly label: readonly number[] | null;
}

/** A span as a file has it. */
interface GivenSpan {
  readonly start: unknown;
  readonly end: unknown;
  readonly label: unknown;
}

/** Words and tags, or why the row is broken. */
export function taggedRow(task: Task, source: SplitSource, { cells, words: own }: RawRow): TaggedRow | string {
  const { text = "", label: written } = cells;
  const cell = written?.trim();
  const lacks = source.columns.label === undefined || cell === undefined || cell === "";
  const rule = task.tags?.words ?? "punctuation";
  if (lacks && source.labelOptional) return { words: own ?? wordsOf(text, rule), label: null };
  if (lacks) return "no tags";
  if (isSpans(cell)) return ofSpans(task, source, text, own ?? wordsOf(text, rule), cell);
  const words = own ?? wordsOf(text, "spaces");
  const ids = task.kind.readLabel(cell, task, source);
  if (typeof ids === "string") return ids;
  const count = (ids as readonly number[]).length;
  if (count !== words.length) return `${counted(count, "tag")} for ${counted(words.length, "word")}`;
  return { words, label: ids as readonly number[] };
}

/** A list in JSON, which no list of tags looks like. */
const isSpans = (cell: string): boolean => cell.startsWith("[");

function ofSpans(
  task: Task,
  source: SplitSource,
  text: string,
  words: readonly TextRange[],
  cell: string,
): TaggedRow | string {
  const spans = readSpans(cell, text, source);
  if (typeof spans === "string") return spans;
  const types = new Set(tagsOf(task.labels).map(({ type }) => type));
  const touched: WordSpan[] = [];
  let before: CharacterSpan | null = null;
  for (const span of [...spans].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const { start, end, type } = span;
    if (!types.has(type))
      return `unknown label "${type}" of a span, not one of ${[...types].filter(Boolean).join(", ")}`;
    const first = words.findIndex((word) => word[1] > start);
    const past = words.findIndex((word) => word[0] >= end);
    const wordSpan = { type, start: first, end: past < 0 ? words.length : past };
    if (first < 0 || wordSpan.end <= first) return `the span ${said(span)} has no word in it`;
    const over = before && (touched.at(-1)?.end as number) > first;
    if (over) return `the spans ${said(before as CharacterSpan)} and ${said(span)} have a word in common`;
    touched.push(wordSpan);
    before = span;
  }
  const label = tagsOfSpans(touched, words.length, task.labels);
  return label ? { words, label } : "a span needs a tag that is not among the labels";
}

interface CharacterSpan {
  readonly type: string;
  /** UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly given: GivenSpan;
}

const said = ({ given: { start, end, label } }: CharacterSpan): string => `${start} to ${end} (${label})`;

/** Objects with start, end and label, or lists of the three. */
function readSpans(cell: string, text: string, { offsetUnit = "codepoint" }: SplitSource): CharacterSpan[] | string {
  let list: unknown;
  try {
    list = JSON.parse(cell);
  } catch (error) {
    return `its spans are not JSON (${oneLine(error)})`;
  }
  const at = offsetsFrom(text, offsetUnit);
  const spans: CharacterSpan[] = [];
  for (const value of list as unknown[]) {
    const [start, end, label] = Array.isArray(value)
      ? value
      : [Object(value).start, Object(value).end, Object(value).label];
    const given = { start, end, label };
    if (typeof label !== "string" || typeof start !== "number" || typeof end !== "number") {
      return `a span is ${shown(value)}, and needs start, end and label`;
    }
    const [from, to] = [at(start), at(end)];
    if (from === null || to === null || from >= to) {
      const units = offsetUnit === "utf16" ? "UTF-16 units" : "code points";
      return `the span ${start} to ${end} (${label}) is none of a text of ${lengthIn(text, offsetUnit)} ${units}`;
    }
    spans.push({ type: label, start: from, end: to, given });
  }
  return spans;
}

const lengthIn = (text: string, unit: SplitSource["offsetUnit"]): number =>
  unit === "utf16" ? text.length : Array.from(text).length;

/** The names that a cell has: tags, or the types of spans. For labels that are taken from the data. */
export function namesInCell(cell: string): string[] {
  if (!isSpans(cell)) return cell.split(" ").filter((name) => name !== "");
  try {
    return (JSON.parse(cell) as unknown[]).flatMap((value) => {
      const label: unknown = Array.isArray(value) ? value[2] : Object(value).label;
      return typeof label === "string" ? [label] : [];
    });
  } catch {
    return []; // told when the task's rows are read
  }
}

/** Sequences that the scheme of the labels has not: conlleval gives them a meaning, and they may mean another scheme. */
export function tagWarnings(
  task: Task,
  file: string,
  examples: readonly { readonly label: Label | null; readonly line: number }[],
): string[] {
  if (!task.kind.perWord || task.labels.length === 0) return [];
  const odd = examples.filter(({ label }) => label !== null && !isPossible(label as readonly number[], task.labels));
  if (odd.length === 0) return [];
  return [
    `${file}: ${counted(odd.length, "row")} (the first in line ${odd[0]?.line}) have tags that ${task.name}'s scheme does not ` +
      "allow in that order, such as I-X behind O; they count as conlleval counts them, and no prediction has them",
  ];
}
