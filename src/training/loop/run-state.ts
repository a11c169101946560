// The state of an unfinished run in one file: the branch, its moments, the best branch so far and where it stood.

import { stat } from "node:fs/promises";
import { cutMetrics, loadState, metricsFile, saveState } from "../../checkpoints/runs/run-folder";
import { isTuned, type Tuned } from "../../checkpoints/runs/tuned";
import type { Program } from "../../engines/engine";
import { modelError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { isCount, parseJson } from "../../files/json";
import type { HostTensors } from "../../model/tensors";
import type { LoopOptions } from "../../settings/training";
import { branchIn, withoutFrozen } from "../step/state";

/** The best epoch so far. */
export interface Best {
  readonly branch: HostTensors;
  /** From 0. */
  readonly epoch: number;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Of a task whose thresholds are tuned. */
  readonly tuned?: Tuned;
  /** Of several tasks that are trained together: of each what it scored. */
  readonly tasks?: Readonly<Record<string, Pick<Best, "score" | "metrics" | "tuned">>>;
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

/**
 * The saved state of a run, with metrics.jsonl cut back to it; null where none was saved. Throws modelError (4) where it is
 * not what `save` wrote of such a branch.
 */
export async function restore(
  folder: string,
  initial: HostTensors,
): Promise<{ state: HostTensors; position: Position } | null> {
  const saved = await loadState(folder);
  if (!saved) return null;
  const problem =
    positionProblem(saved.position) ?? tensorProblem(saved.tensors, initial, Boolean(saved.position["best"]));
  if (problem !== null) {
    throw modelError(
      `the state in ${folder} is damaged: ${problem}. Remove its state.safetensors: the run then begins anew`,
    );
  }
  const field = (name: string) => saved.position[name] ?? "";
  await cutMetrics(folder, Number(field("metrics_bytes")));
  const state: HostTensors = {};
  const branch: HostTensors = {};
  for (const [name, tensor] of Object.entries(saved.tensors)) {
    if (name.startsWith(BEST)) branch[name.slice(BEST.length)] = tensor;
    else state[name] = tensor;
  }
  const best = field("best") ? { ...(parseJson(field("best")) as Omit<Best, "branch">), branch } : null;
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

/** What is wrong with the fields of a saved position, in words; null where nothing is. */
function positionProblem(fields: Readonly<Record<string, string>>): string | null {
  for (const name of ["epoch", "batch", "step", "metrics_bytes"]) {
    if (!/^\d{1,15}$/.test(fields[name] ?? "")) return `its ${name} is ${shown(fields[name])}`;
  }
  if (!Number.isFinite(Number(fields["seconds"] || Number.NaN))) return `its seconds are ${shown(fields["seconds"])}`;
  if (fields["best"]) return bestProblem(fields["best"]);
  return fields["epoch"] === "0" ? null : "it has no best epoch";
}

function bestProblem(text: string): string | null {
  const said = "its best epoch is no record of one";
  try {
    const { epoch, score, metrics, tuned } = Object(parseJson(text)) as Readonly<Record<string, unknown>>;
    const isScore = (value: unknown) => value === null || Number.isFinite(value);
    const scores = typeof metrics === "object" && metrics !== null && Object.values(metrics).every(isScore);
    return isCount(epoch) && isScore(score) && scores && (tuned === undefined || isTuned(tuned)) ? null : said;
  } catch {
    return said;
  }
}

/** The first tensor of the initial state that a saved one lacks or has in another shape, in words. */
function tensorProblem(saved: HostTensors, initial: HostTensors, best: boolean): string | null {
  const branch = branchIn(initial);
  for (const [name, { shape, dtype }] of Object.entries(initial)) {
    const wanted = best && name in branch ? [name, BEST + name] : [name];
    const wrong = wanted.find((one) => String(saved[one]?.shape) !== String(shape) || saved[one]?.dtype !== dtype);
    if (wrong !== undefined) return `it has no ${shown(wrong)} of [${shape}]`;
  }
  return null;
}
