// `search: auto` and `search: halving` of an experiment: rounds of trials, each decided on by what the rounds before it
// showed (rule.ts, teachers.ts) and trained by whatever processes are there. Begun anew it replays its rounds from the run
// folders and goes on where they end, so nothing about a search is saved but its budget.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError, usageError } from "../../errors/errors";
import { formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import type { Place } from "../../model/place";
import { mayTeach } from "../../recipes/recipe";
import { storedRun } from "../../recipes/trial/trial";
import { chooseWithin, layerAllowance } from "../../selection/budget";
import { type FrontPoint, frontOf } from "../../selection/front";
import { chooseTeacher } from "../../selection/teacher";
import { forgetBudget } from "./budget";
import { candidatesSeen, type Item, nextRound, type Seen, unitsTo } from "./rule";
import type { SearchRequest, SearchState } from "./state";
import { advanceHalving, affordable, armsOf, beginHalving, halvingItems } from "./teachers";
import { type PlacedTrial, placedTrials, type SharedWork, seenAfter, sharedWork } from "./trials";
import { closeAll, complete, stop } from "./work";

/** The share of the budget that finding teachers may take. */
const FOR_TEACHERS = 0.5;

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

async function goThrough(state: SearchState): Promise<SearchOutcome> {
  const { resolver, budget, reporter } = state;
  await findTeachers(state);
  await closeAll(state);
  const students = await placedTrials(
    resolver,
    [...resolver.trials].filter(({ recipe }) => recipe.makes === "students"),
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
  const specs = [...resolver.trials].filter((spec) => mayTeach(spec) && spec.place.fork !== null);
  const all = await placedTrials(resolver, specs);
  state.trials = all;
  state.shared = await sharedWork(resolver, all);
  // With a budget the first seed stands for all: others come where they may move the front.
  const arms = tasks.map((task) =>
    armsOf(all.filter((trial) => trial.task === task)).map(({ trials }) => ({
      trials: budget ? trials.slice(0, 1) : trials,
    })),
  );
  const afforded = budget ? affordable(arms, FOR_TEACHERS * budget.units) : arms;
  let halvings = afforded.map(beginHalving);
  while (halvings.some(({ done }) => !done)) {
    const items = halvings.flatMap(halvingItems);
    if (state.rounds === 0) await requireBudget(state, items);
    await round(state, items);
    halvings = halvings.map((one) => (one.done ? one : advanceHalving(one, state.seen, resolver.experiment.chooseBy)));
  }
  for (const task of resolver.experiment.tasks) {
    const teacher = await chosenTeacher(state, task.name);
    if (!teacher) throw modelError(`every fine-tuning of ${task.name} diverged. Give a lower learning_rate`);
    const others = seedsToTeach(state, teacher);
    if (others.length > 0) await round(state, others);
    const runs = await finishedRuns(state, task.name);
    resolver.fixTeacher(task, chooseTeacher(runs, resolver.experiment.chooseBy) ?? teacher, runs);
  }
}

const chosenTeacher = async (state: SearchState, task: string): Promise<StoredRun | null> =>
  chooseTeacher(await finishedRuns(state, task), state.resolver.experiment.chooseBy);

/** A task's fine-tunings that the search has finished, in the order of folders: ties go by it, as everywhere. */
async function finishedRuns({ trials, seen }: SearchState, task: string): Promise<StoredRun[]> {
  const runs: StoredRun[] = [];
  for (const trial of trials) {
    if (trial.task !== task || !seen.get(trial.index)?.done) continue;
    const run = await storedRun(trial.found.trial);
    if (run?.record.state === "finished") runs.push(run);
  }
  return runs.toSorted((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** The other seeds of a teacher that students are to learn from, where they learn from several. */
function seedsToTeach({ resolver, trials, seen }: SearchState, teacher: StoredRun): Item[] {
  const { task } = teacher.record;
  const count = Math.max(
    1,
    ...[...resolver.trials].filter((spec) => spec.task.name === task).map((spec) => spec.teachers ?? 1),
  );
  const own = trials.find(({ found }) => found.trial.folder === teacher.folder);
  const alike = trials.filter((trial) => own && trial.task === task && isSameArm(trial, own));
  return alike.slice(0, count).flatMap((trial) => (seen.get(trial.index)?.done ? [] : [{ trial, until: null }]));
}

const isSameArm = (a: PlacedTrial, b: PlacedTrial) =>
  a.makes === b.makes && a.place.fork === b.place.fork && a.setting === b.setting;

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
