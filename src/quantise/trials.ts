// A model's tasks run one at a time under one plan or another: measured, looked at for outliers, and weight by weight.

import type { RowLogits } from "../batches/row-logits";
import { Interrupted, type Reporter } from "../messages/reporter";
import type { ServedModel, ServedTask } from "../predict/model";
import type { PieceSource } from "../predict/segments/pieces";
import { openSegments } from "../predict/segments/segments";
import type { rowCosts } from "../recipes/ramps/costs";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { compareLogits, logitsOf, type Measured, type MeasuredRows, type MeasureOptions, measureTask } from "./measure";
import { type Int8Plan, isWordTable } from "./packing";
import { observedPieces, type PieceModel, plannedPieces } from "./pieces";

/** The engine apart: weights are packed without one. */
export interface FitModel extends Omit<PieceModel, "tasks" | "engine"> {
  readonly folder: string;
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly ServedTask[];
}

export interface TrialOptions extends MeasureOptions {
  readonly rowsOf: (task: ServedTask) => Promise<MeasuredRows>;
  readonly reporter: Reporter;
  /** What rows cost that may leave early; as it was measured by default. */
  readonly costs?: typeof rowCosts;
}

export interface Trials {
  rowsOf(task: string): Promise<MeasuredRows>;
  /** A task on all its rows; in float32 without a plan. */
  measure(task: string, plan: Int8Plan | null): Promise<Measured>;
  /** The largest magnitude in every column of the rows of products with these weights, on some rows of each task. */
  largest(tasks: readonly string[], isWanted: (weight: string) => boolean): Promise<Map<string, Float32Array>>;
  /** Of these weights of a task's, the ones first that move its logits most where they alone are int8. */
  ranked(task: string, plan: Int8Plan, isWanted: (weight: string) => boolean): Promise<string[]>;
}

/** Rows of each task on which outliers are looked for, and weights ranked. */
const SOME = 32;

/** Its functions throw Interrupted where the signal is aborted. */
export function openTrials(model: FitModel & Pick<PieceModel, "engine">, options: TrialOptions): Trials {
  const { signal, reporter } = options;
  const known = new Map<string, MeasuredRows>();
  const taskOf = (name: string) => model.tasks.find((task) => task.name === name) as ServedTask;
  const rowsOf = async (name: string) => {
    const rows = known.get(name) ?? (await options.rowsOf(taskOf(name)));
    known.set(name, rows);
    return rows;
  };
  /** One task alone, so that no more than it needs is in memory. */
  const opened = async <T>(
    name: string,
    source: (one: PieceModel) => PieceSource,
    run: (served: ServedModel, task: ServedTask) => Promise<T>,
  ): Promise<T> => {
    if (signal.aborted) throw new Interrupted(null);
    const task = taskOf(name);
    const { folder, config, tokenizer } = model;
    const segments = openSegments(config, [task], source({ ...model, tasks: [task] }));
    try {
      return await run({ folder, config, tokenizer, tasks: [task], weights: "int8", ...segments }, task);
    } finally {
      segments.dispose();
    }
  };
  const some = async (name: string, source: (one: PieceModel) => PieceSource): Promise<RowLogits> => {
    const texts = (await rowsOf(name)).some.slice(0, SOME);
    return opened(name, source, async (served, task) => (await logitsOf(served, task, texts, signal)).logits);
  };
  const largest: Trials["largest"] = async (tasks, isWanted) => {
    const found = new Map<string, Float32Array>();
    const observe = (weight: string, seen: Float32Array) => {
      if (!isWanted(weight)) return;
      const before = found.get(weight);
      found.set(weight, before ? before.map((value, i) => Math.max(value, seen[i] as number)) : seen.slice());
    };
    for (const name of tasks) await some(name, (one) => observedPieces(one, observe));
    return found;
  };
  return {
    rowsOf,
    largest,
    async measure(name, plan) {
      const rows = await rowsOf(name);
      return opened(
        name,
        (one) => plannedPieces(one, plan),
        (served, task) => measureTask(served, task, rows, options),
      );
    },
    async ranked(name, plan, isWanted) {
      const matrices = [...(await largest([name], isWanted)).keys()];
      const tables = Object.keys(model.tensors).filter((weight) => isWordTable(weight) && isWanted(weight));
      const candidates = [...tables, ...matrices];
      const exact = await some(name, (one) => plannedPieces(one, null));
      const bar = reporter.progress(`${name}: which weights cost it most`, candidates.length);
      const costs: [string, number][] = [];
      try {
        for (const weight of candidates) {
          const others = new Set(Object.keys(model.tensors).filter((other) => other !== weight));
          const alone = await some(name, (one) => plannedPieces(one, { ...plan, float32: others }));
          costs.push([weight, compareLogits(taskOf(name), exact, alone).mean]);
          bar.advance(1);
        }
      } finally {
        bar.end();
      }
      return costs.sort((a, b) => b[1] - a[1]).map(([weight]) => weight);
    },
  };
}
