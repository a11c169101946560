// `search: auto` and `search: halving` of an experiment: rounds of trials, each decided on by what the rounds before it
// showed (rule.ts, teachers.ts) and trained by whatever processes are there. Begun anew it replays its rounds from the run
// folders and goes on where they end, so nothing about a search is saved but its budget.

import { setTimeout as sleep } from "node:timers/promises";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import { Diverged, modelError, usageError } from "../../errors/errors";
import { tryLockFolder } from "../../files/lock";
import { formatSeconds } from "../../messages/quantities";
import { Interrupted, type Reporter } from "../../messages/reporter";
import { counted } from "../../messages/words";
import type { Place } from "../../model/place";
import { byFork, type OpenSweep, openSweep, revisitedForks } from "../../recipes/sweep";
import { stopTrial, storedRun } from "../../recipes/trial/trial";
import { chooseWithin, layerAllowance } from "../../selection/budget";
import { type FrontPoint, frontOf } from "../../selection/front";
import { chooseTeacher } from "../../selection/teacher";
import type { RunContext } from "../../training/tracking/tracker";
import { describeSpec } from "../plan";
import type { Resolver } from "../resolve";
import { forgetBudget, type SearchBudget } from "./budget";
import { candidatesSeen, type Item, nextRound, type Seen, unitsTo } from "./rule";
import { advanceHalving, affordable, armsOf, beginHalving, halvingItems } from "./teachers";
import { markDiverged, type PlacedTrial, placedTrials, type SharedWork, seenAfter, sharedWork } from "./trials";

/** Milliseconds between two looks at what other processes have done. */
const POLL = 1000;

/** The share of the budget that finding teachers may take. */
const FOR_TEACHERS = 0.5;

