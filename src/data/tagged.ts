// A row whose words have labels: where its words stand, and the tag of each. Files say it by tags, one a word, or by spans of
// the text, which are tags of the words that they touch.

import { dataError, oneLine } from "../errors/errors";
import { shown } from "../errors/printable";
import { counted } from "../messages/words";
import { asBio, isIob1, NO_BEGINNINGS, withRow } from "../tasks/iob1";
import type { Label } from "../tasks/kinds/kind";
import { offsetsFrom } from "../tasks/offset-unit";
import { isPossible, schemeOf, type Tag, tagsOf, tagsOfSpans, type WordSpan } from "../tasks/tags";
import type { SplitSource, Task } from "../tasks/task";
import { type TextRange, wordsOf } from "../tasks/words";
import type { RawRow } from "./rows";

export interface TaggedRow {
  readonly words: readonly TextRange[];
  /** A tag id for each; null where the row has no labels. */
  readonly label: readonly number[] | null;
  /** Spans that begin or end within a word, which is theirs whole. */
  readonly cuts?: number;
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
export const isSpans = (cell: string): boolean => cell.startsWith("[");

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
  let cuts = 0;
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
    if (start > (words[first] as TextRange)[0] || end < (words[wordSpan.end - 1] as TextRange)[1]) cuts++;
    before = span;
  }
  const label = tagsOfSpans(touched, words.length, task.labels);
  return label ? { words, label, ...(cuts > 0 && { cuts }) } : "a span needs a tag that is not among the labels";
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

interface ReadRow {
  readonly label: Label | null;
  readonly line: number;
  readonly cuts?: number;
}

/**
 * Rows as the task has them, and what is to be said of them: IOB1 is turned into BIO, spans that cut words are told, and so
 * are sequences that the labels' scheme has not, which conlleval gives a meaning.
 * Throws dataError (3) where BIO needs a tag that is not among the labels.
 */
export function readAsTags<R extends ReadRow>(
  task: Task,
  file: string,
  rows: R[],
): { readonly examples: R[]; readonly warnings: readonly string[] } {
  const labelled = (row: ReadRow) => row.label as readonly number[];
  if (!task.kind.perWord || task.labels.length === 0) return { examples: rows, warnings: [] };
  const { examples, warnings } = fromIob1(task, file, rows);
  const first = (some: readonly ReadRow[]) => `${counted(some.length, "row")} (the first in line ${some[0]?.line})`;
  const cut = examples.filter(({ cuts = 0 }) => cuts > 0);
  if (cut.length > 0) {
    warnings.push(
      `${file}: in ${first(cut)} spans begin or end within a word, and are read as of the whole word: words are what ${task.name} labels`,
    );
  }
  const odd = examples.filter((row) => row.label !== null && !isPossible(labelled(row), task.labels));
  if (odd.length > 0) {
    warnings.push(
      `${file}: ${first(odd)} have tags that ${task.name}'s scheme does not allow in that order, such as I-X behind O; they count ` +
        "as conlleval counts them, and no prediction has them",
    );
  }
  return { examples, warnings };
}

function fromIob1<R extends ReadRow>(task: Task, file: string, rows: R[]) {
  const warnings: string[] = [];
  const tags = tagsOf(task.labels);
  const labelsOf = ({ label }: ReadRow) => (label ?? []) as readonly number[];
  const shown = rows.reduce(
    (all, row) =>
      withRow(
        all,
        labelsOf(row).map((id) => tags[id] as Tag),
      ),
    NO_BEGINNINGS,
  );
  if (schemeOf(task.labels) !== "BIO" || !isIob1(shown)) return { examples: rows, warnings };
  const examples = rows.map((row) => {
    const label = asBio(labelsOf(row), task.labels);
    if (typeof label === "string") {
      throw dataError(
        `${file}: its tags are IOB1's, and line ${row.line} needs ${label} in BIO, which is none of ${task.name}'s labels. ` +
          `Add it${task.definedIn ? ` in ${task.definedIn}` : ""}`,
      );
    }
    return row.label === null ? row : { ...row, label };
  });
  warnings.push(`${file}: its tags are IOB1's, and are read as BIO: I-X that begins a span is B-X`);
  return { examples, warnings };
}
