// What a trial takes, without training it: parameters, steps, memory and floating-point work.

import { stepsPerEpoch } from "../../batches/batches";
import { chooseBuckets } from "../../batches/buckets";
import type { EncodedRows } from "../../batches/rows";
import type { BaseDescription } from "../../checkpoints/bases/base";
import { adapterOf } from "../../model/adapters/adapters";
import type { EncoderConfig } from "../../model/config";
import { branchFlops, layerFlops } from "../../model/flops";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import type { Place } from "../../model/place";
import type { TrialSettings } from "../recipe";
import { trialParameters } from "./parameters";
import type { TaskData } from "./task-data";
import { type TransferRequest, transferRows } from "./transfer";

export interface TrialEstimate {
  /** Parameters with and without gradients. */
  readonly trainable: number;
  readonly frozen: number;
  /** Of its run folder's weights. */
  readonly stored: number;
  readonly steps: number;
  /** Bytes: parameters, gradients and moments, a step's activations, the cached trunk activations. */
  readonly memoryBytes: number;
  /** Multiply-adds counted as two, without the trunk's. */
  readonly flops: number;
}

/** What a trial takes, whatever its seed. Texts without labels count as if they were as long as the train rows. */
export function estimateTrial({
  base,
  place,
  data,
  training,
  task,
  transfer,
  recipe,
  options,
}: Pick<TrialSettings, "base" | "place" | "data" | "training" | "task" | "recipe" | "options"> & {
  readonly transfer?: Transferred | undefined;
}): TrialEstimate {
  const { config } = base;
  const { fork, layers } = place;
  const { trained: trainable, stored } = trialParameters(config, place, task, options);
  const belowFork = fork === null ? 0 : embeddingParameterCount(config) + fork * layerParameterCount(config);
  const adapter = adapterOf(options);
  // What is frozen beside the step, of layers that small tensors are trained in.
  const kept = adapter ? layers * layerParameterCount(config) : 0;
  const padded = paddedTokens(data.train);
  const perEpoch = epochSteps(data, training.batchSize, transfer);
  const rows = data.train.lengths.length;
  // As many tokens a step as without others beside them.
  const tokens = transfer ? (padded.tokens / Math.max(1, rows)) * perEpoch * training.batchSize : padded.tokens;
  const forward = branchFlops(config, layers, tokens, padded.longest, task.kind);
  const evaluation = branchFlops(config, layers, data.dev.tokens, padded.longest, task.kind);
  const whole: Place = { fork: null, layers: config.numHiddenLayers };
  const beside = recipe.runsTeacher?.(options)
    ? {
        flops: branchFlops(config, whole.layers, tokens, padded.longest, task.kind),
        parameters: trialParameters(config, whole, task, {}).trained,
      }
    : { flops: 0, parameters: 0 };
  return {
    trainable,
    frozen: belowFork + kept,
    stored,
    steps: perEpoch * training.epochs,
    memoryBytes:
      stepBytes(config, layers, training.batchSize, padded.longest, trainable) +
      4 * (beside.parameters + kept) +
      (fork === null ? 0 : cacheBytes(base, data)),
    // The backward pass costs twice the forward one; of frozen weights nothing wants the gradient, which is half of it.
    flops: training.epochs * ((adapter ? 2 : 3) * forward + beside.flops + evaluation),
  };
}

/** What is known of texts without labels: `rows` may be unknown until they are read. */
export type Transferred = Pick<TransferRequest, "share" | "rows">;

function epochSteps({ train }: TaskData, batchSize: number, transfer: Transferred | undefined): number {
  const rows = train.lengths.length;
  if (!transfer) return stepsPerEpoch(rows, batchSize);
  const own = batchSize - transferRows(transfer.share, batchSize);
  return own === 0 ? stepsPerEpoch(transfer.rows ?? rows, batchSize) : stepsPerEpoch(rows, own);
}

/** Tokens of an epoch without padding, texts without labels among them, were they as long as the train rows. */
export function trainedTokens(data: TaskData, batchSize: number, transfer: Transferred | undefined): number {
  const { tokens, lengths } = data.train;
  if (!transfer) return tokens;
  return Math.round((tokens / Math.max(1, lengths.length)) * epochSteps(data, batchSize, transfer) * batchSize);
}

/** Tokens of texts without labels, were they as long as the train rows. */
const transferTokens = ({ train }: TaskData, { rows = 0 }: Transferred): number =>
  Math.round((rows * train.tokens) / Math.max(1, train.lengths.length));

/** Forward work of so many layers on texts without labels, once. */
export const transferFlops = (base: BaseDescription, data: TaskData, transfer: Transferred, layers: number): number =>
  layers * layerFlops(base.config, transferTokens(data, transfer), paddedTokens(data.train).longest);

export const transferBytes = (base: BaseDescription, data: TaskData, transfer: Transferred): number =>
  transferTokens(data, transfer) * base.config.hiddenSize * 4;

/** Forward work of the first `fork` layers on all rows, once. */
export function trunkFlops(base: BaseDescription, data: TaskData, fork: number): number {
  const tokens = data.train.tokens + data.dev.tokens;
  return fork * layerFlops(base.config, tokens, paddedTokens(data.train).longest);
}

export const cacheBytes = (base: BaseDescription, data: TaskData): number =>
  (data.train.tokens + data.dev.tokens) * base.config.hiddenSize * 4;

interface Padded {
  readonly tokens: number;
  readonly longest: number;
}

const padded = new WeakMap<EncodedRows, Padded>();

/** Kept per split: choosing buckets takes a moment, and a plan asks once a trial. */
function paddedTokens(rows: EncodedRows): Padded {
  const known = padded.get(rows);
  if (known) return known;
  const buckets = chooseBuckets(rows.lengths);
  let tokens = 0;
  for (const length of rows.lengths) tokens += buckets.find((bound) => length <= bound) as number;
  const counted = { tokens, longest: buckets.at(-1) as number };
  padded.set(rows, counted);
  return counted;
}

/** Parameters, gradients and two moments, old and new; and what the backward pass keeps of the longest batch. */
function stepBytes(config: EncoderConfig, layers: number, batch: number, length: number, trainable: number): number {
  const { hiddenSize: h, intermediateSize: f, numAttentionHeads: heads } = config;
  const tokens = batch * length;
  const kept = 12 * h + 4 * f + 4 * heads * length; // values a token and layer, counted in the eager graph
  const top = 5 * h + 4 * heads; // the topmost layer's keys, values and scores
  return 4 * (7 * trainable + (layers === 0 ? 0 : tokens * ((layers - 1) * kept + top)));
}