export interface SearchRequest {
  readonly resolver: Resolver;
  /** Of `auto`; null: `halving`, which trains every student. */
  readonly budget: SearchBudget | null;
  /** The results' folder. */
  readonly out: string;
  /** What trains; null: what is missing is an error. */
  readonly work: (() => Promise<RunContext<Engine>>) | null;
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/** A choice on the front. */
export interface FrontChoice {
  readonly layers: number;
  /** Of the tasks: a fraction. */
  readonly average: number;
  readonly tasks: readonly (Place & { readonly task: string; readonly score: number | null })[];
}

export interface SearchOutcome {
  readonly front: readonly FrontChoice[];
  /** Units. */
  readonly spent: number;
  readonly rounds: number;
  /** Trials that were begun, and those of them that were finished. */
  readonly begun: number;
  readonly finished: number;
}

/** What is known of a search while its rounds go by. */
interface SearchState extends SearchRequest {
  readonly seen: Map<number, Seen>;
  readonly tasks: readonly string[];
  trials: PlacedTrial[];
  shared: SharedWork | null;
  /** Of each task and recipe what its trials share, open as long as the search: trunk and teacher are computed once. */
  readonly opened: Map<string, OpenSweep>;
  spent: number;
  rounds: number;
  front: readonly FrontPoint[];
}

/**
 * Goes through the rounds of a search to their end.
 * @throws Interrupted with the states saved; usageError (2) for a budget too small for one teacher a task
 */
export async function runSearch(request: SearchRequest): Promise<SearchOutcome> {
  const { resolver } = request;
  const state: SearchState = {
    ...request,
    ...{
      seen: new Map(),
      tasks: resolver.experiment.tasks.map(({ name }) => name),
      trials: [],
      shared: null,
      opened: new Map(),
    },
    ...{ spent: 0, rounds: 0, front: [] },
  };
  try {
    return await goThrough(state);
  } finally {
    await closeAll(state);
  }
}

async function closeAll({ opened }: SearchState): Promise<void> {
  for (const sweep of opened.values()) await sweep.dispose();
  opened.clear();
}

async function goThrough(state: SearchState): Promise<SearchOutcome> {
  const { resolver, budget, reporter } = state;
  await findTeachers(state);
  await closeAll(state);
  const students = await placedTrials(
    resolver,
    resolver.trials.filter(({ recipe }) => recipe.makes === "students"),
  );
  state.trials = [...state.trials, ...students];
  const shared = await sharedWork(resolver, state.trials);
  // The trunk that teachers stood on is computed again for what goes on of them.
  state.shared = shared;
  if (!budget && students.length > 0)
    await round(
      state,
      students.map((trial) => ({ trial, until: null })),
    );
  while (budget) {
    const items = nextRound({
      ...{ tasks: state.tasks, trials: state.trials, seen: state.seen, shared: shared.units, seed: budget.seed },
      left: budget.units - state.spent,
      totalLayers: resolver.base.config.numHiddenLayers,
    });
    if (items.length === 0) break;
    await round(state, items);
  }
  const begun = state.trials.filter(({ index }) => state.seen.has(index));
  const finished = begun.filter(({ index }) => state.seen.get(index)?.done);
  if (state.work) for (const trial of begun) if (!finished.includes(trial)) await stop(trial, state);
  const { spent, rounds } = state;
  const share = budget ? `, ${((100 * spent) / budget.units).toFixed(0)} % of the budget` : "";
  reporter.log(
    `search: ${counted(rounds, "round")}${share}; ${finished.length} of ${counted(state.trials.length, "trial")} finished, ` +
      `${begun.length - finished.length} stopped`,
  );
  return { front: choicesOf(state), spent, rounds, begun: begun.length, finished: finished.length };
}

/** What is chosen at each point of the front. */
function choicesOf({ tasks, trials, seen, front }: SearchState): FrontChoice[] {
  const pools = candidatesSeen(tasks, trials, seen);
  return front.map(({ layers, steps }) => {
    const chosen = chooseWithin(pools, layerAllowance(layers)) ?? [];
    return {
      layers,
      average: steps / 1e9 / tasks.length,
      tasks: chosen.map(({ fork, layers: own, score }, t) => ({ task: tasks[t] as string, fork, layers: own, score })),
    };
  });
}

/** Halves each task's fine-tunings, all tasks in step, until each has its teacher. */
async function findTeachers(state: SearchState): Promise<void> {
  const { resolver, budget, tasks } = state;
  const specs = resolver.trials.filter(({ recipe, place }) => recipe.makes === "teachers" && place.fork !== null);
  const all = await placedTrials(resolver, specs);
  state.trials = all;
  state.shared = await sharedWork(resolver, all);
  // With a budget the first seed stands for all: others come where they may move the front.
  const first = (trial: PlacedTrial) => !budget || trial.spec.seed === firstSeed(all, trial);
  const arms = tasks.map((task) => armsOf(all.filter((trial) => trial.task === task && first(trial))));
  const afforded = budget ? affordable(arms, FOR_TEACHERS * budget.units) : arms;
  let halvings = afforded.map(beginHalving);
  while (halvings.some(({ done }) => !done)) {
    const items = halvings.flatMap(halvingItems);
    if (state.rounds === 0) await requireBudget(state, items);
    await round(state, items);
    halvings = halvings.map((one) => (one.done ? one : advanceHalving(one, state.seen, resolver.experiment.chooseBy)));
  }
  for (const task of resolver.experiment.tasks) {
    const runs: StoredRun[] = [];
    for (const trial of all) {
      if (trial.task !== task.name || !state.seen.get(trial.index)?.done) continue;
      const run = await storedRun(trial.found.trial);
      if (run?.record.state === "finished") runs.push(run);
    }
    const sorted = runs.toSorted((a, b) => (a.folder < b.folder ? -1 : 1));
    const teacher = chooseTeacher(sorted, resolver.experiment.chooseBy);
    if (!teacher) throw modelError(`every fine-tuning of ${task.name} diverged. Give a lower learning_rate`);
    resolver.fixTeacher(task, teacher);
  }
}

const firstSeed = (trials: readonly PlacedTrial[], { task, place, setting }: PlacedTrial): number | undefined =>
  trials.find((one) => one.task === task && one.place.fork === place.fork && one.setting === setting)?.spec.seed;

const unitsOf = (items: readonly Item[], seen: ReadonlyMap<number, Seen>, shared: SharedWork | null): number =>
  items.reduce(
    (sum, { trial, until }) => sum + unitsTo(trial, seen.get(trial.index), until),
    shared?.units(items) ?? 0,
  );

/** One teacher a task is the least that a search makes. */
async function requireBudget({ budget, shared, seen, out }: SearchState, items: readonly Item[]): Promise<void> {
  if (!budget) return;
  const units = unitsOf(items, seen, shared);
  if (units <= budget.units) return;
  await forgetBudget(out);
  throw usageError(
    `a budget of ${formatSeconds(budget.seconds)} is too small: one teacher a task takes about ` +
      `${formatSeconds(units / budget.unitsPerSecond)}. Give more, or fewer tasks`,
  );
}

/** Has the items trained, takes note of what they show, and says where the front is now. */
async function round(state: SearchState, items: readonly Item[]): Promise<void> {
  const { seen, shared } = state;
  const units = unitsOf(items, seen, shared);
  const before = new Map(seen);
  await complete(state, items);
  for (const { trial, until } of items) {
    const shown = await seenAfter(state.out, trial as PlacedTrial, until);
    if (!shown) throw new Error(`trial ${trial.index} is not as far as its round left it`);
    seen.set(trial.index, shown);
  }
  shared?.paid(items);
  state.spent += units;
  state.rounds += 1;
  tellRound(state, items, before);
}

/** Trains items until all are done, whoever does it. */
async function complete(state: SearchState, items: readonly Item[]): Promise<void> {
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

function groupsOf(items: readonly Item[]): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const { spec } = item.trial as PlacedTrial;
    const key = `${spec.recipe.method} ${spec.task.name}`;
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return [...groups.values()];
}

/** Trains what nobody else has of one task and recipe, over one trunk; whether there was any. */
async function trainGroup(state: SearchState, group: readonly Item[], context: RunContext<Engine>): Promise<boolean> {
  const items = new Map(group.map((item) => [(item.trial as PlacedTrial).found, item]));
  let worked = false;
  for (const found of byFork([...items.keys()])) {
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

function tellRound(state: SearchState, items: readonly Item[], before: ReadonlyMap<number, Seen>): void {
  const { tasks, trials, seen, reporter, budget, resolver } = state;
  const share = budget ? `, ${((100 * state.spent) / budget.units).toFixed(1)} % of the budget` : "";
  const fresh = items.filter(({ trial }) => !before.has(trial.index)).length;
  reporter.log(`round ${state.rounds}: ${counted(items.length, "trial")}, ${fresh} of them new${share}`);
  const pools = candidatesSeen(tasks, trials, seen);
  if (pools.some(({ candidates }) => candidates.length === 0)) return;
  const { useful: points } = frontOf(pools, resolver.base.config.numHiddenLayers);
  if (JSON.stringify(points) === JSON.stringify(state.front)) return;
  state.front = points;
  reporter.log(`front: ${points.map((point) => describePoint(point, tasks.length)).join(", ")}`);
}

/** "12 layers 78.1": the average of the tasks. */
export const describePoint = ({ layers, steps }: FrontPoint, tasks: number): string =>
  `${counted(layers, "layer")} ${(steps / 1e7 / tasks).toFixed(1)}`;

/** Leaves a begun trial marked as stopped, so that nothing takes it for one that still runs. */
async function stop(trial: PlacedTrial, { seen }: SearchState): Promise<void> {
  const run = await storedRun(trial.found.trial);
  if (run?.record.state !== "running") return;
  const scores = seen.get(trial.index)?.scores ?? [];
  const defined = scores.flatMap((score) => score ?? []);
  const score = defined.length === 0 ? null : Math.max(...defined);
  await stopTrial(run, { search: "auto", epoch: scores.length, score });
}
