// The first part of a search: of each task's fine-tunings a successive halving (recipes/halving/rule.ts), all tasks in step,
// whose best is the task's teacher.

import { goingOn, halvedWork, type Rung, rungsOf, type SearchArm } from "../../recipes/halving/rule";
import { groupBy } from "../../selection/group-by";
import type { ChooseBy } from "../../settings/selection";
import type { Item, SearchTrial, Seen } from "./rule";

/** Trials that differ by the seed alone: they go on and stop together. */
export interface TeacherArm {
  readonly trials: readonly SearchTrial[];
}

/** Fine-tunings of one task as arms, in the plan's order. */
export function armsOf(trials: readonly SearchTrial[]): TeacherArm[] {
  const arms = groupBy(trials, ({ place, setting }) => `${place.fork} ${place.layers} ${setting}`);
  return [...arms.values()].map((group) => ({ trials: group }));
}

/**
 * The arms that the halving of every task begins with: as many as may take `units` at most, spread evenly over each task's
 * list; one a task at least. The first arm, of the most layers, is always there.
 */
export function affordable(tasks: readonly (readonly TeacherArm[])[], units: number): TeacherArm[][] {
  const most = Math.max(0, ...tasks.map((arms) => arms.length));
  for (let count = most; count > 1; count--) {
    const taken = tasks.map((arms) => spread(arms, count));
    if (taken.reduce((sum, arms) => sum + costOf(arms), 0) <= units) return taken;
  }
  return tasks.map((arms) => spread(arms, 1));
}

function spread<T>(items: readonly T[], count: number): T[] {
  if (count >= items.length) return [...items];
  if (count === 1) return items.slice(0, 1);
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T);
}

/** The most that halving these arms may take, ties apart. */
export function costOf(arms: readonly TeacherArm[]): number {
  const perEpoch = arms.map(({ trials }) => trials.reduce((sum, { unitsPerEpoch }) => sum + unitsPerEpoch, 0));
  return halvedWork(perEpoch, epochsOf(arms)).most;
}

const epochsOf = (arms: readonly TeacherArm[]): number =>
  Math.max(0, ...arms.flatMap(({ trials }) => trials.map(({ epochs }) => epochs)));

/** A task's halving as it stands. */
export interface Halving {
  readonly alive: readonly TeacherArm[];
  /** Rungs that are still to come; the end comes after them. */
  readonly rungs: readonly Rung[];
  readonly done: boolean;
}

export const beginHalving = (arms: readonly TeacherArm[]): Halving => ({
  alive: arms,
  rungs: rungsOf(arms.length, epochsOf(arms)),
  done: arms.length === 0,
});

/** What the next rung asks of the arms that are alive: those with as few epochs as that are trained to their end. */
export function halvingItems({ alive, rungs, done }: Halving): Item[] {
  if (done) return [];
  const [rung] = rungs;
  return alive.flatMap(({ trials }) =>
    trials.map((trial) => ({ trial, until: rung && rung.epoch < trial.epochs ? rung.epoch : null })),
  );
}

/** After the items of a rung were trained. */
export function advanceHalving({ alive, rungs }: Halving, seen: ReadonlyMap<number, Seen>, by: ChooseBy): Halving {
  const [rung, ...left] = rungs;
  if (!rung) return { alive, rungs: [], done: true };
  const standing = alive.map((arm): SearchArm & { readonly arm: TeacherArm } => ({
    arm,
    layers: arm.trials[0]?.place.layers ?? 0,
    scores: arm.trials.map(({ index }) => seen.get(index)?.scores ?? []),
  }));
  return { alive: goingOn(standing, rung, by).map(({ arm }) => arm), rungs: left, done: false };
}
