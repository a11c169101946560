// The plan with what is known about each trial now: its id, how far it is, what it takes. Trains nothing.

import { existsSync } from "node:fs";
import { readRecord } from "../checkpoints/runs/run-folder";
import { isLocked } from "../files/lock";
import { placeOf } from "../model/place";
import type { Recipe } from "../recipes/recipe";
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
import type { TrialSpec, Trials } from "./plan";
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

/** What is left of trials, in sums. */
export interface LeftWork {
  /** Trials, those with work left, and those of them that wait for their teacher. */
  readonly count: number;
  readonly open: number;
  readonly waiting: number;
  /** Frozen layers and teachers' outputs, once a group with work left. */
  readonly sharedFlops: number;
  /** Of the trials and the shared work that are left. */
  readonly openFlops: number;
  /** What the trials that are left add to the disk, with one state and the largest spilled trunk cache. */
  readonly openBytes: number;
}

export interface Listing extends LeftWork {
  readonly trials: readonly ListedTrial[];
}

/** Reads and encodes the data of every task in `specs`. */
export async function listWork(resolver: Resolver, specs: Trials): Promise<Listing> {
  const trials: ListedTrial[] = [];
  const left = await passWork(resolver, specs, (trial) => void trials.push(trial));
  return { trials, ...left };
}

/** The same for any number of trials: none is held. @param onTrial hears each, in its order */
export async function passWork(
  resolver: Resolver,
  specs: Trials,
  onTrial: (trial: ListedTrial) => void,
): Promise<LeftWork> {
  const counts = { count: 0, open: 0, waiting: 0 };
  let [ownFlops, sharedFlops, ownBytes, largest, spilled] = [0, 0, 0, 0, 0];
  let group: GroupWork | null = null;
  const endGroup = async () => {
    const shared = await group?.shared();
    sharedFlops += shared?.flops ?? 0;
    spilled = Math.max(spilled, shared?.spilled ?? 0);
  };
  for (const spec of specs) {
    if (group?.task !== spec.task || group.recipe !== spec.recipe) {
      await endGroup();
      group = groupWork(resolver, spec);
    }
    const trial = await listTrial(resolver, spec);
    counts.count++;
    if (isOpen(trial)) counts.open++;
    if (trial.state === "waiting") counts.waiting++;
    if (isOpen(trial) && group.isNew(trial)) {
      ownFlops += trial.flops;
      ownBytes += trial.bytes;
      largest = Math.max(largest, trial.bytes);
    }
    onTrial(trial);
  }
  await endGroup();
  return { ...counts, sharedFlops, openFlops: sharedFlops + ownFlops, openBytes: 8 * largest + spilled + ownBytes };
}

/** What the open trials of one task in one step share. */
interface GroupWork extends Pick<TrialSpec, "task" | "recipe"> {
  /** Hears of each open trial; false for one that another number has too. */
  isNew(trial: ListedTrial): boolean;
  /** Operations that are done once, and bytes on the disk beyond the budget of memory. */
  shared(): Promise<{ readonly flops: number; readonly spilled: number }>;
}

function groupWork(resolver: Resolver, { task, recipe }: TrialSpec): GroupWork {
  const { base } = resolver;
  let some = false;
  let teacher: ListedTrial["teacher"] = null;
  /** Numbers, or the teacher's. */
  const forks = new Set<TrialSpec["place"]["fork"]>();
  /** Different texts without labels of trials with work left. */
  const transfers = new Map<string, Transferred>();
  /** Trials on the teacher's fork: one that was asked for may be it, which was asked for too. */
  const onTeachers = new Set<string>();
  return {
    task,
    recipe,
    isNew(trial) {
      const { transfer, spec, folder } = trial;
      some = true;
      teacher ??= trial.teacher;
      forks.add(spec.place.fork);
      if (transfer) transfers.set(`${transfer.sha256} ${transfer.rows}`, transfer);
      const { fork } = spec.place;
      if (folder === null || trial.teacher === null || (fork !== "teacher" && fork !== trial.teacher.fork)) return true;
      const known = onTeachers.has(folder);
      onTeachers.add(folder);
      return !known;
    },
    async shared() {
      if (!some) return { flops: 0, spilled: 0 };
      const data = await resolver.data(task);
      const asked = [...transfers.values()];
      let flops = trunkFlops(base, data, sharedLayers(recipe, [...forks], teacher, base.config.numHiddenLayers));
      for (const one of asked) flops += transferFlops(base, data, one, base.config.numHiddenLayers);
      const texts = Math.max(0, ...asked.map((one) => transferBytes(base, data, one)));
      return { flops, spilled: Math.max(0, cacheBytes(base, data) + texts - resolver.run(task).cacheBudget) };
    },
  };
}

const isOpen = ({ state }: Pick<ListedTrial, "state">) => state !== "finished" && state !== "unneeded";

/**
 * Branches run the layers below their deepest fork once; students' teacher its own beside them. One that is not chosen yet
 * has all: what it lacks of its own is trunk under the students that stand on its fork.
 */
function sharedLayers(
  { makes }: Recipe,
  asked: readonly TrialSpec["place"]["fork"][],
  teacher: ListedTrial["teacher"],
  total: number,
): number {
  const forks = asked.map((fork) => (fork === "teacher" ? (teacher?.fork ?? 0) : (fork ?? 0)));
  const deepest = Math.max(0, ...forks);
  if (makes === "teachers") return deepest;
  return Math.max(deepest, teacher?.fork ?? 0) + (teacher?.layers ?? total);
}

async function listTrial(resolver: Resolver, spec: TrialSpec): Promise<ListedTrial> {
  const { base } = resolver;
  const { task, place: asked } = spec;
  const found = await resolver.resolve(spec);
  // The work of a student does not depend on its fork, which may not be known before its teacher is.
  const { numHiddenLayers: total } = base.config;
  const waiting = asked.fork === null ? { fork: null, layers: asked.layers } : placeOf(total, asked.layers);
  const place = found.kind === "trial" ? found.settings.place : waiting;
  const transfer = found.kind === "trial" ? found.settings.transfer : spec.transfer;
  const cost = estimateTrial({ ...spec, base, place, data: await resolver.data(task), transfer });
  const common = { spec, ...cost, bytes: 4 * cost.stored };
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
