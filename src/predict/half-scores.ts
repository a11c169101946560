// A run's score on each half of its dev rows, and on all of them, by the task's own metric.

import { type RowLogits, someLogits } from "../batches/row-logits";
import { targetsOf } from "../batches/rows";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import { type Half, halfOf } from "../data/halves";
import type { Example } from "../data/read-split";
import { usageError } from "../errors/errors";
import type { HalfScores } from "../selection/cross";
import { TUNED } from "../tasks/thresholds";
import { scoreLogits } from "../training/loop/branch-source";
import type { DevRows } from "./dev-logits";

/** Rows that a half needs at least. */
const FEWEST = 2;

/** Throws usageError (2) for so few rows that a half has next to none. */
export function scoreHalves(
  { task, examples }: DevRows,
  logits: ReadonlyMap<string, RowLogits>,
  runs: readonly StoredRun[],
): Map<string, HalfScores> {
  const rowsOf = (half: Half) => examples.flatMap((example, row) => (halfOf(example) === half ? [row] : []));
  const halves = [rowsOf(0), rowsOf(1)] as const;
  const [fewest] = [...halves].sort((a, b) => a.length - b.length);
  if (fewest && fewest.length < FEWEST) {
    throw usageError(
      `--cross: ${task.name} has ${examples.length} dev rows, ${fewest.length} of them in one half: too few to choose on. ` +
        "Name other tasks with --task",
    );
  }
  const all = examples.map((_, row) => row);
  const perWord = task.kind.perWord === true;
  const some = (found: RowLogits, rows: readonly number[]) => ({
    logits: someLogits(found, rows, perWord),
    labels: targetsOf(
      task,
      rows.map((row) => examples[row] as Example),
    ),
  });
  /** Thresholds that are tuned are chosen on the other half: what they win by being chosen is not this half's. */
  const score = (found: RowLogits, rows: readonly number[], chosenOn: readonly number[]) => {
    const { logits, labels } = some(found, rows);
    const other = task.threshold === TUNED ? some(found, chosenOn) : null;
    const threshold = other && task.kind.tune?.(other.logits.data, other.labels, task);
    return scoreLogits(threshold ? { ...task, threshold } : task, logits, labels).score;
  };
  return new Map(
    runs.map(({ folder }) => {
      const found = logits.get(folder) as RowLogits;
      const [first, second] = halves;
      return [
        folder,
        { whole: score(found, all, all), halves: [score(found, first, second), score(found, second, first)] },
      ];
    }),
  );
}
