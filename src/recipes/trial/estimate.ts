// What a trial takes, without training it: parameters, steps, memory and floating-point work.

import { stepsPerEpoch } from "../../batches/batches";
import { chooseBuckets } from "../../batches/buckets";
import type { EncodedRows } from "../../batches/rows";
import type { BaseDescription } from "../../checkpoints/bases/base";
import type { BertConfig } from "../../model/config";
import { branchFlops, layerFlops } from "../../model/flops";
import { headParameterCount } from "../../model/head-parameters";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import type { Place } from "../../model/place";
import { headOf, type Task } from "../../tasks/task";
import type { TrialSettings } from "../recipe";
import type { TaskData } from "./task-data";

export interface TrialEstimate {
  /** Parameters with and without gradients. */
  readonly trainable: number;
  readonly frozen: number;
  readonly steps: number;
  /** Bytes: parameters, gradients and moments, a step's activations, the cached trunk activations. */
  readonly memoryBytes: number;
  /** Multiply-adds counted as two, without the trunk's. */
  readonly flops: number;
}

/** What a trial takes, whatever its seed. */
export function estimateTrial({
  base,
  place,
  data,
  training,
  task,
}: Pick<TrialSettings, "base" | "place" | "data" | "training" | "task">): TrialEstimate {
  const { config } = base;
  const { fork, layers } = place;
  const trainable = branchParameterCount(config, place, task);
  const belowFork = fork === null ? 0 : embeddingParameterCount(config) + fork * layerParameterCount(config);
  const padded = paddedTokens(data.train);
  const forward = branchFlops(config, layers, padded.tokens, padded.longest);
  const evaluation = branchFlops(config, layers, data.dev.tokens, padded.longest);
  return {
    trainable,
    frozen: belowFork,
    steps: stepsPerEpoch(data.train.ids.length, training.batchSize) * training.epochs,
    memoryBytes:
      stepBytes(config, layers, training.batchSize, padded.longest, trainable) +
      (fork === null ? 0 : cacheBytes(base, data)),
    // The backward pass costs twice the forward one.
    flops: training.epochs * (3 * forward + evaluation),
  };
}

/** Forward work of the first `fork` layers on all rows, once. */
export function trunkFlops(base: BaseDescription, data: TaskData, fork: number): number {
  const tokens = data.train.tokens + data.dev.tokens;
  return fork * layerFlops(base.config, tokens, paddedTokens(data.train).longest);
}

export const cacheBytes = (base: BaseDescription, data: TaskData): number =>
  (data.train.tokens + data.dev.tokens) * base.config.hiddenSize * 4;

function branchParameterCount(config: BertConfig, { fork, layers }: Place, task: Task): number {
  const embeddings = fork === null ? embeddingParameterCount(config) : 0;
  return embeddings + layers * layerParameterCount(config) + headParameterCount(headOf(task, config.hiddenSize));
}

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
function stepBytes(config: BertConfig, layers: number, batch: number, length: number, trainable: number): number {
  const { hiddenSize: h, intermediateSize: f, numAttentionHeads: heads } = config;
  const tokens = batch * length;
  const kept = 12 * h + 4 * f + 4 * heads * length; // values a token and layer, counted in the eager graph
  const top = 5 * h + 4 * heads; // the topmost layer's keys, values and scores
  return 4 * (7 * trainable + tokens * ((layers - 1) * kept + top));
}
