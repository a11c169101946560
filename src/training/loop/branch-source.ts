// What a branch says about rows, and what that scores.

import { type Batch, sortedBatches } from "../../batches/batches";
import { type RowLogits, rowLogits } from "../../batches/row-logits";
import { type EncodedRows, targetsOf } from "../../batches/rows";
import { hiddenInputs, tokenInputs } from "../../batches/token-inputs";
import { emptyWordLogits, placeLogits, type WordPlaces } from "../../batches/word-labels";
import type { Tuned } from "../../checkpoints/runs/tuned";
import type { Program } from "../../engines/engine";
import { Interrupted } from "../../messages/reporter";
import type { EncoderConfig } from "../../model/config";
import type { HostTensors } from "../../model/tensors";
import { type MetricValues, metricValues } from "../../tasks/metrics";
import { outputSize, type Task } from "../../tasks/task";
import { TUNED } from "../../tasks/thresholds";
import type { Activations } from "../trunk/trunk";

/** Rows of one evaluation batch. */
const EVALUATION_BATCH = 64;

/** A split as a branch reads it: activations under its fork, or ids for a full branch. */
export interface BranchSource {
  readonly rows: EncodedRows;
  /** null for a branch that trains its embeddings. */
  readonly activations: Activations | null;
  readonly config: EncoderConfig;
}

/** The inputs of a branch for one batch of `size` rows. */
export async function branchInputs(
  { rows, activations, config }: BranchSource,
  batch: Batch,
  size: number,
): Promise<HostTensors> {
  if (!activations) return tokenInputs(rows, batch, size, config);
  return hiddenInputs(await activations.read(batch, size), config.hiddenSize, rows, batch, size);
}

/** Logits of every row, in the split's order, without dropout. */
export async function splitLogits<E extends string>(
  program: Program<E>,
  entry: E,
  source: BranchSource,
  task: Task,
  signal: AbortSignal,
): Promise<RowLogits> {
  const width = outputSize(task);
  const { worded, lengths } = source.rows;
  const words = worded?.words;
  const all = worded ? emptyWordLogits(sumOf(worded.words), task.labels) : new Float32Array(lengths.length * width);
  await eachOutput(program, entry, source, signal, (batch, { logits }) => {
    const values = (logits as { data: Float32Array }).data;
    const size = (worded ? batch.length : 1) * width;
    for (const [i, row] of batch.rows.entries()) {
      const own = values.subarray(i * size, (i + 1) * size);
      if (worded) placeLogits(all, own, worded.places[row] as WordPlaces, width);
      else all.set(own, row * width);
    }
  });
  return rowLogits(all, width, words);
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** What a branch gives for every row, batch by batch, without dropout. */
export async function eachOutput<E extends string>(
  program: Program<E>,
  entry: E,
  source: BranchSource,
  signal: AbortSignal,
  take: (batch: Batch, outputs: HostTensors) => void | Promise<void>,
): Promise<void> {
  for (const batch of sortedBatches(source.rows.lengths, EVALUATION_BATCH)) {
    if (signal.aborted) throw new Interrupted(null);
    await take(batch, await program.run(entry, await branchInputs(source, batch, batch.rows.length)));
  }
}

/** What the task's kind decides of logits, in the form of the rows' labels. */
export function predictions(task: Task, logits: RowLogits): Float32Array {
  const rows = Array.from({ length: logits.rows }, (_, row) => ({ label: task.kind.decide(logits.of(row), task) }));
  return targetsOf(task, rows);
}

/** The task's score and metrics as fractions; null where one is undefined. */
export function scoreLogits(task: Task, logits: RowLogits, labels: Float32Array): MetricValues {
  return metricValues(task, predictions(task, logits), labels, logits.data);
}

/** As {@link scoreLogits}; of a task whose thresholds are tuned with those that are the best for these rows. */
export function scoreTuned(task: Task, logits: RowLogits, labels: Float32Array): MetricValues & { tuned?: Tuned } {
  const { kind } = task;
  if (task.threshold !== TUNED || !kind.tune || kind.threshold === undefined) return scoreLogits(task, logits, labels);
  const { threshold } = kind;
  const thresholds = kind.tune(logits.data, labels, task);
  const { metrics } = scoreLogits({ ...task, threshold }, logits, labels);
  const tuned = { thresholds, untuned: { threshold, metrics } };
  return { ...scoreLogits({ ...task, threshold: thresholds }, logits, labels), tuned };
}
