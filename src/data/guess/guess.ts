// What the columns of a file are for, guessed from their names and their cells: texts, a label or a value. Guesses are
// shown to whoever asked for them, and can be said instead.

import { dataError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { listed } from "../../messages/words";
import type { Column, Columns } from "../../tasks/task";
import { type ColumnTraits, LIST_SEPARATOR } from "./columns";

/** By how often they are what they say; lower case. */
const labelNames =
  "label labels gold_label class category intent sentiment topic tag tags target score similarity rating stars y".split(
    " ",
  );
export const textNames =
  "text sentence message utterance comment review content body tweet document query title description input".split(" ");
const indexNames = "index idx id guid uid row_id".split(" ");

/** Both columns of a pair; beside these, names that differ in a last 1 and 2, or a and b. */
const pairNames: readonly (readonly [string, string])[] = [
  ["question", "sentence"],
  ["question", "answer"],
  ["question", "context"],
  ["query", "passage"],
  ["query", "document"],
  ["premise", "hypothesis"],
  ["text", "pair"],
  ["first", "second"],
  ["left", "right"],
  ["#1 string", "#2 string"],
];

export interface Guess {
  readonly columns: Columns & { readonly label: Column };
  readonly kind: "classification" | "regression" | "multilabel" | "tagging";
  /** Rows by label as the cells have them, in no order; of words with labels words by tag, or spans by type. None for values. */
  readonly labels: ReadonlyMap<string, number>;
  /** Of values. */
  readonly range: readonly [number, number] | null;
  /** Of several labels a row. */
  readonly separator: string | null;
}

const lower = ({ column }: ColumnTraits) => String(column).toLowerCase();

/**
 * @param said columns that are known, by name or position
 * @throws UserError (3) where no column can be what is needed
 */
export function guessColumns(traits: readonly ColumnTraits[], said: Partial<Columns>, file: string): Guess {
  const find = (column: Column | undefined, role: string) => {
    if (column === undefined) return undefined;
    const found = traits.filter((one) => one.column === column);
    if (found.length > 1) throw dataError(`${file}: two columns are called ${shown(column)}. Rename one of them`);
    if (found.length === 1) return found[0];
    throw dataError(`${file} has no column ${shown(column)} for the ${role}; it has ${columnsOf(traits)}`);
  };
  const index = find(said.index, "index") ?? traits.find((one) => indexNames.includes(lower(one)));
  const given = [said.text, said.pair].filter((column) => column !== undefined);
  const open = traits.filter((one) => one !== index && !given.includes(one.column));
  const label = find(said.label, "label") ?? guessLabel(open, file, traits);
  const texts = open.filter((one) => one !== label && one.filled > 0);
  const [text, pair] = find(said.text, "text")
    ? [find(said.text, "text"), find(said.pair, "pair") ?? partnerOf(find(said.text, "text") as ColumnTraits, texts)]
    : guessTexts(texts);
  if (!text)
    throw dataError(
      `${file}: no column looks like texts beside ${shown(label.column)}; it has ${columnsOf(traits)}. ${saying}`,
    );
  for (const one of [text, pair, label, index]) find(one?.column, "row");
  return {
    columns: {
      text: text.column,
      ...(pair ? { pair: pair.column } : {}),
      label: label.column,
      ...(index ? { index: index.column } : {}),
    },
    ...guessKind(label, file),
  };
}

const saying = "Say with --columns text=NAME,label=NAME which they are";

const columnsOf = (traits: readonly ColumnTraits[]) => listed(traits.map(({ column }) => shown(column)));

/** By name, else the column whose cells repeat most. */
function guessLabel(open: readonly ColumnTraits[], file: string, all: readonly ColumnTraits[]): ColumnTraits {
  for (const name of labelNames) {
    const found = open.find((one) => lower(one) === name);
    if (found) return found;
  }
  const repeated = open.filter((one) => {
    const different = one.counts?.size ?? Number.POSITIVE_INFINITY;
    return different >= 2 && 2 * different <= one.filled && one.words <= 5 && !textNames.includes(lower(one));
  });
  const size = (one: ColumnTraits) => one.counts?.size ?? 0;
  const fewest = repeated.reduce<ColumnTraits | null>(
    (best, one) => (best && size(best) < size(one) ? best : one),
    null,
  );
  const values = open.filter(({ numbers }) => numbers && !numbers.whole);
  const found = fewest ?? (values.length === 1 ? values[0] : undefined);
  if (found) return found;
  throw dataError(`${file}: no column looks like labels; it has ${columnsOf(all)}. ${saying}`);
}

function guessTexts(open: readonly ColumnTraits[]): [ColumnTraits?, ColumnTraits?] {
  for (const one of open) {
    const partner = partnerOf(one, open);
    if (partner) return [one, partner];
  }
  for (const name of textNames) {
    const found = open.find((one) => lower(one) === name);
    if (found) return [found];
  }
  const worded = open.filter(({ numbers }) => numbers === null);
  const longest = worded.reduce<ColumnTraits | undefined>(
    (best, one) => (best && best.characters >= one.characters ? best : one),
    undefined,
  );
  return longest ? [longest] : [];
}

/** The second column of a pair whose first this is. */
function partnerOf(one: ColumnTraits, open: readonly ColumnTraits[]): ColumnTraits | undefined {
  const name = lower(one);
  const wanted = [
    ...pairNames.flatMap(([first, second]) => (first === name ? [second] : [])),
    ...(/1$/.test(name) ? [name.replace(/1$/, "2")] : []),
    ...(/[_-]a$/.test(name) ? [name.replace(/a$/, "b")] : []),
  ];
  return open.find((other) => other !== one && wanted.includes(lower(other)));
}

/** Whole numbers are labels where they count classes from 0 or 1, or are few. */
const FEW_NUMBERS = 20;

function guessKind(label: ColumnTraits, file: string): Omit<Guess, "columns"> {
  const { counts, numbers, filled, lists, column } = label;
  const none = { range: null, separator: null };
  if (2 * lists > filled)
    return { kind: "multilabel", labels: partsOf(counts, LIST_SEPARATOR), range: null, separator: LIST_SEPARATOR };
  if (numbers && isRange(numbers, counts, filled)) {
    const { least, most } = numbers;
    const range = least >= 0 && most <= 1 ? ([0, 1] as const) : ([Math.floor(least), Math.ceil(most)] as const);
    if (least === most) throw dataError(`${file}: every ${shown(column)} is ${least}. ${saying}`);
    return { kind: "regression", labels: new Map(), range, separator: null };
  }
  if (!counts) throw dataError(`${file}: ${shown(column)} has too many different cells to be labels. ${saying}`);
  if (counts.size < 2) {
    const [only] = counts.keys();
    const has = only === undefined ? "is empty" : `has one label alone, ${shown(only)}`;
    throw dataError(`${file}: ${shown(column)} ${has}; a task needs two. ${saying}`);
  }
  const separator = numbers ? undefined : ["|", ";", ","].find((one) => isSeparator(one, counts, filled));
  if (separator !== undefined)
    return { kind: "multilabel", labels: partsOf(counts, separator), range: null, separator };
  if (counts.size > FEW_NUMBERS && 2 * counts.size > filled) {
    throw dataError(
      `${file}: ${shown(column)} has ${counts.size} different cells in ${filled} rows: are they labels? ${saying}`,
    );
  }
  return { kind: "classification", labels: counts, ...none };
}

function isRange(
  { least, most, whole }: NonNullable<ColumnTraits["numbers"]>,
  counts: ColumnTraits["counts"],
  filled: number,
): boolean {
  if (!whole) return true;
  if (!counts) return true;
  if (counts.size <= FEW_NUMBERS) return false;
  const counted = (least === 0 || least === 1) && most - least + 1 === counts.size;
  return !(counted && 2 * counts.size <= filled);
}

/** Whether what stands between a sign are words that come again, rather than a label with the sign in it. */
function isSeparator(sign: string, counts: ReadonlyMap<string, number>, filled: number): boolean {
  const cells = [...counts].filter(([cell]) => cell.includes(sign));
  const rows = cells.reduce((sum, [, count]) => sum + count, 0);
  if (10 * rows < filled) return false;
  const parts = partsOf(counts, sign);
  return parts.size >= 2 && parts.size <= counts.size && [...parts.values()].every((count) => count >= 2);
}

function partsOf(counts: ColumnTraits["counts"], separator: string): ReadonlyMap<string, number> {
  const parts = new Map<string, number>();
  for (const [cell, count] of counts ?? []) {
    for (const part of new Set(cell.split(separator).map((one) => one.trim()))) {
      if (part !== "") parts.set(part, (parts.get(part) ?? 0) + count);
    }
  }
  return parts;
}
