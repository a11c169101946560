// A base model into the cache.

import type { PullOptions as DownloadOptions, PulledModel, PullPlan } from "../checkpoints/pull/pull";
import { type Given, readGiven } from "../options/given";
import { baseOptions } from "../settings/base";
import { offline } from "../settings/call";
import { type Call, type Caller, callOf } from "./caller";
import { fileProgress } from "./file-progress";

export const pullOptions = {
  ...offline,
  lowerCase: {
    ...baseOptions.lowerCase,
    help: "whether it lower-cases its input, where its files do not say; recorded with it",
  },
};

export type PullOptions = Given<typeof pullOptions>;

export interface PulledBase extends PulledModel {
  readonly name: string;
  readonly sha256: string;
  readonly layers: number;
  /** Width of a layer. */
  readonly hidden: number;
  readonly parameters: number;
}

/**
 * Fetches a base unless it is in the cache, such as google-bert/bert-base-uncased.
 * Throws UserError (4) for one that is missing, no BERT or has a wrong hash, (1) where the network fails.
 */
export async function pull(name: string, options: PullOptions = {}, caller: Caller = {}): Promise<PulledBase> {
  const { offline: stays, lowerCase } = readGiven(pullOptions, options);
  const { folder, source } = await pullFiles(name, { offline: stays, lowerCase }, callOf(caller));
  const { openBase } = await import("../checkpoints/bases/base.js");
  const { config, sha256, tensors } = await openBase(name);
  const parameters = Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
  const { numHiddenLayers: layers, hiddenSize: hidden } = config;
  return { name, folder, source, sha256, layers, hidden, parameters };
}

/** What {@link pull} would fetch, from where, and the room that it takes. Asks nobody, and writes nothing. */
export async function planPull(name: string, options: PullOptions = {}): Promise<PullPlan> {
  const { offline: stays, lowerCase } = readGiven(pullOptions, options);
  const { planPull: plan } = await import("../checkpoints/pull/pull.js");
  return plan(name, { offline: stays, lowerCase });
}

/** The files alone, with a bar for each. */
export async function pullFiles(
  name: string,
  options: Pick<DownloadOptions, "offline" | "lowerCase">,
  call: Call,
): Promise<PulledModel> {
  const { pull } = await import("../checkpoints/pull/pull.js");
  const progress = fileProgress(`${name} `, call);
  try {
    const onNote = (line: string) => call.reporter.log(line);
    return await pull(name, { ...options, signal: call.signal, onProgress: progress.onProgress, onNote });
  } finally {
    progress.end();
  }
}
