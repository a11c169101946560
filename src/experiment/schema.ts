// The shape of an experiment file. Values are read by the same definitions as the flags of the commands, so a
// learning rate is the same thing everywhere; a recipe brings those of its section. What a schema cannot say (names of
// tasks, contradictions) is in read.ts.
// Loads zod, which takes 0.1 s: import it only where an experiment file is read.

import { z } from "zod";
import { configKey, type Definition, type Definitions, type TypeOf } from "../options/option";
import { integer, text } from "../options/readers";
import type { EntryPath } from "../options/yaml-file";
import type { Recipe, Recipes } from "../recipes/recipe";
import { baseOptions } from "../settings/base";
import { exitSettings } from "../settings/exits";
import { jobSettings, kubernetesSettings, slurmSettings } from "../settings/jobs";
import { headSettings, jointSettings } from "../settings/joint";
import { budgetSettings, searchSettings } from "../settings/search";
import { chooseBy, selectExtras, selectRules } from "../settings/selection";
import { samples } from "../settings/tasks";
import { seedOptions, trainingSettings } from "../settings/training";

/** Seeds of one block: 5 means 1 to 5, a list means those. */
const seeds = z.unknown().transform((given, context): readonly number[] => {
  const read = integer({ min: 0 });
  if (Array.isArray(given)) return readAll(given, read, context);
  const count = readOne(given, seedOptions.seeds.read, context) ?? 0;
  return Array.from({ length: count }, (_, i) => i + 1);
});

type Context = z.core.$RefinementCtx;

function readOne<T>(given: unknown, read: (given: unknown) => T, context: Context, path: PropertyKey[] = []): T {
  try {
    return read(given);
  } catch (error) {
    context.addIssue({ code: "custom", path, message: `takes ${(error as Error).message}`, input: given });
    return z.NEVER;
  }
}

function readAll<T>(
  given: readonly unknown[],
  read: (given: unknown) => T,
  context: Context,
  path: PropertyKey[] = [],
): T[] {
  const fail = (message: string) => context.addIssue({ code: "custom", path, message, input: given });
  if (given.length === 0) fail("needs at least one value");
  const values = given.map((item, i) => readOne(item, read, context, [...path, i]));
  if (new Set(values).size < values.length) fail("holds a value twice");
  return values;
}

const value = <T>({ read }: Definition<T>) =>
  z.unknown().transform((given, context) => readOne<T>(given, read, context));

/** One value, or a list of them: every combination of a block's lists is trained. */
const grid = <T>({ read }: Definition<T>) =>
  z
    .unknown()
    .transform((given, context): T[] =>
      Array.isArray(given) ? readAll<T>(given, read, context) : [readOne<T>(given, read, context)],
    );

/** A grid for every task, or one by task: those that are not named have what they would have without it. */
const gridByTask = <T>({ read }: Definition<T>) =>
  z.unknown().transform((given, context): ByTask<T[]> => {
    const gridAt = (value: unknown, path: PropertyKey[]) =>
      Array.isArray(value) ? readAll<T>(value, read, context, path) : [readOne<T>(value, read, context, path)];
    if (!isMap(given)) return gridAt(given, []);
    return Object.fromEntries(Object.entries(given).map(([task, value]) => [task, gridAt(value, [task])]));
  });

/** One for every task, or by a task's name. */
export type ByTask<T> = T | Readonly<Record<string, T>>;

/** Whether a value of a file is by task, where one for all tasks would be no mapping. */
export const isMap = (given: unknown): given is Readonly<Record<string, unknown>> =>
  typeof given === "object" && given !== null && !Array.isArray(given);

/** One value for every task, or a value by task; tasks that are not named have none. */
const byTask = ({ read }: Definition<number | undefined>) =>
  z.unknown().transform((given, context): ByTask<number> => {
    if (!isMap(given)) return readOne(given, read, context) as number;
    const entries = Object.entries(given).map(([task, limit]) => [task, readOne(limit, read, context, [task])]);
    return Object.fromEntries(entries);
  });

