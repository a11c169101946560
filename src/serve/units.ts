// Rows cut into what the engine runs, and its logits put together again: a task that labels words may read a text in several
// windows, and its row is answered with the last of them.

import { emptyWordLogits, placeLogits } from "../batches/word-labels";
import { type Row, wordsFor } from "../predict/encode";
import type { Unit, VersionTask } from "./model/served";

/** Called with what a row's task gives: [outputs], or [words, outputs]; and the layers that it passed, where it might have left early. */
export type TakeLogits = (row: number, task: VersionTask, logits: Float32Array, layer?: number) => void;

interface Windows {
  left: number;
  readonly logits: Float32Array;
}

/**
 * @param units of the rows, each with its row's place
 * @returns takes the logits of a unit, [outputs] or [tokens, outputs]
 */
export function joinUnits(
  rows: readonly Row[],
  units: readonly (Pick<Unit, "tasks" | "places"> & { readonly row: number })[],
  take: TakeLogits,
): (unit: number, task: VersionTask, logits: Float32Array, layer?: number) => void {
  const counts = new Map<string, number>();
  for (const { row, places } of units) {
    for (const name of Object.keys(places)) counts.set(`${row} ${name}`, (counts.get(`${row} ${name}`) ?? 0) + 1);
  }
  const open = new Map<string, Windows>();
  const windowsOf = (row: number, task: VersionTask): Windows => {
    const key = `${row} ${task.name}`;
    const logits = () => emptyWordLogits(wordsFor(task, rows[row] as Row).length, task.labels);
    const found = open.get(key) ?? { left: counts.get(key) as number, logits: logits() };
    open.set(key, found);
    return found;
  };
  return (at, task, logits, layer) => {
    const { row, places } = units[at] as (typeof units)[number];
    const own = places[task.name];
    if (!own) return take(row, task, logits, layer);
    const windows = windowsOf(row, task);
    placeLogits(windows.logits, logits, own, task.outputs);
    if (--windows.left === 0) take(row, task, windows.logits);
  };
}
