// flexbert search: an experiment that has a budget. From a file, or from options, which are written down as one.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { usageError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { configKey, optional, type Values } from "../options/option";
import { decimals, text } from "../options/readers";
import type { Recipes } from "../recipes/recipe";
import { baseOptions, DEFAULT_BASE } from "../settings/base";
import { engineOptions } from "../settings/engine";
import { budgetSettings } from "../settings/search";
import { selectExtras, selectRules } from "../settings/selection";
import { samples, taskOptions } from "../settings/tasks";
import { seedOptions, trainingSettings } from "../settings/training";
import { workOptions } from "../settings/work";
import { type Call, type Caller, callOf } from "./caller";
import type { StepListener } from "./experiment/last-steps";
import { experimentOptions } from "./experiment/open";
import { type ExperimentResult, type RunExperiment, runExperiment } from "./experiment/run";
import { chosenTasks, outlineBaseOf, tasksFileOf } from "./session";
import { trackerOptions } from "./trackers";

/** Where a search without a file lies, and its file there. */
const FOLDER = path.join("results", "search");
const FILE = "search.yaml";

/** What an experiment file would say; nothing of it beside one. Those of sections are read as the file is. */
const ofExperiment = {
  task: taskOptions.task,
  tasks: taskOptions.tasks,
  base: optional(text, {
    ...baseOptions.base,
    fallback: undefined,
    help: `${baseOptions.base.help} (default ${DEFAULT_BASE})`,
  }),
  k: optional(text, { flag: "--k", short: "-k", value: "<layers>", help: "of fine-tuning (default every k)" }),
  studentLayers: optional(text, {
    flag: "--student-layers",
    short: "-l",
    value: "<layers>",
    help: "of students (default 1-3)",
  }),
  studentForks: optional(text, {
    flag: "--student-forks",
    value: "<forks>",
    help: "frozen layers under them (default every fork)",
  }),
  learningRate: optional(decimals({ min: 0 }), {
    flag: "--learning-rate",
    value: "<rates>",
    help: "one rate or a list to try (default 2e-5)",
  }),
  epochs: optional(decimals({ min: 1 }), {
    flag: "--epochs",
    short: "-e",
    value: "<counts>",
    help: "one number or a list to try (default 3)",
  }),
  batchSize: optional(trainingSettings.batchSize.read, {
    flag: "--batch-size",
    value: "<rows>",
    help: "rows a step",
  }),
  maxLength: optional(trainingSettings.maxLength.read, {
    flag: "--max-length",
    value: "<tokens>",
    help: "cut rows to this many tokens",
  }),
  seeds: { ...seedOptions.seeds, help: "seeds that a trial may have (default 1)" },
  maxTrainSamples: samples.maxTrainSamples,
  maxEvalSamples: samples.maxEvalSamples,
  ...selectRules,
  ...selectExtras,
};

export function searchOptions(recipes: Recipes) {
  const { out, checkpoints, glueData, cacheBudget } = experimentOptions(recipes);
  return {
    budget: { ...budgetSettings.budget, inConfig: false },
    searchSeed: budgetSettings.searchSeed,
    ...ofExperiment,
    out: { ...out, help: "where results go (default results/NAME, or results/search)" },
    checkpoints,
    glueData,
    cacheBudget,
    ...engineOptions,
    saveEvery: workOptions.saveEvery,
    nodeCache: workOptions.nodeCache,
    ...trackerOptions,
    offline: baseOptions.offline,
  };
}

export type SearchOptions = Given<ReturnType<typeof searchOptions>>;
type SearchValues = Values<ReturnType<typeof searchOptions>>;

/**
 * Spends a budget of time on the trials that may still move the Pareto front of score against layers.
 * @param file an experiment file; without it the options say what one would
 * Throws UserError (2) without a budget and for one too small; Interrupted with the states saved.
 */
export const search = async (
  file: string | undefined,
  options: SearchOptions = {},
  caller: Caller = {},
): Promise<ExperimentResult> => (await searchFile(file, options, callOf(caller))).outcome;

