// The cost model behind --max-latency: milliseconds of one forward pass as a sum over layers, from figures that were
// measured (predict/layer-latency.ts) and lie in a JSON file. It says nothing of tokenizing, queues and the network.

import { oneLine, usageError } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { parseOwnJson } from "../files/json";
import { readWhole } from "../files/read-whole";
import type { LayerCount } from "../model/overhead";
import type { Allowance } from "./budget";

/** Milliseconds for the batch that was measured. */
export interface LatencyModel {
  readonly sharedLayerMs: number;
  readonly branchLayerMs: number;
  /** A task's topmost layer, of which only the first position is computed, with pooler and classifier. */
  readonly topLayerMs: number;
  /** Embeddings, and what a call costs by itself. */
  readonly fixedMs: number;
  readonly measured?: Measurement | undefined;
}

/** What the figures hold for. */
export interface Measurement {
  readonly base: string;
  readonly baseSha256: string;
  readonly engine: string;
  readonly threads: number;
  readonly batchSize: number;
  readonly length: number;
  readonly rounds: number;
}

/**
 * A head over no layer of its own costs nothing: there are no more topmost layers than layers.
 * @param branch layers of all tasks together, the topmost ones included
 */
export function latencyOf(model: LatencyModel, { shared, branch }: LayerCount, tasks: number): number {
  const { fixedMs, topLayerMs, sharedLayerMs, branchLayerMs } = model;
  const tops = Math.min(tasks, branch);
  return fixedMs + tops * topLayerMs + shared * sharedLayerMs + (branch - tops) * branchLayerMs;
}

/** Branch layers that fit into `maxMs` beside a trunk; 1e-9 ms over still fits. */
export const latencyAllowance =
  (model: LatencyModel, maxMs: number, tasks: number): Allowance =>
  (depth) => {
    const room = maxMs + 1e-9 - latencyOf(model, { shared: depth, branch: 0 }, tasks);
    const tops = Math.min(tasks, Math.floor(room / model.topLayerMs));
    return tops < tasks ? tops : tops + Math.floor((room - tops * model.topLayerMs) / model.branchLayerMs);
  };

/** Reads a latency file. Throws usageError (2) naming the file and every key that is wrong. */
export async function readLatency(file: string): Promise<LatencyModel> {
  const advice = "Write one with: flexbert select --measure --latency FILE";
  let content: string;
  try {
    content = (await readWhole(file)).toString("utf8");
  } catch (error) {
    throw usageError(`--latency ${file} cannot be read (${(error as NodeJS.ErrnoException).code}). ${advice}`, error);
  }
  let json: unknown;
  try {
    json = parseOwnJson(content);
  } catch (error) {
    throw usageError(`--latency ${file} is no JSON (${oneLine(error)}). ${advice}`, error);
  }
  const { latencySchema } = await import("./latency-schema.js");
  const parsed = latencySchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
  throw usageError(`--latency ${file} holds no cost of layers (${problems.join("; ")}). ${advice}`);
}

export async function writeLatency(file: string, model: LatencyModel): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(model, null, 2)}\n`);
}
