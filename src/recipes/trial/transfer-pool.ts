// Which of the rows that a teacher has labelled its students learn from: those that it is sure enough of, and where it is asked
// for the rows of its classes in turn, so that batches are balanced: of the larger classes fewer rows than there are.

import type { Pool } from "../../batches/mixed";
import { dataError, usageError } from "../../errors/errors";
import { outputSize, type Task } from "../../tasks/task";
import type { ActivationStore } from "../../training/trunk/activation-store";

export interface PoolRules {
  readonly rows: number;
  readonly confidence: number;
  readonly balance: boolean;
}

export interface TransferPool {
  /** All rows, or those of each class that the teacher gives to any. */
  readonly groups: Pool;
  /** Rows that it is less sure of. */
  readonly left: number;
}

/** Throws usageError (2) where the kind of a task knows no confidence, or no classes. */
export function requireKind(
  { name, kind }: Task,
  { confidence, balance }: Pick<PoolRules, "confidence" | "balance">,
): void {
  if (confidence > 0 && !kind.confidence) {
    throw usageError(
      `--transfer-confidence: ${name} is a ${kind.name}, of whose rows no confidence is known. Leave it out`,
    );
  }
  if (balance && !kind.exclusive) {
    throw usageError(`--transfer-balance: ${name} is a ${kind.name}, whose rows are of no one class. Leave it out`);
  }
}

/** Rows that are read at a time. */
const CHUNK = 4096;

/**
 * Reads the teacher's logits on every row.
 * Throws dataError (3) where no row is left.
 */
export async function poolOf(logits: ActivationStore, task: Task, rules: PoolRules): Promise<TransferPool> {
  const { rows, confidence, balance } = rules;
  if (confidence === 0 && !balance) return { groups: [Int32Array.from({ length: rows }, (_, row) => row)], left: 0 };
  const outputs = outputSize(task);
  /** The group of each row; -1 for none. */
  const groupOf = new Int16Array(rows).fill(-1);
  const counts = new Int32Array(balance ? outputs : 1);
  for (let start = 0; start < rows; start += CHUNK) {
    const size = Math.min(CHUNK, rows - start);
    const chunk = Array.from({ length: size }, (_, i) => start + i);
    const values = await logits.read({ rows: chunk, length: 1 }, size);
    for (const [i, row] of chunk.entries()) {
      const given = values.subarray(i * outputs, (i + 1) * outputs);
      if (confidence > 0 && (task.kind.confidence?.(given, task) ?? 0) < confidence) continue;
      const group = balance ? (task.kind.decide(given, task) as number) : 0;
      groupOf[row] = group;
      counts[group] = (counts[group] as number) + 1;
    }
  }
  const groups = Array.from(counts, (count) => new Int32Array(count));
  const filled = groups.map(() => 0);
  for (const [row, group] of groupOf.entries()) {
    if (group >= 0) (groups[group] as Int32Array)[(filled[group] as number)++] = row;
  }
  const kept = counts.reduce((sum, count) => sum + count, 0);
  if (kept === 0) {
    throw dataError(
      `${task.name}: the teacher is sure of none of ${rows} rows at --transfer-confidence ${confidence}. Give a lower one, or other texts`,
    );
  }
  return { groups: groups.filter(({ length }) => length > 0), left: rows - kept };
}
