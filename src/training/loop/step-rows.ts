// The rows of a run's steps: the train split's in shuffled length buckets, and beside them, where a recipe asks for it, rows
// of other data without labels, the same number in every batch.

import { type Batch, epochBatches, stepsPerEpoch } from "../../batches/batches";
import { chooseBuckets } from "../../batches/buckets";
import { emptyBatches, type MixedBatch, mixedBatches, type Pool } from "../../batches/mixed";
import type { DynamicAxes } from "../../model/entry-point";
import { float32, type HostTensors, joinRows } from "../../model/tensors";
import { axesOf, type BatchInput, readInputs } from "./batch-inputs";
import { type BranchSource, branchInputs } from "./branch-source";

type Inputs = Readonly<Record<string, BatchInput>>;

/** Rows without labels beside the train split's. */
export interface ExtraRows {
  readonly source: BranchSource;
  /** Which of them are taken. */
  readonly pool: Pool;
  /** Of the rows of every batch. All of them: the train split's rows are not trained on. */
  readonly perBatch: number;
  /** What batches carry of them: every input of the train split's rows that has rows. */
  readonly inputs: Inputs;
}

export interface RowsRequest {
  readonly train: BranchSource;
  readonly inputs: Inputs;
  readonly extra?: ExtraRows | undefined;
  readonly batchSize: number;
  readonly seed: number;
}

export interface StepRows {
  readonly perEpoch: number;
  readonly buckets: readonly number[];
  /** Of what batches carry beside tokens. */
  readonly axes: DynamicAxes;
  /** The batches of one epoch, from 0. */
  batches(epoch: number): readonly Batch[];
  /** What a step reads of a batch's rows, filled up to the batch size. @param step from 1 to `total` */
  inputs(batch: Batch, step: number, total: number): Promise<HostTensors>;
}

export function openStepRows({ train, inputs, extra, batchSize, seed }: RowsRequest): StepRows {
  const { lengths } = train.rows;
  const axes = axesOf(inputs);
  if (!extra) {
    const buckets = chooseBuckets(lengths);
    return {
      perEpoch: stepsPerEpoch(lengths.length, batchSize),
      buckets,
      axes,
      batches: (epoch) => epochBatches(lengths, buckets, batchSize, seed, epoch),
      inputs: async (batch, step, total) => ({
        ...(await partInputs(train, inputs, batch, batchSize, step, total)),
        row_weights: rowWeights(batch.rows.length, batchSize),
      }),
    };
  }
  const { source, pool, perBatch } = extra;
  const buckets = chooseBuckets(joined(lengths, source.rows.lengths));
  const own = batchSize - perBatch;
  const perEpoch = own === 0 ? stepsPerEpoch(poolRows(pool), batchSize) : stepsPerEpoch(lengths.length, own);
  return {
    perEpoch,
    buckets,
    axes,
    batches(epoch) {
      const labelled =
        own === 0 ? emptyBatches(perEpoch, buckets[0] as number) : epochBatches(lengths, buckets, own, seed, epoch);
      return mixedBatches({ own: labelled, pool, lengths: source.rows.lengths, buckets, perBatch, seed, epoch });
    },
    async inputs(batch, step, total) {
      const others = { rows: (batch as MixedBatch).extra, length: batch.length };
      const parts = [await partInputs(source, extra.inputs, others, perBatch, step, total)];
      if (own > 0) parts.unshift(await partInputs(train, inputs, batch, own, step, total));
      const names = Object.keys(parts[0] as HostTensors);
      const read = names.map((name) => [name, joinRows(parts.flatMap((part) => part[name] ?? []))] as const);
      // Own rows first, filled up; then the others, of which there are always enough.
      const weights = rowWeights(batch.rows.length, own);
      const row_weights = joinRows([weights, rowWeights(perBatch, perBatch)]);
      return {
        ...Object.fromEntries(read),
        ...(await readInputs(withoutRows(inputs), batch, own, step, total)),
        row_weights,
      };
    },
  };
}

async function partInputs(
  source: BranchSource,
  inputs: Inputs,
  batch: Batch,
  size: number,
  step: number,
  total: number,
): Promise<HostTensors> {
  return { ...(await branchInputs(source, batch, size)), ...(await readInputs(inputs, batch, size, step, total)) };
}

const rowWeights = (rows: number, size: number) => float32([size], new Float32Array(size).fill(1, 0, rows));

/** Those that are one value for a whole step. */
const withoutRows = (inputs: Inputs): Inputs =>
  Object.fromEntries(Object.entries(inputs).filter(([, { axes }]) => axes.length === 0));

/** What one pass takes: groups that are drawn from in turn give as many rows as the smallest has. */
const poolRows = (pool: Pool): number =>
  pool.length * pool.reduce((least, { length }) => Math.min(least, length), Infinity);

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const both = new Int32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
