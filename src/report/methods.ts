// Methods by task (the paper's Table 2): full fine-tuning, teachers alone (w/o KD), students of l layers (KD-l), a mix by
// threshold, and what a merged folder holds. Each with average, layers and overhead, beside the teachers' over seeds.

import { IMPORTED } from "../checkpoints/runs/run-record";
import type { Manifest } from "../merge/folder/manifest";
import { counted } from "../messages/words";
import { adapters } from "../model/adapters/adapters";
import { overhead } from "../model/overhead";
import { isSmaller, type Place } from "../model/place";
import { methods as wholeMethods } from "../recipes/methods/methods";
import { type Recipes, recipesThatMake } from "../recipes/recipe";
import { pickByThreshold } from "../selection/threshold";
import { type Spread, spreadOf } from "../tasks/scores";
import { type Arm, bestByPlace, isBetter } from "./arms";
import { onTeachersFork, type TaskResults } from "./collect";
import type { JointArms } from "./joint";
import { type Comparison, compareOverSeeds, type SeedScores } from "./statistics";
import type { TradeoffCandidate } from "./tradeoff";

/** What a method runs for one task. */
export interface MethodCell extends Place {
  readonly score: TradeoffCandidate["score"];
  /** null for a merged task whose run is not among the stored ones. */
  readonly arm: Arm | null;
  readonly spread: Spread | null;
  /** Against the task's teacher; null for the teacher itself, and where there is none or seeds are not known. */
  readonly comparison: Comparison | null;
  /** Seconds of its best run, and of what that was made from: its teacher, or the joint model under it. null: not recorded. */
  readonly seconds: number | null;
}

export interface Method {
  readonly name: string;
  /** What the name stands for, in a few words. */
  readonly meaning: string;
  /** One a task; null where the task has no such run. */
  readonly cells: readonly (MethodCell | null)[];
  /** Over the tasks in the average; null unless every task has a cell. */
  readonly average: Average | null;
  /** null unless every task has a cell that all of them can be served with together. */
  readonly cost: ReturnType<typeof overhead> | null;
}

export interface Average {
  readonly score: number | null;
  /** Over the seeds that every task has. */
  readonly spread: Spread | null;
  readonly seeds: number;
  readonly comparison: Comparison | null;
}

/**
 * A task's candidates for selection: of each smaller place the best student, by layers and fork, and its teacher, last. None where
 * the task has full fine-tuning alone.
 */
export interface TaskArms {
  readonly results: TaskResults;
  readonly candidates: readonly (TradeoffCandidate & { readonly arm: Arm })[];
}

/** Every task with its candidates. */
export function withCandidates(tasks: readonly TaskResults[]): TaskArms[] {
  return tasks.map((results) => {
    const { chosen, students } = results;
    if (!chosen || chosen.fork === null) return { results, candidates: [] };
    const arms = [...bestByPlace(students.filter((student) => isSmaller(student, chosen))), chosen];
    const candidates = arms.map((arm) => ({
      arm,
      layers: arm.layers,
      fork: arm.fork ?? 0,
      score: arm.best.record.score,
    }));
    return { results, candidates };
  });
}

/** Whether a task has a teacher that shares a trunk. */
export const hasTeacher = ({ candidates }: TaskArms): boolean => candidates.length > 0;

export interface MethodsRequest {
  readonly recipes: Recipes;
  readonly thresholds: readonly number[];
  readonly merged: { readonly folder: string; readonly manifest: Manifest } | null;
  readonly joint: JointArms;
}

