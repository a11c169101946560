// The rule of `search: auto` (docs/method.md): which trials go on next. It is a function of recorded scores, of units and
// of the search's seed, and of nothing else: every process that reads the same runs comes to the same rounds.

import { sha256Hex } from "../../files/hash";
import type { Place } from "../../model/place";
import type { Candidate, TaskCandidates } from "../../selection/candidate";
import { type Front, frontOf } from "../../selection/front";
import { groupBy } from "../../selection/group-by";
import { pooledNoise } from "../../selection/noise";

/** A trial that a search may train, once its place is known. */
export interface SearchTrial {
  /** In the plan. */
  readonly index: number;
  readonly task: string;
  readonly makes: "teachers" | "students";
  readonly place: Place;
  /** All that may differ between two trials of one place, the seed apart. */
  readonly setting: string;
  readonly epochs: number;
  /** Layers times tokens of an epoch. */
  readonly unitsPerEpoch: number;
}

/** What the search has seen of a trial: what lies beyond its rounds does not count, whatever is on the disk. */
export interface Seen {
  /** Dev scores by epoch. */
  readonly scores: readonly (number | null)[];
  /** Trained to its end. */
  readonly done: boolean;
}

/** A trial and the epoch to which it goes on; null: to its end. */
export interface Item {
  readonly trial: SearchTrial;
  readonly until: number | null;
}

/** Trials of one round: they are decided on together, and may be trained in any order by any process. */
export const ROUND = 8;
/** One of so many is a trial that has lost its promise: what it does in the end says how far promises can be trusted. */
const HOPE = 4;
/** What a seed is taken to change, a fraction, where no place has two seeds; and another setting, where no place has two. */
const UNKNOWN_NOISE = 0.005;
const UNKNOWN_SETTING = 0.05;

const bestOf = (scores: readonly (number | null)[]): number | null =>
  scores.reduce<number | null>(
    (best, score) => (score !== null && (best === null || score > best) ? score : best),
    null,
  );

/** The next epoch at which a trial is looked at: 1, 4, 16, ...; null where that is its end. */
export function nextRung({ epochs }: SearchTrial, seen: Seen | undefined): number | null {
  const behind = seen?.scores.length ?? 0;
  let rung = 1;
  while (rung <= behind) rung *= 4;
  return rung >= epochs ? null : rung;
}

/** Units from where a trial stands to an epoch, or to its end. */
export function unitsTo(trial: SearchTrial, seen: Seen | undefined, until: number | null): number {
  return Math.max(0, (until ?? trial.epochs) - (seen?.scores.length ?? 0)) * trial.unitsPerEpoch;
}

/** The finished trials as candidates, by task. */
export function candidatesSeen(
  tasks: readonly string[],
  trials: readonly SearchTrial[],
  seen: ReadonlyMap<number, Seen>,
): TaskCandidates[] {
  return tasks.map((task) => ({
    task,
    candidates: trials.flatMap((trial): Candidate[] => {
      const known = trial.task === task ? seen.get(trial.index) : undefined;
      if (!known?.done) return [];
      const role = trial.makes === "teachers" ? "fine-tuned" : "student";
      return [{ role, ...trial.place, score: bestOf(known.scores) }];
    }),
  }));
}

export interface RoundRequest {
  readonly tasks: readonly string[];
  readonly trials: readonly SearchTrial[];
  readonly seen: ReadonlyMap<number, Seen>;
  /** Units of the budget that are not spent. */
  readonly left: number;
  /** Units of trunk and teacher that a set of items takes beside their own, and that no round before has taken. */
  readonly shared: (items: readonly Item[]) => number;
  readonly totalLayers: number;
  readonly seed: number;
}

/** The items of the next round; none where nothing that the budget can finish may move the front. */
export function nextRound(request: RoundRequest): Item[] {
  const { tasks, trials, seen, totalLayers, seed } = request;
  const front = frontOf(candidatesSeen(tasks, trials, seen), totalLayers);
  const open = trials.filter(({ index }) => !seen.get(index)?.done);
  const promises = promisesOf(trials, seen);
  const judged = open.map((trial) => {
    const hope = gainAt(front, tasks, trial, promises.cap(trial));
    return { trial, gain: gainAt(front, tasks, trial, promises.of(trial)), hope, luck: luckOf(seed, trial.index) };
  });
  const order = (value: (one: (typeof judged)[number]) => number) => {
    const rate = (one: (typeof judged)[number]) =>
      value(one) / Math.max(1, unitsTo(one.trial, seen.get(one.trial.index), null));
    return judged
      .filter((one) => value(one) > 0)
      .toSorted((a, b) => rate(b) - rate(a) || (a.luck < b.luck ? -1 : 1))
      .map(({ trial }) => trial);
  };
  const promising = order(({ gain }) => gain);
  const lost = order(({ gain, hope, trial }) => (gain > 0 || !seen.has(trial.index) ? 0 : hope));
  return fill(promising, lost, request);
}

function gainAt(front: Front, tasks: readonly string[], { task, place }: SearchTrial, score: number | null): number {
  return score === null || place.fork === null ? 0 : front.gain(tasks.indexOf(task), place, score);
}

