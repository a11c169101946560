// What the blocks of an experiment file's sections train, task by task.

import { canonicalJson } from "../files/hash";
import { configKey, type Definition, type Values } from "../options/option";
import { defaultOf, settingsFrom, withDefaults } from "../options/settings";
import type { Recipe } from "../recipes/recipe";
import { groupBy } from "../selection/group-by";
import { type TrainingOptions, trainingSettings } from "../settings/training";
import type { Task } from "../tasks/task";
import { type ByTask, type ExperimentFile, type FileBlock, isMap, taskGridKeys } from "./schema";

/** What one block of a recipe's section trains: of each task every combination of values, training options and seeds. */
export interface Block {
  readonly recipe: Recipe;
  readonly tasks: readonly Task[];
  /** Of the recipe's own options. */
  readonly values: readonly Values<Recipe["options"]>[];
  readonly trainings: readonly TrainingOptions[];
  /** What they would be without the recipe's own defaults, in the same order: runs that were begun so go on. Absent: the same. */
  readonly former?: readonly TrainingOptions[];
  readonly seeds: readonly number[];
}

/** A block of a file: one for the tasks that it trains alike, in the order of the first of each. */
export function blocksOf(recipe: Recipe, block: FileBlock, top: ExperimentFile, tasks: readonly Task[]): Block[] {
  const own = block.tasks ? tasks.filter(({ name }) => block.tasks?.includes(name)) : tasks;
  const values = ownValues(recipe, block);
  const swept = own.map((task) => ({ task, sweep: sweepOf(recipe, block, top, task) }));
  const alike = groupBy(swept, ({ sweep }) => canonicalJson(sweep));
  return [...alike.values()].map((group) => {
    const [{ sweep }] = group as [(typeof group)[number]];
    return { recipe, tasks: group.map(({ task }) => task), values, ...sweep };
  });
}

/** A block's values of the recipe's own options: every combination of those that are lists. */
export function ownValues({ options, inFile }: Recipe, block: FileBlock): Block["values"] {
  const lists = Object.keys(inFile).filter((name) => inFile[name] === "list");
  const combined = lists.reduce<readonly FileBlock[]>(
    (all, name) => {
      const key = configKey((options[name] as Definition<unknown>).flag);
      return all.flatMap((one) => {
        const values = one[key] as readonly unknown[] | undefined;
        return values?.map((value) => ({ ...one, [key]: value })) ?? [one];
      });
    },
    [block],
  );
  return combined.map((one) => settingsFrom(options, one));
}

/** A task's seeds and training options in a block: the block's own, else those at the file's top, else the recipe's or the flags' defaults. */
function sweepOf(
  { defaults = {} }: Recipe,
  block: FileBlock,
  top: ExperimentFile,
  { name }: Task,
): Pick<Block, "seeds" | "trainings" | "former"> {
  const grids = taskGridKeys.map((key) => [
    key,
    gridOf(block[key], name) ?? gridOf(top[key as keyof ExperimentFile], name),
  ]);
  const given: OfTask = { ...top, ...block, ...Object.fromEntries(grids) };
  const trainings = trainingsOf(given, withDefaults(trainingSettings, defaults));
  const former = trainingsOf(given, trainingSettings);
  const changed = canonicalJson({ trainings }) !== canonicalJson({ trainings: former });
  return { seeds: given.seeds ?? [1], trainings, ...(changed ? { former } : {}) };
}

/** A task's grid; undefined where there is none, for it or at all. */
function gridOf(given: unknown, task: string): readonly unknown[] | undefined {
  const grid = given as ByTask<readonly unknown[]> | undefined;
  return isMap(grid) ? grid[task] : grid;
}

/** What a block and the top say of one task. */
type OfTask = Omit<ExperimentFile, "learning_rate" | "epochs"> & {
  readonly learning_rate?: readonly number[];
  readonly epochs?: readonly number[];
  readonly seeds?: readonly number[];
};

function trainingsOf(given: OfTask, definitions: typeof trainingSettings): TrainingOptions[] {
  const { learning_rate: rates = [defaultOf(definitions.learningRate)] } = given;
  const { epochs: counts = [defaultOf(definitions.epochs)] } = given;
  return rates.flatMap((rate) =>
    counts.map((epochs) => settingsFrom(definitions, { ...given, learning_rate: rate, epochs })),
  );
}
