// What a sweep would do, without doing it.

import type { Place } from "../model/place";
import { halvedWork } from "./halving/rule";
import { plannedTrials, type Sweep } from "./sweep";
import {
  cacheBytes,
  estimateTrial,
  type TrialEstimate,
  transferBytes,
  transferFlops,
  trunkFlops,
} from "./trial/estimate";
import { finishedRun, type SweepTrial } from "./trial/trial";
import type { SweepSettings } from "./trial/variants";

export interface PlannedTrial extends Place, TrialEstimate {
  readonly task: string;
  readonly folder: string;
  readonly seed: number;
  readonly finished: boolean;
}

export interface SweepPlan {
  readonly trials: readonly PlannedTrial[];
  /** Work of the frozen layers, once for the whole sweep. */
  readonly trunkFlops: number;
  /** Trunk activations of train and dev rows. */
  readonly cacheBytes: number;
  /** With halving: work of the trials that are not finished, between the two of these; the trunk is not in them. */
  readonly halved?: { readonly least: number; readonly most: number };
}

/** The trials that runSweep would run. Reads and encodes the data; computes nothing. */
export async function planSweep(sweep: Sweep): Promise<SweepPlan> {
  const { settings, trials } = await plannedTrials(sweep);
  const planned: PlannedTrial[] = [];
  for (const trial of trials) planned.push(await planTrial(trial, sweep.run.force));
  const shared = sharedWork(planned, settings);
  const halved = sweep.halving ? { halved: halvedTrials(planned, sweep.training.epochs) } : {};
  return { trials: planned, ...shared, ...halved };
}

async function planTrial({ trial, settings }: SweepTrial, force: boolean): Promise<PlannedTrial> {
  const { task, place, seed } = settings;
  const finished = (await finishedRun(trial, force)) !== null;
  return { task: task.name, folder: trial.folder, ...place, seed, finished, ...estimateTrial(settings) };
}

/** Texts without labels pass the teacher too: of it the trunk of its students is the smaller part. */
function sharedWork(
  trials: readonly PlannedTrial[],
  { base, data, teacher, transfers }: SweepSettings,
): Pick<SweepPlan, "trunkFlops" | "cacheBytes"> {
  // A whole student has no trunk under it; its teacher may.
  const open = trials.filter(({ finished, fork }) => !finished && (fork !== null || (teacher?.record.fork ?? 0) > 0));
  if (open.length === 0) return { trunkFlops: 0, cacheBytes: 0 };
  const first = teacher?.record.fork ?? 0;
  const forks = new Set(open.map(({ fork }) => fork ?? 0));
  const deepest = Math.max(first, ...forks);
  // Students' forks under their teacher's are kept while its outputs are computed.
  const stores = 1 + [...forks].filter((fork) => fork < first).length;
  const texts = [...(transfers?.values() ?? [])];
  const layers = deepest + (teacher?.record.layers ?? 0);
  return {
    trunkFlops: texts.reduce(
      (sum, one) => sum + transferFlops(base, data, one, layers),
      trunkFlops(base, data, deepest),
    ),
    cacheBytes: texts.reduce(
      (sum, one) => sum + stores * transferBytes(base, data, one),
      stores * cacheBytes(base, data),
    ),
  };
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
