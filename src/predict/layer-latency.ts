// What --max-latency builds on: how long shared, branch and topmost layers take in the served graph on this engine, for
// one batch size and length. Differences of four measured graphs; nothing is taken from a formula.

import { unpaddedInputs } from "../batches/token-inputs";
import type { Base } from "../checkpoints/bases/base";
import type { Engine } from "../engines/engine";
import { Interrupted } from "../messages/reporter";
import type { EntryPoint } from "../model/entry-point";
import { familyOf, inLayer } from "../model/families/families";
import { familyHead } from "../model/families/head";
import { pooledHeadOf } from "../model/heads";
import { multiHeadLogits, type TaskHead, type TokenInputs } from "../model/multi-head";
import { embeddingTensors, scope } from "../model/parameters";
import { float32, type HostTensors, sizeOf } from "../model/tensors";
import type { LatencyModel } from "../selection/latency";
import { median } from "./median";

export interface LatencyOptions {
  readonly batchSize: number;
  readonly length: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number) => void;
}

/** Layers that a graph has more than the plain one: their time is divided by it. */
const EXTRA = 3;
const OUTPUTS = 2;
const WARM_UP = 2;
export const ROUNDS = 15;

/** Tasks of the measured graph: off the embeddings with 1 layer, twice; with 1 + EXTRA; off a trunk of EXTRA with 1. */
const graphs = {
  plain: { fork: 0, layers: 1 },
  second: { fork: 0, layers: 1 },
  long: { fork: 0, layers: 1 + EXTRA },
  deep: { fork: EXTRA, layers: 1 },
};

const wanted = (task: string) => `want/${task}`;

/** All tasks as one function; an input `want/<task>` asks for a task, so each set of them is a graph of its own. */
const predictEntry = (config: Base["config"], tasks: readonly TaskHead[]): EntryPoint => {
  return (state, inputs) => {
    const asked = tasks.filter(({ name }) => wanted(name) in inputs);
    return { outputs: multiHeadLogits(state, inputs as unknown as TokenInputs, asked, config) };
  };
};

/** Times calls in turn, so that a slow moment of the machine falls on all alike, and takes medians. */
export async function measureLatency(engine: Engine, base: Base, options: LatencyOptions): Promise<LatencyModel> {
  const tasks = Object.entries(graphs).map(([name, shape]) => ({ name, ...shape, head: pooledHeadOf(base.config) }));
  const program = await engine.load(measuredTensors(base), { predict: predictEntry(base.config, tasks) });
  const inputs = batchOf(options, base.config);
  const calls = { plain: ["plain"], pair: ["plain", "second"], long: ["long"], deep: ["deep"] };
  const times = { plain: [] as number[], pair: [] as number[], long: [] as number[], deep: [] as number[] };
  try {
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      for (const name of Object.keys(calls) as (keyof typeof calls)[]) {
        if (options.signal.aborted) throw new Interrupted(null);
        const wants = calls[name].map((task) => [wanted(task), float32([], Float32Array.of(1))] as const);
        const started = performance.now();
        await program.run("predict", { ...inputs, ...Object.fromEntries(wants) });
        if (round >= 0) times[name].push(performance.now() - started);
      }
      options.onRound?.(round + WARM_UP + 1);
    }
  } finally {
    program.dispose();
  }
  const costs = solve(median(times.plain), median(times.pair), median(times.long), median(times.deep));
  const { batchSize, length } = options;
  const { name, sha256 } = base;
  const where = { engine: engine.summary, threads: engine.threads, batchSize, length, rounds: ROUNDS };
  return { ...costs, measured: { base: name, baseSha256: sha256, ...where } };
}

/** Rounds that onRound counts up to. */
export const measuredRounds = WARM_UP + ROUNDS;

/** Costs from the times of the four graphs. A part that is lost in the noise costs nothing, a layer at least 1e-6 ms. */
export function solve(plain: number, pair: number, long: number, deep: number): LatencyModel {
  const layer = (time: number) => Math.max(1e-6, (time - plain) / EXTRA);
  const branchLayerMs = layer(long);
  const topLayerMs = Math.max(1e-6, pair - plain);
  return {
    sharedLayerMs: layer(deep),
    branchLayerMs,
    topLayerMs,
    fixedMs: Math.max(0, plain - topLayerMs),
  };
}

/**
 * The base's bottom layer in every place: which weights it has does not change its time, and a base may have few. What it has
 * not and others have, as ModernBERT's norm, is 0.
 */
function measuredTensors({ tensors, config }: Base): HostTensors {
  const zeros = (shape: readonly number[]) => float32(shape, new Float32Array(sizeOf(shape)));
  const layerAt = (index: number): HostTensors =>
    Object.fromEntries(
      familyOf(config)
        .layerParameters(config, index)
        .map(({ name, shape }) => [name, tensors[inLayer(name, 0)] ?? zeros(shape)]),
    );
  const parameters = familyHead(config, OUTPUTS);
  const head: HostTensors = Object.fromEntries(parameters.map(({ name, shape }) => [name, zeros(shape)]));
  const all = Object.entries(embeddingTensors(tensors));
  for (let index = 0; index < EXTRA; index++) all.push(...Object.entries(layerAt(index)));
  for (const [task, { fork, layers }] of Object.entries(graphs)) {
    const own = { ...head };
    for (let index = fork; index < fork + layers; index++) Object.assign(own, layerAt(index));
    all.push(...Object.entries(own).map(([name, tensor]) => [scope(task) + name, tensor] as (typeof all)[number]));
  }
  return Object.fromEntries(all);
}

const batchOf = ({ batchSize, length }: LatencyOptions, config: Base["config"]): HostTensors =>
  unpaddedInputs([batchSize, length], new Int32Array(batchSize * length).fill(1), config);
