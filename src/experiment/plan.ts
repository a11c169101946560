// The trials of an experiment in one total order, which the file and the base's layers alone decide: fine-tuning task
// by task, each from the largest k to the smallest, then recipe by recipe what makes students. A trial's index never
// depends on what is trained already, nor on data. A student's teacher is not known before those are done, so its trial
// has an index from the start and an id once its teacher is chosen (resolve.ts).

import { createHash } from "node:crypto";
import { UserError, usageError } from "../errors/errors";
import { canonicalJson } from "../files/hash";
import { counted } from "../messages/words";
import { placeRequest } from "../model/place";
import { fitForks } from "../options/forks";
import { fitLayers } from "../options/layers";
import { configKey } from "../options/option";
import { type Layers, mayTeach, type Recipe, startOf, type Variant } from "../recipes/recipe";
import type { TrainingOptions } from "../settings/training";
import type { Task } from "../tasks/task";
import type { Block } from "./blocks";
import type { Experiment } from "./read";

/** The steps after training, in their order: each may read what those before it wrote. */
export const lastSteps = ["joint", "select", "exits", "merge", "report"] as const;
export type LastStep = (typeof lastSteps)[number];
export const isLastStep = (step: string): step is LastStep => (lastSteps as readonly string[]).includes(step);

export interface TrialSpec extends Variant {
  /** From 0, in the plan's order. */
  readonly index: number;
  /** Its method is the step that trains it. */
  readonly recipe: Recipe;
  readonly task: Task;
  readonly seed: number;
  readonly training: TrainingOptions;
  /** As in {@link Block}. */
  readonly former?: TrainingOptions;
}

/** The trials of one task in one step: they share data, trunk and teacher. */
export interface TrialGroup {
  readonly recipe: Recipe;
  readonly task: Task;
  readonly trials: readonly TrialSpec[];
}

/** Trials in the plan's order, as often as they are asked for. A plan may have a hundred thousand: these may be made one by one. */
export interface Trials extends Iterable<TrialSpec> {
  readonly length: number;
}

export interface TrialList<T extends Trials = readonly TrialSpec[]> {
  readonly trials: T;
  /** What was cut from ranges, for the log. */
  readonly notes: readonly string[];
}

/** The steps that the file asks for, in their order: recipes by their names, then what is made of their runs. */
export function stepsOf(experiment: Experiment): string[] {
  const trained = experiment.blocks.map(({ recipe }) => recipe.method);
  return [...new Set(trained), ...lastSteps.filter((step) => experiment[step] !== null)];
}

/**
 * Every trial, each once.
 * @param total layers of the base
 * @throws UserError (exit code 2) where the file names layers that the base does not have
 */
export function listTrials(experiment: Experiment, total: number): TrialList {
  const { trials, notes } = planTrials(experiment, total);
  return { trials: [...trials], notes };
}

/** As listTrials, with none of them held. */
export function planTrials(experiment: Experiment, total: number): TrialList<Trials> {
  const notes: string[] = [];
  const layers = layersOf(total, (note) => notes.push(note));
  const lines = Object.values(experiment.recipes).flatMap((recipe) => {
    const blocks = experiment.blocks.filter((block) => block.recipe === recipe);
    const asked = blocks.map((block) => ({ ...block, variants: variantsOf(block, layers, experiment.file) }));
    return experiment.tasks.flatMap((task) =>
      linesOf(
        asked.filter(({ tasks }) => tasks.includes(task)),
        task,
      ),
    );
  });
  for (const line of lines) {
    requireSeeds(experiment, line, lines);
    requireFull(experiment, line, lines);
  }
  return { trials: trialsOf(lines), notes: [...new Set(notes)] };
}

/** The trials that a predicate takes. */
export function chosenOf(trials: Trials, isChosen: (spec: TrialSpec) => boolean): Trials {
  let length = 0;
  for (const spec of trials) if (isChosen(spec)) length++;
  return {
    length,
    *[Symbol.iterator]() {
      for (const spec of trials) if (isChosen(spec)) yield spec;
    },
  };
}

export function someTrial(trials: Trials, isIt: (spec: TrialSpec) => boolean): boolean {
  for (const spec of trials) if (isIt(spec)) return true;
  return false;
}

/** What a recipe makes of a block's values; what it finds wrong is wrong in the file. */
function variantsOf({ recipe, values }: Block, layers: Layers, file: string): Variant[] {
  try {
    return values.flatMap((one) => recipe.settings(one, layers));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw usageError(`${file}: ${error.message.replace(/^--/, "")}`, error);
  }
}

/** The seeds of a teacher are there before its students: a file that makes too few says so before hours of work. */
function requireSeeds({ file }: Experiment, { task, teachers = 1 }: Line, lines: readonly Line[]): void {
  if (teachers <= 1) return;
  const makers = lines.filter((line) => line.task === task && mayTeach(line));
  const seeds = new Set(makers.flatMap((line) => line.seeds)).size;
  if (teachers <= seeds) return;
  const [maker] = makers;
  throw usageError(
    `${file}: teachers: ${teachers}, and ${task.name} has ${counted(seeds, "seed")} of each teacher. ` +
      `Give ${maker?.recipe.method} seeds: ${teachers}, or fewer teachers`,
  );
}