export function compareMethods(tasks: readonly TaskArms[], request: MethodsRequest): Method[] {
  const { recipes, thresholds, merged, joint } = request;
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
      wholeSizes(tasks, name).map(({ size, byFull }) => {
        const whole = `whole encoders of ${counted(size, "layer")}, one a task, which share nothing: ${meaning}`;
        const taught = byFull ? "; taught by full fine-tuning" : "";
        const arm = (task: TaskArms) => wholeStudent(task, name, size, byFull);
        return method(`${short}-${size}${byFull ? "@full" : ""}`, whole + taught, arm);
      }),
    ),
    ...jointMethods(tasks, joint),
    ...[...adapters.values()].flatMap(({ name, short, meaning }) =>
      depthsOf(tasks, name).map((depth, _, { length }) => {
        const arm = ({ results }: TaskArms) =>
          frozenUnder(results, name).find(({ layers }) => layers === depth) ?? null;
        return method(length > 1 ? `${short}, k = ${depth}` : short, `${meaning}; each task runs them by itself`, arm);
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
    const choose = (task: TaskArms) => (hasTeacher(task) ? pickByThreshold(task.candidates, threshold).arm : null);
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
  return sizesAmong(made);
}

const sizesAmong = (arms: readonly Arm[]): number[] =>
  [...new Set(arms.map(({ layers }) => layers))].sort((a, b) => a - b);

const bestOf = (arms: readonly Arm[]): Arm | null =>
  arms.reduce<Arm | null>((held, arm) => (held && !isBetter(arm, held) ? held : arm), null);

const madeBy = ({ students }: TaskResults, method: string, size: number): Arm[] =>
  students.filter((arm) => arm.method === method && arm.layers === size);

/** Whether a recipe's students of one size stand on other forks than their teachers', too. */
const standsElsewhere = (tasks: readonly TaskArms[], method: string, size: number): boolean =>
  tasks.some(({ results }) => madeBy(results, method, size).some((arm) => !onTeachersFork(arm, results)));

/** The best of a recipe's students of one size, whatever its fork and start; with `same`, on its teacher's fork. */
function studentOf({ results, candidates }: TaskArms, method: string, size: number, same = false): Arm | null {
  const teacher = teacherOf(candidates);
  const made = madeBy(results, method, size).filter((arm) => !same || onTeachersFork(arm, results));
  return bestOf(made) ?? (teacher && teacher.layers <= size ? teacher : null);
}

/** Sizes of a method's students from the fewest layers, those that full fine-tuning taught beside another teacher apart. */
const wholeSizes = (tasks: readonly TaskArms[], way: string): { readonly size: number; readonly byFull: boolean }[] => {
  const made = tasks.flatMap(({ results }) => results.whole.filter((arm) => arm.way === way));
  const kinds = sizesAmong(made).flatMap((size) => [false, true].map((byFull) => ({ size, byFull })));
  return kinds.filter(({ size, byFull }) => made.some((arm) => arm.layers === size && arm.byFull === byFull));
};

/** The best whole student of one method, size and teacher, whatever it began as. */
const wholeStudent = ({ results }: TaskArms, way: string, size: number, byFull: boolean): Arm | null =>
  bestOf(results.whole.filter((arm) => arm.way === way && arm.layers === size && arm.byFull === byFull));

const frozenUnder = ({ adapted }: TaskResults, way: string): Arm[] => adapted.filter((arm) => arm.way === way);

/** How many layers a method has left frozen beside its small tensors, from the fewest. */
const depthsOf = (tasks: readonly TaskArms[], way: string): number[] =>
  sizesAmong(tasks.flatMap(({ results }) => frozenUnder(results, way)));

/** Joint training of all tasks, one model; and of each task a head over a model of the others, which are as many models. */
function jointMethods(tasks: readonly TaskArms[], { full: joint, leftOut }: JointArms): Method[] {
  const cells = (arms: JointArms["full"]) =>
    tasks.map((task): MethodCell | null => {
      const found = arms.get(task.results.name);
      const cell = found && cellOf(found.arm, task);
      return cell ? { ...cell, seconds: cell.seconds === null ? null : cell.seconds + found.before } : null;
    });
  const meaning = "one encoder that all tasks train together, an output layer a task";
  const alone =
    "a head alone over a frozen encoder that other tasks trained together; one a task, so no model serves all";
  return [
    summarise("MT-DNN (full)", meaning, tasks, cells(joint)),
    { ...summarise("MT-DNN (leave-one-out)", alone, tasks, cells(leftOut)), cost: null },
  ];
}

/** Of the best run and of the teacher that it learned from. */
function secondsOf({ best: { record } }: Arm, { runs }: TaskResults): number | null {
  if (record.method === IMPORTED) return null;
  const teacher = runs.find((run) => run.record.sha256 === record.teacher?.sha256);
  if (!record.teacher) return record.seconds;
  return teacher && teacher.record.method !== IMPORTED ? record.seconds + teacher.record.seconds : null;
}

function cellOf(arm: Arm | null, { candidates, results }: TaskArms): MethodCell | null {
  if (!arm) return null;
  const teacher = teacherOf(candidates);
  const comparison = arm === teacher || !teacher ? null : compareOverSeeds(teacher.scores, arm.scores);
  return {
    arm,
    layers: arm.layers,
    fork: arm.fork,
    score: arm.best.record.score,
    spread: arm.spread,
    comparison,
    seconds: secondsOf(arm, results),
  };
}

function mergedMethod(tasks: readonly TaskArms[], { folder, manifest }: NonNullable<MethodsRequest["merged"]>): Method {
  const cells = tasks.map((task): MethodCell | null => {
    const { results } = task;
    const merged = manifest.tasks.find(({ name }) => name === results.name);
    if (!merged) return null;
    // The manifest names the run: its method and its folder.
    const isItsRun = ({ best }: Arm) => merged.run.endsWith(`-${best.record.id}`);
    const arm = [...results.arms, ...results.students, ...results.whole, ...results.adapted].find(isItsRun) ?? null;
    const { layers, fork, score } = merged;
    if (arm) return { ...(cellOf(arm, task) as MethodCell), layers, fork, score };
    return { arm, layers, fork, score, spread: null, comparison: null, seconds: null };
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
  const same = counted.every(({ cell, task }) => cell.arm === teacherOf(task.candidates) || !hasTeacher(task));
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
