// What a sweep would do, without doing it: parameters, steps, memory and floating-point work of each trial.

import { stepsPerEpoch } from "../../batches/batches";
import { chooseBuckets } from "../../batches/buckets";
import type { EncodedRows } from "../../batches/rows";
import type { Base } from "../../checkpoints/bases/base";
import type { BertConfig } from "../../model/config";
import { branchFlops, layerFlops } from "../../model/flops";
import { headParameterCount } from "../../model/head-parameters";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import type { Place } from "../../model/place";
import { headOf, type Task } from "../../tasks/task";
import { type DistillRequest, studentSettings } from "../distill";
import type { FinetuneRequest } from "../finetune";
import { halvedWork } from "../halving/rule";
import { readTaskData, type TaskData } from "./task-data";
import { describeTrial, finishedRun, type TrialSettings } from "./trial";

export interface PlannedTrial extends Place {
  readonly task: string;
  readonly folder: string;
  readonly seed: number;
  readonly finished: boolean;
  /** Parameters with and without gradients. */
  readonly trainable: number;
  readonly frozen: number;
  readonly steps: number;
  /** Bytes: parameters, gradients and moments, a step's activations, the cached trunk activations. */
  readonly memoryBytes: number;
  /** Multiply-adds counted as two; the trunk is in `trunkFlops` of the plan. */
  readonly flops: number;
}

export interface Plan {
  readonly trials: readonly PlannedTrial[];
  /** Work of the frozen layers, once for the whole sweep. */
  readonly trunkFlops: number;
  /** Trunk activations of train and dev rows. */
  readonly cacheBytes: number;
  /** With halving: work of the trials that are not finished, between the two of these; the trunk is not in them. */
  readonly halved?: { readonly least: number; readonly most: number };
}

/** The trials that `finetune` would run. Reads and encodes the data; computes nothing. */
export async function planFinetune(request: FinetuneRequest): Promise<Plan> {
  const { task, base, training, run } = request;
  const data = await readTaskData(task, base, training.maxLength, run);
  const trials: PlannedTrial[] = [];
  for (const place of request.places) {
    for (const seed of request.seeds) {
      trials.push(await planTrial({ method: "finetune", task, base, place, seed, data, training }, request));
    }
  }
  const plan = finishPlan(trials, base, data);
  if (request.search?.method !== "halving") return plan;
  return { ...plan, halved: halvedTrials(trials, training.epochs) };
}

/** What halving leaves of a sweep's work; full branches run to their end. */
function halvedTrials(trials: readonly PlannedTrial[], epochs: number): { least: number; most: number } {
  const perEpoch = new Map<number, number>();
  let whole = 0;
  for (const { fork, layers, finished, flops } of trials) {
    const open = finished ? 0 : flops;
    if (fork === null) whole += open;
    else perEpoch.set(layers, (perEpoch.get(layers) ?? 0) + open / epochs);
  }
  const { least, most } = halvedWork([...perEpoch.values()], epochs);
  return { least: whole + least, most: whole + most };
}

/** The trials that `distill` would run. */
export async function planDistill(request: DistillRequest): Promise<Plan> {
  const { task, base, training, run } = request;
  const data = await readTaskData(task, base, training.maxLength, run);
  const { record } = request.teacher;
  const trials: PlannedTrial[] = [];
  for (const layers of request.studentLayers.filter((count) => count < record.layers && record.fork !== null)) {
    for (const seed of request.seeds) {
      trials.push(await planTrial(studentSettings(request, layers, seed, data), request));
    }
  }
  return finishPlan(trials, base, data);
}

async function planTrial(settings: TrialSettings, { run }: Pick<FinetuneRequest, "run">): Promise<PlannedTrial> {
  const { place, seed, task } = settings;
  const trial = describeTrial(settings, run.checkpoints);
  return {
    task: task.name,
    folder: trial.folder,
    ...place,
    seed,
    finished: (await finishedRun(trial, run.force)) !== null,
    ...trialCost(settings),
  };
}

export type TrialCost = Pick<PlannedTrial, "trainable" | "frozen" | "steps" | "memoryBytes" | "flops">;

/** What a trial takes, whatever its seed. */
export function trialCost({
  base,
  place,
  data,
  training,
  task,
}: Pick<TrialSettings, "base" | "place" | "data" | "training" | "task">): TrialCost {
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

function finishPlan(trials: readonly PlannedTrial[], base: Base, data: TaskData): Plan {
  const open = trials.filter(({ finished, fork }) => !finished && fork !== null);
  const deepest = Math.max(0, ...open.map(({ fork }) => fork ?? 0));
  return {
    trials,
    trunkFlops: open.length === 0 ? 0 : trunkFlops(base, data, deepest),
    cacheBytes: open.length === 0 ? 0 : cacheBytes(base, data),
  };
}

/** Forward work of the first `fork` layers on all rows, once. */
export function trunkFlops(base: Base, data: TaskData, fork: number): number {
  const tokens = data.train.tokens + data.dev.tokens;
  return fork * layerFlops(base.config, tokens, paddedTokens(data.train).longest);
}

export const cacheBytes = (base: Base, data: TaskData): number =>
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
