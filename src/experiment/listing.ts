// The plan with what is known about each trial now: its id, how far it is, what it takes. Trains nothing.

import { existsSync } from "node:fs";
import { readRecord } from "../checkpoints/runs/run-folder";
import { isLocked } from "../files/lock";
import { placeOf } from "../model/place";
import {
  cacheBytes,
  estimateTrial,
  type Transferred,
  type TrialEstimate,
  transferBytes,
  transferFlops,
  trunkFlops,
} from "../recipes/trial/estimate";
import type { TransferTexts } from "../recipes/trial/transfer";
import type { TrialGroup, TrialSpec } from "./plan";
import { groupTrials } from "./plan";
import type { Resolver } from "./resolve";

/**
 * open: not begun; stopped: a saved state to go on from; running: a process has it; waiting: its teacher is not chosen
 * yet; unneeded: its teacher is no larger than the student would be.
 */
export type TrialState = "open" | "stopped" | "running" | "finished" | "waiting" | "unneeded";

export interface ListedTrial extends TrialEstimate {
  readonly spec: TrialSpec;
  /** null until a student's teacher is chosen. */
  readonly id: string | null;
  readonly folder: string | null;
  readonly teacher: { readonly id: string; readonly layers: number; readonly fork: number | null } | null;
  readonly state: TrialState;
  /** Texts without labels that it learns from, once they are known. */
  readonly transfer?: Pick<TransferTexts, "sha256" | "rows" | "share">;
  /** Of its branch's file; while it trains, its state takes about eight times as much. */
  readonly bytes: number;
}

export interface Listing {
  readonly trials: readonly ListedTrial[];
  /** Frozen layers and teachers' outputs, once a group with work left. */
  readonly sharedFlops: number;
  /** Of the trials and the shared work that are left. */
  readonly openFlops: number;
  /** What the trials that are left add to the disk, with one state and the largest spilled trunk cache. */
  readonly openBytes: number;
}

/** Reads and encodes the data of every task in `specs`. */
export async function listWork(resolver: Resolver, specs: readonly TrialSpec[]): Promise<Listing> {
  const trials: ListedTrial[] = [];
  let sharedFlops = 0;
  let spilled = 0;
  for (const group of groupTrials(specs)) {
    const listed: ListedTrial[] = [];
    for (const spec of group.trials) listed.push(await listTrial(resolver, spec));
    trials.push(...listed);
    if (!listed.some(isOpen)) continue;
    const data = await resolver.data(group.task);
    const transfers = transfersOf(listed);
    const { base } = resolver;
    sharedFlops += trunkFlops(base, data, sharedLayers(resolver, group, listed));
    for (const one of transfers) sharedFlops += transferFlops(base, data, one, base.config.numHiddenLayers);
    const texts = Math.max(0, ...transfers.map((one) => transferBytes(base, data, one)));
    spilled = Math.max(spilled, cacheBytes(base, data) + texts - resolver.run(group.task).cacheBudget);
  }
  // A fork that was asked for may be the teacher's, which was asked for too: one trial with two numbers.
  const byPlace = new Map(trials.filter(isOpen).map((trial) => [trial.folder ?? trial.spec.index, trial]));
  const open = [...byPlace.values()];
  const largest = Math.max(0, ...open.map(({ bytes }) => bytes));
  return {
    trials,
    sharedFlops,
    openFlops: open.reduce((sum, { flops }) => sum + flops, sharedFlops),
    openBytes: open.reduce((sum, { bytes }) => sum + bytes, 8 * largest + spilled),
  };
}

/** Different texts without labels of trials with work left. */
function transfersOf(listed: readonly ListedTrial[]): Transferred[] {
  const asked = listed.filter(isOpen).flatMap(({ transfer }) => transfer ?? []);
  return [...new Map(asked.map((one) => [`${one.sha256} ${one.rows}`, one])).values()];
}

const isOpen = ({ state }: Pick<ListedTrial, "state">) => state !== "finished" && state !== "unneeded";

/**
 * Branches run the layers below their deepest fork once; students' teacher its own beside them. One that is not chosen yet
 * has all: what it lacks of its own is trunk under the students that stand on its fork.
 */
function sharedLayers({ base }: Resolver, { recipe }: TrialGroup, listed: readonly ListedTrial[]): number {
  const open = listed.filter(isOpen);
  const own = open.find(({ teacher }) => teacher)?.teacher ?? null;
  const forks = open.map(({ spec }) => (spec.place.fork === "teacher" ? (own?.fork ?? 0) : (spec.place.fork ?? 0)));
  const deepest = Math.max(0, ...forks);
  if (recipe.makes === "teachers") return deepest;
  return Math.max(deepest, own?.fork ?? 0) + (own?.layers ?? base.config.numHiddenLayers);
}

async function listTrial(resolver: Resolver, spec: TrialSpec): Promise<ListedTrial> {
  const { base } = resolver;
  const { task, training, place: asked } = spec;
  const found = await resolver.resolve(spec);
  // The work of a student does not depend on its fork, which may not be known before its teacher is.
  const place = found.kind === "trial" ? found.settings.place : placeOf(base.config.numHiddenLayers, asked.layers);
  const transfer = found.kind === "trial" ? found.settings.transfer : spec.transfer;
  const cost = estimateTrial({ base, place, data: await resolver.data(task), training, task, transfer });
  const common = { spec, ...cost, bytes: 4 * cost.trainable };
  if (found.kind !== "trial") return { ...common, id: null, folder: null, teacher: null, state: found.kind };
  const { trial } = found;
  const { teacher } = found.sweep;
  return {
    ...common,
    ...(found.settings.transfer ? { transfer: found.settings.transfer } : {}),
    id: trial.record.id,
    folder: trial.folder,
    teacher: teacher ? { id: teacher.record.id, layers: teacher.record.layers, fork: teacher.record.fork } : null,
    state: await stateOf(resolver, spec, trial.folder),
  };
}

async function stateOf(resolver: Resolver, spec: TrialSpec, folder: string): Promise<TrialState> {
  if (!existsSync(folder)) return "open";
  const record = await readRecord(folder);
  if (record?.state === "finished" && resolver.counts(spec, record)) return "finished";
  if (await isLocked(folder)) return "running";
  return record && record.state !== "finished" && resolver.counts(spec, record) ? "stopped" : "open";
}
