// What ramps read: the first position under each of them, of a finished run's whole way over its base, computed once in one pass and
// kept. The model is frozen and runs without dropout, so what a ramp reads of a row never changes.

import type { EncodedRows } from "../../batches/rows";
import type { BaseDescription } from "../../checkpoints/bases/base";
import { withWeights } from "../../checkpoints/bases/base";
import { loadBranch, type StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import { failure } from "../../errors/errors";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import { embeddingTensors, layerTensors } from "../../model/parameters";
import { ownLayers } from "../../model/place";
import { rampStatesEntry } from "../../model/ramps";
import type { HostTensors } from "../../model/tensors";
import { outputSize, type Task } from "../../tasks/task";
import { type BranchSource, eachOutput } from "../../training/loop/branch-source";
import type { RunContext } from "../../training/tracking/tracker";
import { type ActivationStore, openStore, type StoreOptions, storeBytes } from "../../training/trunk/activation-store";

/** A run with all that its way holds: embeddings, layers and head. */
export interface WholeModel {
  readonly config: EncoderConfig;
  /** Encoder layers of its way. */
  readonly top: number;
  readonly tensors: HostTensors;
}

/** @param task with the run's labels */
export async function wholeModel(run: StoredRun, task: Task, base: BaseDescription): Promise<WholeModel> {
  const { config, tensors } = await withWeights(base);
  const branch = await loadBranch(run, task, config);
  const { fork } = run.record;
  const [, top] = ownLayers(run.record);
  const trunk = fork === null ? {} : { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, fork) };
  return { config, top, tensors: { ...trunk, ...branch } };
}

export interface RampStates {
  /** Rows as ramps read them: one position a row, as wide as all their states. */
  readonly source: BranchSource;
  /** What the model says at its end: [rows, outputs]. */
  readonly logits: Float32Array;
  readonly memoryBytes: number;
  dispose(): Promise<void>;
}

/**
 * Runs a split's rows through the whole model once. Throws Interrupted where the context's signal is aborted, failure (1) where there is no room
 * for the states.
 * @param label of the rows, for the bar: "rte train"
 */
export async function rampStates(
  { config, top, tensors }: WholeModel,
  rows: EncodedRows,
  layers: readonly number[],
  { task, label, ...room }: { readonly task: Task; readonly label: string } & StoreOptions,
  { engine, reporter, signal }: RunContext<Engine>,
): Promise<RampStates> {
  const count = rows.lengths.length;
  const lengths = new Int32Array(count).fill(1);
  const width = layers.length * config.hiddenSize;
  const store = await openStore(lengths, width, room);
  if (!store) throw noRoom(label, storeBytes(lengths, width), room);
  const logits = new Float32Array(count * outputSize(task));
  const bar = reporter.progress(`${label}: what ramps read`, count);
  try {
    const entry = rampStatesEntry(config, top, await task.kind.head(config), layers);
    const program = await engine.load(tensors, { states: entry }, { states: branchAxes });
    try {
      await eachOutput(program, "states", { rows, activations: null, config }, signal, async (batch, outputs) => {
        const values = (name: string) => (outputs[name] as { data: Float32Array }).data;
        await store.write({ ...batch, length: 1 }, values("states"));
        const outputsOfRow = outputSize(task);
        for (const [i, row] of batch.rows.entries()) {
          logits.set(values("logits").subarray(i * outputsOfRow, (i + 1) * outputsOfRow), row * outputsOfRow);
        }
        bar.advance(batch.rows.length);
      });
    } finally {
      program.dispose();
    }
  } catch (error) {
    await store.dispose();
    throw error;
  } finally {
    bar.end();
  }
  const source = {
    rows: { ...rows, lengths, tokens: count },
    activations: reading(store),
    config: wideAs(config, width),
  };
  return { source, logits, memoryBytes: store.memoryBytes, dispose: () => store.dispose() };
}

const reading = (store: ActivationStore): NonNullable<BranchSource["activations"]> => ({
  fork: 0,
  read: (batch, size) => store.read(batch, size),
  takeCost: () => ({ layerTokens: 0, seconds: 0 }),
});

/** How wide a position is as it is read; the ramps' own config is the base's. */
const wideAs = (config: EncoderConfig, hiddenSize: number): EncoderConfig => ({ ...config, hiddenSize });

function noRoom(label: string, bytes: number, { budget, folder }: StoreOptions): Error {
  const size = (of: number) => `${(of / 1e9).toFixed(1)} GB`;
  return failure(
    `what the ramps read of ${label} takes ${size(bytes)}, which neither --cache-budget (${size(budget)}) nor the disk of ${folder} has. ` +
      "Free space there, or give more --cache-budget",
  );
}