/** The names in a name, a comma list or a YAML list; null where it is none of them. */
export function namesIn(given: unknown): string[] | null {
  const isName = (item: unknown) => typeof item === "string" || typeof item === "number";
  if (Array.isArray(given)) return given.every(isName) ? given.map(String) : null;
  if (!isName(given)) return null;
  return String(given)
    .split(",")
    .map((name) => name.trim());
}

const nameList = z.unknown().transform((given, context): string[] => {
  const names = namesIn(given);
  if (names && !names.includes("")) return readAll(names, text, context);
  context.addIssue({ code: "custom", message: "takes a task's name or a list of names", input: given });
  return z.NEVER;
});

/** Keys of an experiment file for a group of settings: the flags' names, each of which may be left out. */
type KeysOf<D extends Definitions> = {
  [K in keyof D & string as SnakeCase<K>]: z.ZodOptional<z.ZodType<TypeOf<D[K]>>>;
};
type GridKeysOf<D extends Definitions> = {
  [K in keyof D & string as SnakeCase<K>]: z.ZodOptional<z.ZodType<ByTask<TypeOf<D[K]>[]>>>;
};
type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : Name;

function valuesOf<D extends Definitions>(definitions: D): KeysOf<D> {
  const keys = Object.values(definitions).map((one) => [configKey(one.flag), value(one).optional()]);
  return Object.fromEntries(keys) as KeysOf<D>;
}

function gridsOf<D extends Definitions>(definitions: D): GridKeysOf<D> {
  const keys = Object.values(definitions).map((one) => [configKey(one.flag), gridByTask(one).optional()]);
  return Object.fromEntries(keys) as GridKeysOf<D>;
}

const { learningRate, epochs, batchSize, patience, ...ofAllBlocks } = trainingSettings;

/** Grids that may be given by task, at the top and in a block. */
const taskGrids = { learningRate, epochs };
export const taskGridKeys = Object.values(taskGrids).map(({ flag }) => configKey(flag));

/** What may stand at the top, for all blocks, and in a block, for that one. */
const blockKeys = {
  seeds: seeds.optional(),
  ...gridsOf(taskGrids),
  ...valuesOf({ batchSize, patience }),
};

/** A block of a recipe's section: its own options as it says, and what may stand in any block. */
function blockOf({ makes, options, inFile }: Recipe) {
  const own = Object.entries(inFile).map(([name, use]) => {
    const definition = options[name] as Definition<unknown>;
    const schema = use === "list" ? grid(definition) : value(definition);
    return [configKey(definition.flag), use === "required" ? schema : schema.optional()];
  });
  // Every task has a teacher; students may be made of some.
  const tasks = makes === "students" ? { tasks: nameList.optional() } : {};
  return z.strictObject({ ...tasks, ...Object.fromEntries(own), ...blockKeys });
}

/** The rules of `select`, and what may stand beside one. */
const selectBlock = z.strictObject({ ...valuesOf(selectRules), ...valuesOf(selectExtras) });

/** Ramps are trained as `flexbert exits` does: what the file says of models is not for them. */
const exitsBlock = z.strictObject({
  tasks: nameList.optional(),
  ...valuesOf(exitSettings),
  ...valuesOf({ seeds: seedOptions.seeds, epochs, learningRate, batchSize, patience }),
});

/** Models that tasks train together: what the file says of its own models is not for them, as for ramps. */
const jointBlock = z.strictObject({
  leave_one_out: z.boolean().optional(),
  ...valuesOf({ ...jointSettings, ...headSettings }),
  ...valuesOf({ seeds: seedOptions.seeds, epochs, learningRate, batchSize, patience }),
});

const mergeBlock = z.strictObject({ select: z.string().min(1).optional() });
const reportBlock = z.strictObject({ measure: z.boolean().optional() });

const slurmBlock = z.strictObject(valuesOf(slurmSettings));
const kubernetesBlock = z.strictObject(valuesOf(kubernetesSettings));

