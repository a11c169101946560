// A row as its tasks read it: one encoding for all of them, unless some cut it shorter than others, or label its words and
// read a long text in windows.

import { encodeWords } from "../batches/windows";
import type { WordPlaces } from "../batches/word-labels";
import type { Labelled } from "../tasks/kinds/kind";
import { type TextRange, wordsOf } from "../tasks/words";
import type { Encoding, Tokenizer } from "../tokenizer/tokenizer";

export interface Row {
  readonly text: string;
  readonly pair: string | null;
  /** Where its words stand, if its owner says it: else tasks that label words find them. */
  readonly words?: readonly TextRange[];
}

/** One encoding, and the tasks that it is for. */
export interface RowUnit {
  readonly encoding: Encoding;
  readonly tasks: string[];
  /** Of tasks that label words: which of the row's are decided here. */
  readonly places: Readonly<Record<string, WordPlaces>>;
}

/** What an encoding depends on. */
export interface EncodedTask extends Labelled {
  readonly name: string;
  readonly kind: { readonly perWord?: true };
  readonly maxLength: number;
}

/** The words of a row that a task labels. */
export const wordsFor = ({ tags }: Labelled, { text, words }: Row): readonly TextRange[] =>
  words ?? wordsOf(text, tags?.words ?? "punctuation");

/** Tasks of different maximum lengths share an encoding where it is the same for both. */
export function encodeRow(tokenizer: Tokenizer, row: Row, tasks: readonly EncodedTask[]): RowUnit[] {
  const units: RowUnit[] = [];
  const whole = tasks.filter(({ kind }) => !kind.perWord);
  for (const maxLength of lengthsOf(whole)) {
    const names = whole.filter((task) => task.maxLength === maxLength).map(({ name }) => name);
    join(units, { encoding: tokenizer.encode(row.text, row.pair, maxLength), tasks: names, places: {} });
  }
  for (const task of tasks.filter(({ kind }) => kind.perWord)) {
    const { name, maxLength } = task;
    for (const window of encodeWords(tokenizer, { text: row.text, words: wordsFor(task, row) }, maxLength)) {
      const { positions, words: places } = window;
      join(units, { encoding: window, tasks: [name], places: { [name]: { positions, places } } });
    }
  }
  return units;
}

const lengthsOf = (tasks: readonly EncodedTask[]): number[] =>
  [...new Set(tasks.map(({ maxLength }) => maxLength))].sort((a, b) => b - a);

/** Adds a unit, to one that has all of the text as it has. */
function join(units: RowUnit[], unit: RowUnit): void {
  const isWhole = ({ encoding }: RowUnit) => encoding.truncated === 0;
  const at = isWhole(unit) ? units.findIndex(isWhole) : -1;
  const found = units[at];
  if (!found) units.push(unit);
  else {
    units[at] = {
      ...found,
      tasks: [...found.tasks, ...unit.tasks],
      places: { ...found.places, ...unit.places },
    };
  }
}
