// Methods by task (the paper's Table 2): full fine-tuning, teachers alone (w/o KD), students of l layers (KD-l), a mix by
// threshold, and what a merged folder holds. Each with average, layers and overhead, beside the teachers' over seeds.

import type { Manifest } from "../merge/folder/manifest";
import { counted } from "../messages/words";
import { overhead } from "../model/overhead";
import { isSmaller, type Place } from "../model/place";
import { methods as wholeMethods } from "../recipes/methods/methods";
import { type Recipes, recipesThatMake } from "../recipes/recipe";
import { pickByThreshold } from "../selection/threshold";
import { type Spread, spreadOf } from "../tasks/scores";
import { type Arm, bestByPlace, isBetter } from "./arms";
import { onTeachersFork, type TaskResults } from "./collect";
import { type Comparison, compareOverSeeds, type SeedScores } from "./statistics";
import type { TradeoffCandidate } from "./tradeoff";

/** What a method runs for one task. */
export interface MethodCell extends Place {
  readonly score: TradeoffCandidate["score"];
  /** null for a merged task whose run is not among the stored ones. */
  readonly arm: Arm | null;
  readonly spread: Spread | null;
  /** Against the task's teacher; null for the teacher itself, and where seeds are not known. */
  readonly comparison: Comparison | null;
}

export interface Method {
  readonly name: string;
  /** What the name stands for, in a few words. */
  readonly meaning: string;
  /** One a task; null where the task has no such run. */
  readonly cells: readonly (MethodCell | null)[];
  /** Over the tasks in the average; null unless every task has a cell. */
  readonly average: Average | null;
  /** null unless every task has a cell. */
  readonly cost: ReturnType<typeof overhead> | null;
}

export interface Average {
  readonly score: number | null;
  /** Over the seeds that every task has. */
  readonly spread: Spread | null;
  readonly seeds: number;
  readonly comparison: Comparison | null;
}

/** A task's candidates for selection: of each smaller place the best student, by layers and fork, and its teacher, last. */
export interface TaskArms {
  readonly results: TaskResults;
  readonly candidates: readonly (TradeoffCandidate & { readonly arm: Arm })[];
}

/** Tasks that have a teacher. */
export function tasksWithTeacher(tasks: readonly TaskResults[]): TaskArms[] {
  return tasks.flatMap((results) => {
    const { chosen, students } = results;
    if (!chosen || chosen.fork === null) return [];
    const arms = [...bestByPlace(students.filter((student) => isSmaller(student, chosen))), chosen];
    const candidates = arms.map((arm) => ({
      arm,
      layers: arm.layers,
      fork: arm.fork ?? 0,
      score: arm.best.record.score,
    }));
    return [{ results, candidates }];
  });
}

export interface MethodsRequest {
  readonly recipes: Recipes;
  readonly thresholds: readonly number[];
  readonly merged: { readonly folder: string; readonly manifest: Manifest } | null;
}

export function compareMethods(tasks: readonly TaskArms[], { recipes, thresholds, merged }: MethodsRequest): Method[] {
  const method = (name: string, meaning: string, armOf: (task: TaskArms) => Arm | null) =>
    summarise(
      name,
      meaning,
      tasks,
      tasks.map((task) => cellOf(armOf(task), task)),
    );
  const methods = [
    method("Full fine-tuning", "every layer and the embeddings, for each task alone", ({ results }) => full(results)),
    ...[...wholeMethods.values()].flatMap(({ name, short, meaning }) =>
      wholeSizes(tasks, name).map((size) => {
        const whole = `whole encoders of ${counted(size, "layer")}, one a task, which share nothing: ${meaning}`;
        return method(`${short}-${size}`, whole, (task) => wholeStudent(task, name, size));
      }),
    ),
    method("w/o KD", "each task's teacher", ({ candidates }) => teacherOf(candidates)),
  ];
  for (const { method: name, short = name } of recipesThatMake("students", recipes)) {
    for (const size of sizesOf(tasks, name)) {
      const students = `students of ${counted(size, "layer")}`;
      const stays = "a teacher that is no larger stays";
      const elsewhere = standsElsewhere(tasks, name, size);
      const where = elsewhere ? ", each task's above its best fork" : "";
      methods.push(method(`${short}-${size}`, `${students}${where}; ${stays}`, (task) => studentOf(task, name, size)));
      if (!elsewhere) continue;
      const same = (task: TaskArms) => studentOf(task, name, size, true);
      methods.push(
        method(`${short}-${size}@same`, `${students} above their teachers' forks, as in the paper; ${stays}`, same),
      );
    }
  }
  for (const threshold of new Set(thresholds)) {
    const meaning = `more layers where each brings at least ${counted(threshold, "point")}`;
    const choose = ({ candidates }: TaskArms) => pickByThreshold(candidates, threshold).arm;
    methods.push(method(`mixed, c = ${threshold}`, meaning, choose));
  }
  if (merged) methods.push(mergedMethod(tasks, merged));
  return methods.filter(({ cells }) => cells.some((cell) => cell !== null));
}

const full = ({ arms }: TaskResults) => arms.find(({ fork }) => fork === null) ?? null;
const teacherOf = (candidates: TaskArms["candidates"]) => candidates.at(-1)?.arm ?? null;