/** Takes from the promising ones, and of four one that has lost its promise, while the budget can finish all of them. */
function fill(promising: readonly SearchTrial[], lost: readonly SearchTrial[], request: RoundRequest): Item[] {
  const { seen, left, shared } = request;
  const items: Item[] = [];
  const takeFirst = (from: readonly SearchTrial[]): boolean => {
    for (const trial of from) {
      // A place gets one trial a round: what it shows decides on its other seeds and settings.
      if (items.some((item) => isSamePlace(item.trial, trial))) continue;
      const item = { trial, until: nextRung(trial, seen.get(trial.index)) };
      const more = [...items, item];
      const toEnd = more.reduce((sum, one) => sum + unitsTo(one.trial, seen.get(one.trial.index), null), shared(more));
      if (toEnd > left) continue;
      items.push(item);
      return true;
    }
    return false;
  };
  while (items.length < ROUND) {
    if (items.length % HOPE === HOPE - 1 && takeFirst(lost)) continue;
    if (!takeFirst(promising)) break;
  }
  return items;
}

const isSamePlace = (a: SearchTrial, b: SearchTrial) =>
  a.task === b.task && a.makes === b.makes && a.place.fork === b.place.fork && a.place.layers === b.place.layers;

/** What each open trial may still reach; null: it waits for another of its place. */
interface Promises {
  of(trial: SearchTrial): number | null;
  /** The most that anything of its task has reached. */
  cap(trial: SearchTrial): number | null;
}

function promisesOf(trials: readonly SearchTrial[], seen: ReadonlyMap<number, Seen>): Promises {
  const begun = (trial: SearchTrial) => seen.get(trial.index);
  const caps = new Map<string, number | null>();
  const cap = ({ task }: SearchTrial): number | null => {
    if (!caps.has(task)) {
      const done = trials.filter((trial) => trial.task === task && begun(trial)?.done);
      caps.set(task, bestOf(done.map((trial) => bestOf(begun(trial)?.scores ?? []))));
    }
    return caps.get(task) as number | null;
  };
  const below = (trial: SearchTrial, value: number) => Math.min(cap(trial) ?? value, value);
  const ofBegun = (trial: SearchTrial): number | null => {
    const scores = begun(trial)?.scores ?? [];
    const rise = riseOf(trial, scores.length, trials, seen);
    return rise === null ? cap(trial) : below(trial, (bestOf(scores) ?? -1) + rise);
  };
  return {
    cap,
    of(trial) {
      if (begun(trial)) return ofBegun(trial);
      const beside = trials.filter((other) => other !== trial && isSamePlace(other, trial) && begun(other));
      const alike = beside.filter(({ setting }) => setting === trial.setting);
      if (alike.length > 0) {
        const done = alike.filter((other) => begun(other)?.done);
        const best = bestOf(done.map((other) => bestOf(begun(other)?.scores ?? [])));
        return best === null ? null : best + noiseOf(trial, trials, seen);
      }
      if (beside.length === 0) return cap(trial);
      const reach = bestOf(
        beside.map((other) => (begun(other)?.done ? bestOf(begun(other)?.scores ?? []) : ofBegun(other))),
      );
      return reach === null ? cap(trial) : below(trial, reach + settingsDiffer(trial, trials, seen));
    },
  };
}

/**
 * The most that a finished trial of the task rose after its first `epochs` epochs: of its own kind, else of any; null where
 * none is finished.
 */
function riseOf(
  { task, makes }: SearchTrial,
  epochs: number,
  trials: readonly SearchTrial[],
  seen: ReadonlyMap<number, Seen>,
): number | null {
  const done = trials.filter((trial) => trial.task === task && seen.get(trial.index)?.done);
  const own = done.filter((trial) => trial.makes === makes);
  const rises = (own.length > 0 ? own : done).map(({ index }) => {
    const scores = seen.get(index)?.scores ?? [];
    return (bestOf(scores) ?? -1) - (bestOf(scores.slice(0, epochs)) ?? -1);
  });
  return rises.length === 0 ? null : Math.max(...rises);
}

/** A finished trial with a score. */
interface Scored {
  readonly trial: SearchTrial;
  readonly score: number;
}

const placeKey = ({ trial: { makes, place } }: Scored) => `${makes} ${place.fork} ${place.layers}`;

function scoredOf(
  { task }: SearchTrial,
  trials: readonly SearchTrial[],
  seen: ReadonlyMap<number, Seen>,
): readonly Scored[] {
  return trials.flatMap((trial) => {
    const known = trial.task === task ? seen.get(trial.index) : undefined;
    const score = known?.done ? bestOf(known.scores) : null;
    return score === null ? [] : [{ trial, score }];
  });
}

/** The pooled standard deviation of seeds, as selection has it. */
function noiseOf(trial: SearchTrial, trials: readonly SearchTrial[], seen: ReadonlyMap<number, Seen>): number {
  const groups = groupBy(scoredOf(trial, trials, seen), (one) => `${placeKey(one)} ${one.trial.setting}`);
  return pooledNoise([...groups.values()].map((group) => group.map(({ score }) => score)))?.sd ?? UNKNOWN_NOISE;
}

/** The most by which finished settings of one place differ in the task. */
function settingsDiffer(trial: SearchTrial, trials: readonly SearchTrial[], seen: ReadonlyMap<number, Seen>): number {
  const ranges = [...groupBy(scoredOf(trial, trials, seen), placeKey).values()].flatMap((group) => {
    if (new Set(group.map((one) => one.trial.setting)).size < 2) return [];
    const scores = group.map(({ score }) => score);
    return [Math.max(...scores) - Math.min(...scores)];
  });
  return ranges.length === 0 ? UNKNOWN_SETTING : Math.max(...ranges);
}

/** Breaks ties: by the search's seed, not by the plan's order. */
const luckOf = (seed: number, index: number): string => sha256Hex(`${seed} ${index}`);
