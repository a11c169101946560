// What --max-latency builds on: how long shared, branch and topmost layers take in the pieces of a model, which are what predict
// and serve run (segments/), on this engine, for one batch size and length. Differences of five measured models; nothing is
// taken from a formula.

import { tokenRows } from "../batches/rows";
import type { Base } from "../checkpoints/bases/base";
import type { Engine } from "../engines/engine";
import { Interrupted } from "../messages/reporter";
import { familyOf, inLayer } from "../model/families/families";
import { familyHead } from "../model/families/head";
import { embeddingTensors, scope } from "../model/parameters";
import { float32, type HostTensors, sizeOf } from "../model/tensors";
import type { LatencyModel } from "../selection/latency";
import { classification } from "../tasks/kinds/classification";
import { median } from "./median";
import type { PieceSource } from "./segments/pieces";
import { openSegments, type Segments } from "./segments/segments";
import { openPiecePool } from "./segments/shared";

export interface LatencyOptions {
  readonly batchSize: number;
  readonly length: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number) => void;
}

/** Layers that a model has more than the plain one: their time is divided by it. */
const EXTRA = 3;
const OUTPUTS = 2;
const WARM_UP = 2;
export const ROUNDS = 15;

/** Tasks of the measured models: off the embeddings with 1 layer; off one layer; with 1 + EXTRA; off a trunk of EXTRA with 1. */
const places = {
  plain: { fork: 0, layers: 1 },
  near: { fork: 1, layers: 1 },
  long: { fork: 0, layers: 1 + EXTRA },
  deep: { fork: EXTRA, layers: 1 },
};

/** The measured models' tasks. `both` fork apart, as two tasks of a mix do in general. */
const models = {
  plain: ["plain"],
  near: ["near"],
  both: ["plain", "near"],
  long: ["long"],
  deep: ["deep"],
} as const satisfies Readonly<Record<string, readonly (keyof typeof places)[]>>;
type ModelName = keyof typeof models;

/** Times models in turn, so that a slow moment of the machine falls on all alike, and takes medians. */
export async function measureLatency(engine: Engine, base: Base, options: LatencyOptions): Promise<LatencyModel> {
  const { batchSize, length, signal } = options;
  const tasks = Object.entries(places).map(([name, place]) => ({ name, ...place, kind: classification }));
  const row = { ids: new Int32Array(length).fill(1), typeIds: new Int32Array(length), truncated: 0 };
  const rows = tokenRows(Array(batchSize).fill(row), base.config.padTokenId);
  const opened: [ModelName, Segments][] = [];
  const times: Record<ModelName, number[]> = { plain: [], near: [], both: [], long: [], deep: [] };
  try {
    const source = openPiecePool().share(await sourceOf(engine, base, tasks), {
      stretch: (stretch) => JSON.stringify(stretch),
      branch: (task) => task,
    });
    for (const name of Object.keys(models) as ModelName[]) {
      const own = tasks.filter((task) => (models[name] as readonly string[]).includes(task.name));
      opened.push([name, openSegments(base.config, own, source, [], engine.device)]);
    }
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      for (const [name, { run }] of opened) {
        if (signal.aborted) throw new Interrupted(null);
        const started = performance.now();
        for await (const _ of run(rows, Array(batchSize).fill(models[name])));
        if (round >= 0) times[name].push(performance.now() - started);
      }
      options.onRound?.(round + WARM_UP + 1);
    }
  } finally {
    for (const [, { dispose }] of opened) dispose();
  }
  const medians = Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, median(ms)]));
  const costs = solve(medians as Record<ModelName, number>);
  const { name, sha256 } = base;
  const where = { engine: engine.summary, threads: engine.threads, batchSize, length, rounds: ROUNDS };
  return { ...costs, measured: { base: name, baseSha256: sha256, ...where } };
}

type MeasuredTask = (typeof places)[keyof typeof places] & {
  readonly name: string;
  readonly kind: typeof classification;
};

/** The pieces as the engine runs them of a folder: lowered graphs where it opens such, else traced. */
async function sourceOf(engine: Engine, base: Base, tasks: readonly MeasuredTask[]): Promise<PieceSource> {
  const model = { config: base.config, tasks, tensors: measuredTensors(base) };
  if (engine.openGraph) return (await import("./segments/lowered.js")).loweredPieces(engine, model, false);
  return (await import("./segments/traced.js")).tracedPieces(engine, model.config, tasks, model.tensors);
}

/** Rounds that onRound counts up to. */
export const measuredRounds = WARM_UP + ROUNDS;

/**
 * Costs from the times of the models. What a cut of the trunk costs is in the topmost layer's: right for tasks that fork apart,
 * a little too much for tasks that share a fork. A part that is lost in the noise costs nothing, a layer at least 1e-6 ms.
 */
export function solve({ plain, near, both, long, deep }: Readonly<Record<ModelName, number>>): LatencyModel {
  const layer = (time: number) => Math.max(1e-6, (time - plain) / EXTRA);
  const topLayerMs = Math.max(1e-6, both - near);
  return {
    sharedLayerMs: layer(deep),
    branchLayerMs: layer(long),
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
  for (const [task, { fork, layers }] of Object.entries(places)) {
    const own = { ...head };
    for (let index = fork; index < fork + layers; index++) Object.assign(own, layerAt(index));
    all.push(...Object.entries(own).map(([name, tensor]) => [scope(task) + name, tensor] as (typeof all)[number]));
  }
  return Object.fromEntries(all);
}
