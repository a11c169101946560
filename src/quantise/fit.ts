// How much of a model can be int8: all of it, and where a task's score falls too far, less. First outliers are moved into the
// matrices of its branch, then of the trunk under it; then its worst weights stay float32, one after the other, until it
// holds. Each step is measured on the rows of the score before, and kept where less is lost.

import type { DecidedExits } from "../exits/exits";
import type { Int8Exits } from "../merge/folder/int8";
import { formatScore } from "../messages/quantities";
import { scope } from "../model/parameters";
import type { ServedTask } from "../predict/model";
import { compareLogits, type Difference, type Measured } from "./measure";
import { type Int8Plan, movedFactors, plainPlan } from "./packing";
import type { PieceModel } from "./pieces";
import { type FitModel, openTrials, type TrialOptions, type Trials } from "./trials";

export interface FitOptions extends TrialOptions {
  /** Points that a task's score may lose. */
  readonly maxDrop: number;
  /** What is int8 already, and stays as it is. */
  readonly given?: Int8Plan;
  /** Leaves the trunk as it is: of other tasks too. */
  readonly keepTrunk?: boolean;
}

/** What was found of a task's early exits in int8, beside how much its texts leave in float32. */
export interface FittedExits extends Int8Exits {
  readonly float32: DecidedExits;
}

/** What was measured of one task. */
export interface FittedTask extends Difference {
  readonly task: string;
  /** The rows: a file, or "sample texts". */
  readonly source: string;
  readonly rows: number;
  /** Fractions; null where no score was measured. */
  readonly before: number | null;
  readonly after: number | null;
  /** Of a task whose texts leave early in float32. */
  readonly exits?: FittedExits;
}

export interface Fitted {
  readonly plan: Int8Plan;
  readonly tasks: readonly FittedTask[];
}

/** What is known so far. */
interface Fit {
  readonly model: FitModel;
  readonly options: FitOptions;
  readonly trials: Trials;
  plan: Int8Plan;
  /** In float32, and under the plan. */
  readonly before: Map<string, Measured>;
  readonly after: Map<string, Measured>;
  /** "task/part": where a task's outliers were moved or found not to be worth it. */
  readonly moved: Set<string>;
  /** Weights of tasks that needed it, the costliest first. */
  readonly ranked: Map<string, string[]>;
  /** Whether weights of the trunk may change. */
  readonly trunkToo: boolean;
}

/** Throws Interrupted where the signal is aborted. */
export async function fitPlan(model: FitModel & Pick<PieceModel, "engine">, options: FitOptions): Promise<Fitted> {
  const names = model.tasks.map(({ name }) => name);
  const fit: Fit = {
    ...{ model, options, trials: openTrials(model, options), plan: options.given ?? plainPlan },
    ...{ before: new Map(), after: new Map(), moved: new Set(), ranked: new Map() },
    trunkToo: !options.keepTrunk,
  };
  const bar = options.reporter.progress("measure", 2 * names.length);
  try {
    for (const name of names) {
      fit.before.set(name, await fit.trials.measure(name, null));
      bar.advance(1, name);
      fit.after.set(name, await fit.trials.measure(name, fit.plan));
      bar.advance(1, name);
    }
  } finally {
    bar.end();
  }
  for (let failing = mostLost(fit, names); failing !== null; failing = mostLost(fit, names)) {
    const trunk = trunkOf(fit.plan);
    if (!(await mend(fit, failing))) break;
    if (trunkOf(fit.plan) === trunk) continue;
    for (const name of names) if (name !== failing) fit.after.set(name, await fit.trials.measure(name, fit.plan));
  }
  const tasks: FittedTask[] = [];
  for (const name of names) tasks.push(await resultOf(fit, name));
  return { plan: fit.plan, tasks };
}

const isTrunk = (weight: string): boolean => !weight.startsWith("task/");

const trunkOf = ({ float32, moved }: Int8Plan): string =>
  [...float32, ...[...moved.keys()].map((weight) => `moved ${weight}`)]
    .filter((weight) => !/(^| )task\//.test(weight))
    .join();

/** Points lost, 0 where no score says so. */
function lost({ before, after }: Fit, name: string, found = after.get(name)): number {
  const [then, now] = [before.get(name)?.score ?? null, found?.score ?? null];
  if (then === null) return 0;
  return now === null ? Number.POSITIVE_INFINITY : 100 * (then - now);
}

const holds = (fit: Fit, name: string): boolean => lost(fit, name) <= fit.options.maxDrop + 1e-9;

/** Of the tasks that lose too much, the one that loses most. */
const mostLost = (fit: Fit, names: readonly string[]): string | null =>
  names.filter((name) => !holds(fit, name)).sort((a, b) => lost(fit, b) - lost(fit, a))[0] ?? null;

/** Changes the plan until the task holds. False where nothing is left to change: it is float32 then, as far as it may be. */
async function mend(fit: Fit, name: string): Promise<boolean> {
  const { trials, options, model } = fit;
  const own = scope(name);
  await move(fit, name, [name], "its branch", (weight) => weight.startsWith(own));
  if (fit.trunkToo)
    await move(
      fit,
      name,
      model.tasks.map((task) => task.name),
      "the trunk",
      isTrunk,
    );
  while (!holds(fit, name)) {
    const isWanted = (weight: string) => weight.startsWith(own) || (fit.trunkToo && isTrunk(weight));
    const ranked = fit.ranked.get(name) ?? (await trials.ranked(name, fit.plan, isWanted));
    fit.ranked.set(name, ranked);
    const next = ranked.find((weight) => !fit.plan.float32.has(weight));
    if (next === undefined) return false;
    fit.plan = { ...fit.plan, float32: new Set([...fit.plan.float32, next]) };
    fit.after.set(name, await trials.measure(name, fit.plan));
    options.reporter.log(`${name}: ${next} stays float32: ${scores(fit, name)}`);
  }
  return true;
}

async function move(
  fit: Fit,
  name: string,
  tasks: readonly string[],
  where: string,
  isWanted: (weight: string) => boolean,
): Promise<void> {
  const key = `${name}/${where}`;
  if (fit.moved.has(key) || holds(fit, name)) return;
  fit.moved.add(key);
  const factors = movedFactors(fit.model.tensors, await fit.trials.largest(tasks, isWanted));
  const plan = { ...fit.plan, moved: new Map([...fit.plan.moved, ...factors]) };
  const found = await fit.trials.measure(name, plan);
  const kept = factors.size > 0 && lost(fit, name, found) < lost(fit, name);
  if (kept) {
    fit.plan = plan;
    fit.after.set(name, found);
  }
  const { log } = fit.options.reporter;
  log(
    `${name}: outliers moved into the matrices of ${where}: ${kept ? scores(fit, name) : "nothing gained, not kept"}`,
  );
}

const scores = ({ before, after }: Fit, name: string): string =>
  `${formatScore(before.get(name)?.score ?? null)} in float32, ${formatScore(after.get(name)?.score ?? null)} in int8`;

async function resultOf({ model, trials, before, after }: Fit, name: string): Promise<FittedTask> {
  const task = model.tasks.find((known) => known.name === name) as ServedTask;
  const [then, now] = [before.get(name) as Measured, after.get(name) as Measured];
  const { source } = await trials.rowsOf(name);
  const difference = compareLogits(task, then.logits, now.logits);
  return { task: name, source, rows: then.rows, before: then.score, after: now.score, ...difference };
}
