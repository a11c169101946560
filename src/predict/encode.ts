// A row as its tasks read it: one encoding for all of them, unless some cut it shorter than others.

import type { Encoding, Tokenizer } from "../tokenizer/tokenizer";

export interface Row {
  readonly text: string;
  readonly pair: string | null;
}

/** One encoding, and the tasks that it is for. */
export interface RowUnit {
  readonly encoding: Encoding;
  readonly tasks: string[];
}

/** Tasks of different maximum lengths share an encoding where it is the same for both. */
export function encodeRow(
  tokenizer: Tokenizer,
  { text, pair }: Row,
  tasks: readonly { readonly name: string; readonly maxLength: number }[],
): RowUnit[] {
  const units: RowUnit[] = [];
  for (const maxLength of [...new Set(tasks.map((task) => task.maxLength))].sort((a, b) => b - a)) {
    const names = tasks.filter((task) => task.maxLength === maxLength).map(({ name }) => name);
    const encoding = tokenizer.encode(text, pair, maxLength);
    const whole = units.find((unit) => unit.encoding.truncated === 0);
    if (encoding.truncated === 0 && whole) whole.tasks.push(...names);
    else units.push({ encoding, tasks: names });
  }
  return units;
}
