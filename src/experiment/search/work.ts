// The work of a round: its trials trained by whatever processes are there, each claimed by the lock of its folder.

import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../engines/engine";
import { Diverged, modelError } from "../../errors/errors";
import { tryLockFolder } from "../../files/lock";
import { Interrupted } from "../../messages/reporter";
import { inOrder, openSweep, revisitedForks } from "../../recipes/sweep";
import { stopTrial, storedRun } from "../../recipes/trial/trial";
import { groupBy } from "../../selection/group-by";
import type { RunContext } from "../../training/tracking/tracker";
import { describeSpec } from "../plan";
import type { Item } from "./rule";
import type { SearchState } from "./state";
import { markDiverged, type PlacedTrial, seenAfter } from "./trials";

/** Milliseconds between two looks at what other processes have done. */
const POLL = 1000;

/** Trains items until all are done, whoever does it. */
export async function complete(state: SearchState, items: readonly Item[]): Promise<void> {
  for (;;) {
    const open: Item[] = [];
    for (const item of items) {
      if (!(await seenAfter(state.out, item.trial as PlacedTrial, item.until))) open.push(item);
    }
    if (open.length === 0) return;
    if (state.signal.aborted) throw new Interrupted(null);
    if (!state.work) {
      const { file } = state.resolver.experiment;
      throw modelError(`the search is not at its end. Run: flexbert run ${file}, with the same --out`);
    }
    const context = await state.work();
    let worked = false;
    for (const group of groupsOf(open)) if (await trainGroup(state, group, context)) worked = true;
    if (!worked) await sleep(POLL, undefined, { signal: state.signal }).catch(() => undefined);
  }
}

const groupsOf = (items: readonly Item[]): Item[][] => {
  const groups = groupBy(items, ({ trial }) => {
    const { recipe, task } = (trial as PlacedTrial).spec;
    return `${recipe.method} ${task.name}`;
  });
  return [...groups.values()];
};

/** Trains what nobody else has of one task and recipe, over one trunk; whether there was any. */
async function trainGroup(state: SearchState, group: readonly Item[], context: RunContext<Engine>): Promise<boolean> {
  const items = new Map(group.map((item) => [(item.trial as PlacedTrial).found, item]));
  let worked = false;
  for (const found of inOrder([...items.keys()])) {
    const item = items.get(found) as Item;
    const trial = item.trial as PlacedTrial;
    const label = `trial ${trial.index}, ${describeSpec(trial.spec)}`;
    const claim = await tryLockFolder(found.trial.folder, label);
    if ("heldBy" in claim) continue;
    try {
      worked = true;
      if (await seenAfter(state.out, trial, item.until)) continue;
      const sweep = openedFor(state, trial, context);
      await sweep.train(found, { label, force: false, until: item.until ?? undefined, locked: true });
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      context.reporter.warn(error.message);
      await markDiverged(state.out, trial, error);
    } finally {
      await claim.unlock();
    }
  }
  return worked;
}

/** With every fork that the task's trials of the recipe may ask for, and its share of the memory for activations. */
function openedFor({ opened, trials, tasks, resolver }: SearchState, trial: PlacedTrial, context: RunContext<Engine>) {
  const { recipe, task } = trial.spec;
  const key = `${recipe.method} ${task.name}`;
  const known = opened.get(key);
  if (known) return known;
  const run = resolver.run(task);
  const own = trials.filter(({ spec }) => spec.recipe === recipe && spec.task === task).map(({ found }) => found);
  const share = { ...run, cacheBudget: run.cacheBudget / tasks.length };
  const { sweep } = trial.found;
  const made = openSweep(sweep, share, context, revisitedForks(own, sweep.teacher, true));
  opened.set(key, made);
  return made;
}

/** Gives back what the trials of tasks shared. */
export async function closeAll({ opened }: SearchState): Promise<void> {
  for (const sweep of opened.values()) await sweep.dispose();
  opened.clear();
}

/** Leaves a begun trial marked as stopped, so that nothing takes it for one that still runs. */
export async function stop(trial: PlacedTrial, { seen }: SearchState): Promise<void> {
  const run = await storedRun(trial.found.trial);
  if (run?.record.state !== "running") return;
  const scores = seen.get(trial.index)?.scores ?? [];
  const defined = scores.flatMap((score) => score ?? []);
  const score = defined.length === 0 ? null : Math.max(...defined);
  await stopTrial(run, { search: "auto", epoch: scores.length, score });
}