/** Sizes of the students that a recipe made smaller than their teachers, from the fewest layers. */
function sizesOf(tasks: readonly TaskArms[], method: string): number[] {
  const made = tasks.flatMap(({ results: { students, chosen } }) =>
    students.filter((arm) => arm.method === method && chosen !== null && isSmaller(arm, chosen)),
  );
  return [...new Set(made.map(({ layers }) => layers))].sort((a, b) => a - b);
}

const madeBy = ({ students }: TaskResults, method: string, size: number): Arm[] =>
  students.filter((arm) => arm.method === method && arm.layers === size);

/** Whether a recipe's students of one size stand on other forks than their teachers', too. */
const standsElsewhere = (tasks: readonly TaskArms[], method: string, size: number): boolean =>
  tasks.some(({ results }) => madeBy(results, method, size).some((arm) => !onTeachersFork(arm, results)));

/** The best of a recipe's students of one size, whatever its fork and start; with `same`, on its teacher's fork. */
function studentOf({ results, candidates }: TaskArms, method: string, size: number, same = false): Arm | null {
  const teacher = teacherOf(candidates);
  const made = madeBy(results, method, size).filter((arm) => !same || onTeachersFork(arm, results));
  const best = made.reduce<Arm | null>((held, arm) => (held && !isBetter(arm, held) ? held : arm), null);
  return best ?? (teacher && teacher.layers <= size ? teacher : null);
}

const wholeSizes = (tasks: readonly TaskArms[], way: string): number[] => {
  const made = tasks.flatMap(({ results }) => results.whole.filter((arm) => arm.way === way));
  return [...new Set(made.map(({ layers }) => layers))].sort((a, b) => a - b);
};

/** The best whole student of one method and size, whatever it began as. */
const wholeStudent = ({ results }: TaskArms, way: string, size: number): Arm | null =>
  results.whole
    .filter((arm) => arm.way === way && arm.layers === size)
    .reduce<Arm | null>((held, arm) => (held && !isBetter(arm, held) ? held : arm), null);

function cellOf(arm: Arm | null, { candidates }: TaskArms): MethodCell | null {
  if (!arm) return null;
  const teacher = teacherOf(candidates) as Arm;
  const comparison = arm === teacher ? null : compareOverSeeds(teacher.scores, arm.scores);
  return {
    arm,
    layers: arm.layers,
    fork: arm.fork,
    score: arm.best.record.score,
    spread: arm.spread,
    comparison,
  };
}

function mergedMethod(tasks: readonly TaskArms[], { folder, manifest }: NonNullable<MethodsRequest["merged"]>): Method {
  const cells = tasks.map((task): MethodCell | null => {
    const { results } = task;
    const merged = manifest.tasks.find(({ name }) => name === results.name);
    if (!merged) return null;
    // The manifest names the run: its method and its folder.
    const isItsRun = ({ best }: Arm) => merged.run.endsWith(`-${best.record.id}`);
    const arm = [...results.arms, ...results.students, ...results.whole].find(isItsRun) ?? null;
    const { layers, fork, score } = merged;
    if (arm) return { ...(cellOf(arm, task) as MethodCell), layers, fork, score };
    return { arm, layers, fork, score, spread: null, comparison: null };
  });
  return summarise("merged", `what ${folder} holds`, tasks, cells);
}

function summarise(
  name: string,
  meaning: string,
  tasks: readonly TaskArms[],
  cells: readonly (MethodCell | null)[],
): Method {
  const complete = cells.filter((cell) => cell !== null);
  if (complete.length < tasks.length || tasks.length === 0) return { name, meaning, cells, average: null, cost: null };
  const base = tasks[0]?.results.base as TaskResults["base"];
  return { name, meaning, cells, average: averageOf(tasks, complete), cost: overhead({ base, tasks: complete }) };
}

function averageOf(tasks: readonly TaskArms[], cells: readonly MethodCell[]): Average | null {
  const counted = tasks.flatMap((task, i) => (task.results.inAverage ? [{ task, cell: cells[i] as MethodCell }] : []));
  if (counted.length === 0) return null;
  const scores = counted.map(({ cell }) => cell.score);
  const own = averageBySeed(counted.map(({ cell }) => cell.arm?.scores ?? new Map()));
  const teachers = averageBySeed(counted.map(({ task }) => teacherOf(task.candidates)?.scores ?? new Map()));
  const same = counted.every(({ cell, task }) => cell.arm === teacherOf(task.candidates));
  return {
    score: spreadOf(scores)?.mean ?? null,
    spread: spreadOf([...own.values()]),
    seeds: own.size,
    comparison: same ? null : compareOverSeeds(teachers, own),
  };
}

/** The mean over tasks for each seed that all of them have. */
function averageBySeed(tasks: readonly SeedScores[]): SeedScores {
  const averages = new Map<number, number | null>();
  for (const seed of tasks[0]?.keys() ?? []) {
    if (!tasks.every((scores) => scores.has(seed))) continue;
    averages.set(seed, spreadOf(tasks.map((scores) => scores.get(seed) ?? null))?.mean ?? null);
  }
  return averages;
}
