// How long a model's tasks take: each asked for alone, and all at once, in turn, so that a slow moment of the machine falls
// on all alike.

import { tokenRows } from "../batches/rows";
import { Interrupted } from "../messages/reporter";
import { median } from "./median";
import type { ServedModel } from "./model";

export interface TaskLatencyOptions {
  readonly batchSize: number;
  readonly length: number;
  readonly signal: AbortSignal;
  readonly onRound?: () => void;
}

export interface TaskLatency {
  /** Milliseconds of one batch, medians. */
  readonly tasks: Readonly<Record<string, number>>;
  /** All tasks in one call. */
  readonly all: number;
  readonly batchSize: number;
  readonly length: number;
}

const WARM_UP = 2;
const ROUNDS = 15;

/** Rounds that onRound is called for. */
export const latencyRounds = WARM_UP + ROUNDS;

/** Throws Interrupted between two calls where the signal is aborted. */
export async function measureTasks(model: ServedModel, options: TaskLatencyOptions): Promise<TaskLatency> {
  const { batchSize, length, signal, onRound } = options;
  const names = model.tasks.map(({ name }) => name);
  const calls: readonly (readonly string[])[] = [...names.map((name) => [name]), names];
  const times = calls.map((): number[] => []);
  const row = { ids: new Int32Array(length).fill(1), typeIds: new Int32Array(length), truncated: 0 };
  const rows = tokenRows(Array(batchSize).fill(row), model.tokenizer.padId);
  for (let round = 0; round < latencyRounds; round++) {
    for (const [i, call] of calls.entries()) {
      if (signal.aborted) throw new Interrupted(null);
      const started = performance.now();
      for await (const _ of model.run(rows, Array(batchSize).fill(call)));
      if (round >= WARM_UP) times[i]?.push(performance.now() - started);
    }
    onRound?.();
  }
  const medians = times.map(median);
  return {
    tasks: Object.fromEntries(names.map((name, i) => [name, medians[i] as number])),
    all: medians.at(-1) as number,
    batchSize,
    length,
  };
}