/** So is a full fine-tuning that is to teach; a search trains none. */
function requireFull({ file, search }: Experiment, { task, fullTeacher }: Line, lines: readonly Line[]): void {
  if (!fullTeacher) return;
  const makers = lines.filter((line) => line.task === task && line.recipe.makes === "teachers");
  const [maker] = makers;
  const remedy = `Add full to the k of ${maker?.recipe.method}, or leave teacher out`;
  if (!makers.some(({ place }) => place.fork === null)) {
    throw usageError(`${file}: teacher: full, and no k: full of ${task.name} is trained. ${remedy}`);
  }
  if (search === "full") return;
  throw usageError(
    `${file}: teacher: full, and search: ${search} chooses among k that share a trunk. Leave one of them out`,
  );
}

/** Trials that differ in their seed alone. */
interface Line extends Omit<TrialSpec, "index" | "seed"> {
  /** Short, of what they have in common. */
  readonly key: string;
  readonly seeds: readonly number[];
}

/** Of one task: variants from the most layers to the fewest, each with every training and seed. Two blocks may ask for the same student. */
function linesOf(blocks: readonly (Block & { readonly variants: readonly Variant[] })[], task: Task): Line[] {
  let lines: Line[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (content: object) => {
    const key = canonicalJson(content);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  };
  const known = new Map<string, readonly (readonly number[])[]>();
  for (const { recipe, variants, trainings, former, seeds } of blocks) {
    const trained = trainings.map((training, i) => ({
      training,
      number: numberOf(training),
      ...(former?.[i] ? { former: former[i] } : {}),
    }));
    for (const variant of variants) {
      const own = numberOf(variant);
      for (const { number, ...training } of trained) {
        const line = { ...variant, recipe, task, ...training, key: `${own} ${number}`, seeds };
        const before = known.get(line.key) ?? [];
        if (before.length > 0) lines = lines.flatMap((one) => (one.key === line.key ? askedAgain(one, line) : [one]));
        const fresh = before.length > 0 ? seeds.filter((seed) => !before.some((some) => some.includes(seed))) : seeds;
        if (fresh.length > 0) lines.push({ ...line, seeds: fresh });
        known.set(line.key, [...before, fresh]);
      }
    }
  }
  return lines;
}

/** A trial that two blocks ask for stays where it is, and is what the later of them says. */
function askedAgain(line: Line, later: Line): Line[] {
  if (canonicalJson({ former: line.former }) === canonicalJson({ former: later.former })) return [line];
  return line.seeds.map((seed) => ({ ...(later.seeds.includes(seed) ? later : line), seeds: [seed] }));
}

const trialsOf = (lines: readonly Line[]): Trials => ({
  length: lines.reduce((sum, { seeds }) => sum + seeds.length, 0),
  *[Symbol.iterator]() {
    let index = 0;
    for (const { key: _, seeds, ...common } of lines)
      for (const seed of seeds) yield { index: index++, ...common, seed };
  },
});

const keyOf = ({ recipe, task, former: _, ...rest }: Omit<TrialSpec, "index">) =>
  canonicalJson({ ...rest, recipe: recipe.method, task: task.name });

/**
 * What trial numbers mean, as eight hexadecimal digits: jobs that were submitted name trials by number, and a file that was
 * changed since would have them train others. Of the base its hash alone.
 */
export function planHash(trials: Trials, base: { readonly sha256: string }): string {
  const hash = createHash("sha256").update(base.sha256);
  for (const { index, ...spec } of trials) hash.update(`\n${index} ${keyOf(spec)}`);
  return hash.digest("hex").slice(0, 8);
}

/** Layers of a base of `total`, options by their keys in the file. */
const layersOf = (total: number, note: (line: string) => void): Layers => ({
  total,
  fitting(flag, range) {
    const fitted = fitLayers(configKey(flag), range, total);
    if (fitted.note) note(fitted.note);
    return fitted.values;
  },
  placing(flags, forks, range) {
    const keys = { forks: configKey(flags.forks), layers: configKey(flags.layers) };
    const { values } = fitLayers(keys.layers, range, total);
    const { places, note: cut } = fitForks(keys, forks, { range, values }, total);
    if (cut) note(cut);
    return places.map(placeRequest);
  },
});

/** Consecutive trials of one step, task and teacher. */
export function groupTrials(trials: Iterable<TrialSpec>): TrialGroup[] {
  const groups: { recipe: Recipe; task: Task; trials: TrialSpec[] }[] = [];
  for (const spec of trials) {
    const last = groups.at(-1);
    const same = last?.recipe === spec.recipe && last.task === spec.task;
    if (same && last.trials[0]?.fullTeacher === spec.fullTeacher) last.trials.push(spec);
    else groups.push({ recipe: spec.recipe, task: spec.task, trials: [spec] });
  }
  return groups;
}

/** One of `count` equal shares of the plan, numbered from 0 as indexed jobs are. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Every count-th trial: shares hold the same mix of tasks and of k, so they take about the same time. */
export function inShard({ index, count }: Shard, trial: Pick<TrialSpec, "index">): boolean {
  return trial.index % count === index;
}

/** "rte k=5 seed 1, 4 epochs at 2e-5": one trial in the log. */
export function describeSpec(spec: TrialSpec): string {
  const { recipe, task, init, seed, training } = spec;
  const what = recipe.describe(spec).label + (init ? ` from ${startOf(spec)}` : "");
  const { epochs, learningRate } = training;
  return `${task.name} ${what} seed ${seed}, ${counted(epochs, "epoch")} at ${learningRate}`;
}
