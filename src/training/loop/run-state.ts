// The state of an unfinished run in one file: the branch, its moments, the best branch so far and where it stood.

import { stat } from "node:fs/promises";
import { cutMetrics, loadState, metricsFile, saveState } from "../../checkpoints/runs/run-folder";
import type { Program } from "../../engines/engine";
import type { HostTensors } from "../../model/tensors";
import type { LoopOptions } from "../../settings/training";
import { withoutFrozen } from "../step/state";

/** The best epoch so far. */
export interface Best {
  readonly branch: HostTensors;
  /** From 0. */
  readonly epoch: number;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
}

/** Where a run stands: the next batch to train is `batch` of `epoch` (from 0). */
export interface Position {
  epoch: number;
  batch: number;
  /** Steps taken. */
  step: number;
  /** Seconds in all processes so far. */
  seconds: number;
  /** Joules of the machine in all processes so far; null where a machine did not say. */
  joules: number | null;
  best: Best | null;
}

/** Whether the epochs behind a position are as many without a better dev score as patience allows. */
export const isExhausted = ({ epoch, best }: Position, { patience }: Pick<LoopOptions, "patience">): boolean =>
  patience !== undefined && best !== null && epoch - 1 - best.epoch >= patience;

export const isComplete = (position: Position, settings: Pick<LoopOptions, "patience" | "epochs">): boolean =>
  position.epoch >= settings.epochs || isExhausted(position, settings);

const BEST = "best/";

/** Saves the program's state without what is frozen, the best branch so far and the position, as one file. */
export async function save<E extends string>(folder: string, program: Program<E>, position: Position): Promise<void> {
  const tensors = withoutFrozen(await program.state());
  const { best } = position;
  for (const [name, tensor] of Object.entries(best?.branch ?? {})) tensors[BEST + name] = tensor;
  const metricsBytes = await stat(metricsFile(folder)).then(
    ({ size }) => size,
    () => 0,
  );
  const { branch: _, ...bestRecord } = best ?? { branch: undefined };
  await saveState(folder, {
    tensors,
    position: {
      epoch: String(position.epoch),
      batch: String(position.batch),
      step: String(position.step),
      seconds: String(position.seconds),
      joules: String(position.joules),
      metrics_bytes: String(metricsBytes),
      best: best ? JSON.stringify(bestRecord) : "",
    },
  });
}

/** The saved state of a run, with metrics.jsonl cut back to it; null where none was saved. */
export async function restore(folder: string): Promise<{ state: HostTensors; position: Position } | null> {
  const saved = await loadState(folder);
  if (!saved) return null;
  const field = (name: string) => saved.position[name] ?? "";
  await cutMetrics(folder, Number(field("metrics_bytes")));
  const state: HostTensors = {};
  const branch: HostTensors = {};
  for (const [name, tensor] of Object.entries(saved.tensors)) {
    if (name.startsWith(BEST)) branch[name.slice(BEST.length)] = tensor;
    else state[name] = tensor;
  }
  const best = field("best") ? { ...(JSON.parse(field("best")) as Omit<Best, "branch">), branch } : null;
  const position = {
    epoch: Number(field("epoch")),
    batch: Number(field("batch")),
    step: Number(field("step")),
    seconds: Number(field("seconds")),
    joules: /^\d/.test(field("joules")) ? Number(field("joules")) : null,
    best,
  };
  return { state, position };
}