export async function searchFile(
  file: string | undefined,
  options: SearchOptions,
  call: Call,
  listener: StepListener = {},
): Promise<RunExperiment> {
  const values = readGiven(searchOptions(call.recipes), options);
  const { budget, searchSeed, checkpoints, glueData, cacheBudget, nodeCache, engine, device, threads, saveEvery } =
    values;
  if (budget === undefined) throw usageError("--budget says how long to search: give one, such as --budget 2h");
  const written = file ?? (await writeFile(values, budget, call));
  if (file !== undefined) refuseBeside(file, values);
  const out = values.out ?? (file === undefined ? FOLDER : undefined);
  const { tensorboard, mlflow, offline } = values;
  const how = {
    out,
    checkpoints,
    glueData,
    cacheBudget,
    engine,
    device,
    threads,
    saveEvery,
    ...(nodeCache === undefined ? {} : { nodeCache }),
    tensorboard,
    mlflow,
    offline,
  };
  return runExperiment(written, how, call, listener, { search: "auto", budget, searchSeed });
}

/** A file says everything that these options would. */
function refuseBeside(file: string, values: SearchValues): void {
  const given = Object.entries(ofExperiment).filter(([name]) => {
    const value = values[name as keyof typeof ofExperiment];
    return value !== undefined && value !== false;
  });
  const [first] = given;
  if (first) throw usageError(`${first[1].flag}: ${file} says that. Change it there, or search without a file`);
}

/** The experiment that the options describe, in the results' folder: the same command goes on with it. */
async function writeFile(values: SearchValues, budget: number, call: Call): Promise<string> {
  const { stringify } = await import("yaml");
  const { writeFileAtomic } = await import("../files/atomic.js");
  const { makeFolder } = await import("../files/folder.js");
  const { BUDGET_FILE } = await import("../experiment/search/budget.js");
  const out = values.out ?? FOLDER;
  const file = path.join(out, FILE);
  const content = stringify(await contentOf(values, budget, call));
  if (existsSync(file)) {
    if ((await readFile(file, "utf8")) === content) return file;
    // One that has not begun, because its budget was too small, may be another.
    if (existsSync(path.join(out, BUDGET_FILE)))
      throw usageError(`${file} is of a search with other options. Give those, or another --out`);
  }
  await makeFolder(out);
  await writeFileAtomic(file, content);
  call.reporter.log(`${file}: written; flexbert run takes it with --out ${out}`);
  return file;
}

async function contentOf(values: SearchValues, budget: number, call: Call): Promise<Record<string, unknown>> {
  const { findSplitFile } = await import("../data/read-split.js");
  const { glueData, base = DEFAULT_BASE } = values;
  const tasks = await chosenTasks(values, (task) => findSplitFile(task, "train", glueData) !== null);
  if (tasks.length === 0) throw usageError(`no task has train data in ${glueData}. Give --glue-data, or --tasks`);
  const { numHiddenLayers: total } = (await outlineBaseOf({ base }, call)).config;
  const tasksFile = tasksFileOf(values);
  const { k = `1-${total}`, studentLayers = `1-${Math.min(3, total - 1)}`, studentForks = `0-${total - 1}` } = values;
  const { learningRate, epochs, batchSize, maxLength, seeds, maxTrainSamples, maxEvalSamples } = values;
  const rule = ruleOf(values);
  const content = {
    base,
    tasks: tasks.map(({ name }) => name),
    tasks_file: tasksFile === null ? undefined : path.resolve(tasksFile),
    ...{ learning_rate: learningRate, epochs, batch_size: batchSize, max_length: maxLength, seeds },
    ...{ max_train_samples: maxTrainSamples, max_eval_samples: maxEvalSamples },
    ...{ search: "auto", budget: `${budget}s`, search_seed: values.searchSeed },
    finetune: { k },
    distill: { student_layers: studentLayers, student_forks: studentForks },
    ...(rule === null ? {} : { select: rule, merge: true, report: true }),
  };
  return Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined));
}

/** The section `select`; null where no rule is given: the front is the result then. */
function ruleOf(values: SearchValues): Record<string, unknown> | null {
  const given = Object.entries({ ...selectRules, ...selectExtras }).flatMap(([name, { flag }]) => {
    const value = values[name as keyof typeof selectRules];
    return value === undefined || (value as unknown) === false ? [] : [[configKey(flag), value] as const];
  });
  const rules = Object.keys(selectRules).filter((name) => values[name as keyof typeof selectRules] !== undefined);
  if (rules.length > 0) return Object.fromEntries(given);
  if (given.length === 0) return null;
  throw usageError(`${given[0]?.[0].replaceAll("_", "-")} goes with a rule: give --keep, --price or a limit too`);
}