/** What jobs on other machines are given; read by `flexbert jobs` alone. */
const jobsBlock = z.strictObject({
  ...valuesOf(jobSettings),
  slurm: slurmBlock.optional(),
  kubernetes: kubernetesBlock.optional(),
});

/** `report:`, `report: true` and `report: {}` are the same; `report: false` leaves the step out. */
const step = <T extends z.ZodType>(block: T) =>
  z.preprocess(
    (given) => (given === true || given === null ? {} : given === false ? undefined : given),
    block.optional(),
  );

/** Everything but the recipes' sections. */
const common = z.strictObject({
  base: value(baseOptions.base).optional(),
  lower_case: value(baseOptions.lowerCase).optional(),
  tasks: nameList,
  tasks_file: z.string().min(1).optional(),
  ...blockKeys,
  ...valuesOf(ofAllBlocks),
  max_train_samples: byTask(samples.maxTrainSamples).optional(),
  max_eval_samples: byTask(samples.maxEvalSamples).optional(),
  skip_broken_rows: value(samples.skipBrokenRows).optional(),
  max_broken_rows: value(samples.maxBrokenRows).optional(),
  choose_by: value(chooseBy.chooseBy).optional(),
  ...valuesOf({ ...searchSettings, ...budgetSettings }),
  joint: step(jointBlock),
  select: step(selectBlock),
  exits: step(exitsBlock),
  merge: step(mergeBlock),
  report: step(reportBlock),
  jobs: jobsBlock.optional(),
});

/** A block as the file has it: a recipe's own options are there by their keys, with "list" ones as lists. */
export type FileBlock = Pick<CommonFile, keyof typeof blockKeys> & {
  readonly tasks?: readonly string[];
  readonly [ownOption: string]: unknown;
};
type CommonFile = z.output<typeof common>;

export interface ExperimentFile extends CommonFile {
  /** By recipe. */
  readonly sections: Readonly<Record<string, readonly FileBlock[]>>;
}

export interface ExperimentSchema {
  /** Reads what read.ts has made of a file: blocks are lists. */
  parse(content: unknown): { readonly data: ExperimentFile } | { readonly issues: readonly z.core.$ZodIssue[] };
  /** The keys that the object at a path of an experiment file may have. */
  keysAt(at: EntryPath): string[];
}

/** The schema of experiment files in which there may be a section for each of these recipes. */
export function experimentSchema(recipes: Recipes): ExperimentSchema {
  const own = Object.values(recipes).map((recipe) => [recipe.method, blockOf(recipe)] as const);
  const sections = own.map(([method, block]) => {
    return [method, z.array(block).min(1, "needs at least one block").optional()] as const;
  });
  const { joint, select, exits, merge, report, jobs, ...before } = common.shape;
  const last = { joint, select, exits, merge, report, jobs };
  const file = z.strictObject({ ...before, ...Object.fromEntries(sections), ...last });
  const blocks: Readonly<Record<string, z.ZodObject>> = {
    ...Object.fromEntries(own),
    joint: jointBlock,
    select: selectBlock,
    exits: exitsBlock,
    merge: mergeBlock,
    report: reportBlock,
    jobs: jobsBlock,
  };
  const jobsOf: Readonly<Record<string, z.ZodObject>> = { slurm: slurmBlock, kubernetes: kubernetesBlock };
  return {
    parse(content) {
      const { success, data, error } = file.safeParse(content);
      if (!success) return { issues: error.issues };
      const given = Object.keys(recipes).flatMap((method) => {
        const section = (data as Record<string, unknown>)[method];
        return section === undefined ? [] : [[method, [section].flat()]];
      });
      return { data: { ...(data as unknown as CommonFile), sections: Object.fromEntries(given) } };
    },
    keysAt: ([section, inner]) => {
      const own = section === "jobs" ? jobsOf[String(inner)] : undefined;
      return Object.keys((own ?? blocks[String(section)] ?? file).shape);
    },
  };
}
