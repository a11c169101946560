// Reads an experiment file: what is written, checked, with its defaults and the tasks that it names. All problems come
// in one report. Whether data and base are there is for the plan to find out.

import path from "node:path";
import { withLabels } from "../data/labels";
import { asText } from "../errors/printable";
import { didYouMean } from "../messages/nearest";
import { adapters } from "../model/adapters/adapters";
import { configKey, type Definition } from "../options/option";
import { defaultOf, settingsFrom } from "../options/settings";
import { type EntryPath, type Problem, parseYamlFile, readYamlText, schemaProblems } from "../options/yaml-file";
import { type Recipes, recipesThatMake } from "../recipes/recipe";
import { baseOptions } from "../settings/base";
import { type Precision, precisionOption } from "../settings/engine";
import { budgetSettings, type SearchMode, searchSettings } from "../settings/search";
import { type ChooseBy, chooseBy } from "../settings/selection";
import type { DataOptions } from "../settings/tasks";
import { maxLength } from "../settings/training";
import { knownTasks } from "../tasks/registry";
import type { Task } from "../tasks/task";
import { readUserTasks } from "../tasks/user-tasks";
import { type Block, blocksOf, ownValues } from "./blocks";
import { exitProblems } from "./exits";
import { jointProblems } from "./joint";
import { choiceProblems, ruleProblems, searchProblems } from "./rule-problems";
import { type ExperimentFile, experimentSchema, isMap, namesIn, taskGridKeys } from "./schema";

export interface Experiment {
  /** The file's name without its extension. */
  readonly name: string;
  readonly file: string;
  readonly base: string;
  readonly lowerCase?: boolean;
  readonly tasks: readonly Task[];
  /** Every task that the file could name: GLUE's and the user's own. */
  readonly known: readonly Task[];
  /** Absolute path of the user's own tasks, if the file names one. */
  readonly tasksFile: string | null;
  /** Of one task's data. */
  readonly samples: (task: Task) => Pick<DataOptions, "maxTrainSamples" | "maxEvalSamples">;
  readonly maxLength: number;
  /** Of every trial's matrix products. */
  readonly precision: Precision;
  readonly skipBrokenRows: boolean;
  readonly maxBrokenRows: number | undefined;
  readonly chooseBy: ChooseBy;
  /** Which trials are trained. */
  readonly search: SearchMode;
  /** Of search `auto`, in seconds. */
  readonly budget?: number | undefined;
  readonly searchSeed: number;
  /** Those that the file may use; their order is that of the plan. */
  readonly recipes: Recipes;
  /** In the order of the recipes, then of the file. */
  readonly blocks: readonly Block[];
  /** null where the file leaves the step out. */
  readonly joint: ExperimentFile["joint"] | null;
  readonly select: ExperimentFile["select"] | null;
  readonly exits: ExperimentFile["exits"] | null;
  readonly merge: ExperimentFile["merge"] | null;
  readonly report: ExperimentFile["report"] | null;
  /** As the file has it; null where it says nothing. */
  readonly jobs: ExperimentFile["jobs"] | null;
}

/** @throws UserError (exit code 2) naming the file and every problem in it with its line */
export async function readExperiment(file: string, recipes: Recipes): Promise<Experiment> {
  const text = await readYamlText(file, "the experiment file");
  const { content, report } = parseYamlFile(file, text);
  const schema = experimentSchema(recipes);
  const { normal, written } = withBlockLists(content ?? {}, recipes);
  const parsed = schema.parse(normal);
  const fail = (problems: readonly Problem[]) => report(problems.map((p) => ({ ...p, path: written(p.path) })));
  const problems = "data" in parsed ? [] : parsed.issues.flatMap((one) => schemaProblems(one, normal, schema.keysAt));
  const placed = "data" in parsed ? withForksOfTheirOwn(parsed.data, recipes) : [];
  // Names are checked beside everything else, so that they come in the same report.
  const tasksFile = tasksFileOf(normal, file);
  const known = knownTasks(tasksFile === null ? [] : await readUserTasks(tasksFile));
  problems.push(...taskProblems(normal, recipes, known), ...contradictions(normal, recipes, placed));
  if ("data" in parsed && parsed.data.exits) {
    const tasks = known.filter(({ name }) => parsed.data.tasks.includes(name));
    problems.push(...exitProblems(parsed.data.exits, tasks, outsideOf(parsed.data.tasks)));
  }
  if ("data" in parsed && parsed.data.joint) problems.push(...jointProblems(parsed.data.joint, parsed.data.tasks));
  if (!("data" in parsed) || problems.length > 0) throw fail(problems);
  const { tasks: named } = parsed.data;
  const labelled = await Promise.all(known.map((task) => (named.includes(task.name) ? withLabels(task) : task)));
  return toExperiment(parsed.data, recipes, file, tasksFile, labelled);
}

type Raw = Readonly<Record<string, unknown>> | null;

/** A single block as a list of one, students' `distill: false` as none, and how to say a path as the file has it. */
function withBlockLists(
  content: unknown,
  recipes: Recipes,
): { normal: unknown; written: (at: EntryPath) => EntryPath } {
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return { normal: content, written: (at) => at };
  const normal: Record<string, unknown> = { ...content };
  const single = new Set<PropertyKey>();
  for (const { method, makes } of Object.values(recipes)) {
    const section = normal[method];
    if (section === false && makes === "students") delete normal[method];
    const isBlock = typeof section === "object" && section !== null;
    if (Array.isArray(section) || section === undefined || (makes === "students" && !isBlock)) continue;
    normal[method] = [section];
    single.add(method);
  }
  const written = (at: EntryPath) =>
    at[0] !== undefined && single.has(at[0]) && at[1] === 0 ? [at[0], ...at.slice(2)] : at;
  return { normal, written };
}

function tasksFileOf(content: unknown, file: string): string | null {
  const given = (content as Raw)?.["tasks_file"];
  return typeof given === "string" && given !== "" ? path.resolve(path.dirname(file), given) : null;
}

const outsideOf = (named: readonly string[]) => (name: string) =>
  `"${name}" is not among the experiment's tasks${didYouMean(name, named)}`;

/** Names that are no task, and tasks of a block that the experiment does not have. */
function taskProblems(content: unknown, recipes: Recipes, known: readonly Task[]): Problem[] {
  const problems: Problem[] = [];
  const named = namesIn((content as Raw)?.["tasks"]) ?? [];
  const available = known.filter(({ splits }) => splits.train).map(({ name }) => name);
  const place = (at: EntryPath, given: unknown, i: number) => (Array.isArray(given) ? [...at, i] : at);
  for (const [i, name] of named.entries()) {
    if (name === "" || available.includes(name)) continue;
    const reason = known.some((task) => task.name === name) ? "has no train split" : "is no task";
    const hint = `${didYouMean(name, available)}; there are ${available.join(", ")}, and those of a tasks_file`;
    problems.push({ path: place(["tasks"], (content as Raw)?.["tasks"], i), message: `"${name}" ${reason}${hint}` });
  }
  const outside = outsideOf(named);
  const byTask = (at: EntryPath, given: unknown) => {
    const others = isMap(given) ? Object.keys(given).filter((name) => !named.includes(name)) : [];
    problems.push(...others.map((name) => ({ path: [...at, name], message: outside(name) })));
  };
  const keys = ["max_train_samples", "max_eval_samples", ...taskGridKeys];
  for (const key of keys) byTask([key], (content as Raw)?.[key]);
  for (const method of Object.keys(recipes)) {
    const section = (content as Raw)?.[method];
    const blocks = Array.isArray(section)
      ? section.map((block, b) => ({ at: [method, b], block }))
      : [{ at: [method], block: section }];
    for (const { at, block } of blocks) for (const key of taskGridKeys) byTask([...at, key], (block as Raw)?.[key]);
  }
  for (const message of choiceProblems(content, named, outside)) problems.push({ path: ["merge", "select"], message });
  for (const { method } of recipesThatMake("students", recipes)) {
    const blocks = (content as Raw)?.[method];
    for (const [b, block] of (Array.isArray(blocks) ? blocks : []).entries()) {
      const given = (block as Raw)?.["tasks"];
      for (const [i, name] of (namesIn(given) ?? []).entries()) {
        if (named.includes(name)) continue;
        problems.push({ path: place([method, b, "tasks"], given, i), message: outside(name) });
      }
    }
  }
  return problems;
}

/** Recipes whose students all stand on forks of their own, which a teacher that shares no trunk may teach. */
const withForksOfTheirOwn = ({ sections }: ExperimentFile, recipes: Recipes): string[] =>
  recipesThatMake("students", recipes).flatMap((recipe) => {
    const blocks = sections[recipe.method] ?? [];
    const values = blocks.flatMap((block) => ownValues(recipe, block));
    const placed = values.length > 0 && values.every((one) => recipe.standsAlone?.(one) ?? false);
    return placed ? [recipe.method] : [];
  });

function contradictions(content: unknown, recipes: Recipes, placed: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const { select, merge } = (content ?? {}) as { select?: unknown; merge?: Raw };
  const isStep = (given: unknown) => given !== undefined && given !== false;
  if (isStep(select)) {
    problems.push(...ruleProblems(Object.keys((select ?? {}) as object)));
    if (typeof merge === "object" && merge?.["select"] !== undefined) {
      problems.push({ path: ["merge", "select"], message: "the step select chooses already: keep one of the two" });
    }
  }
  return [...problems, ...searchProblems(content), ...teacherProblems(content, recipes, isStep, placed)];
}

/** A file without teachers, and one whose only teachers share no trunk. */
function teacherProblems(
  content: unknown,
  recipes: Recipes,
  isStep: (given: unknown) => boolean,
  placed: readonly string[],
): Problem[] {
  if (typeof content !== "object" || content === null || Array.isArray(content)) return [];
  const steps = content as Readonly<Record<string, unknown>>;
  const all = recipesThatMake("teachers", recipes);
  const made = all.filter(({ method }) => steps[method] !== undefined);
  if (made.length === 0) return all.slice(0, 1).map(({ method }) => ({ path: [method], message: "is missing" }));
  const students = recipesThatMake("students", recipes).map(({ method }) => method);
  const byMethod = adapters.has(String((steps["merge"] as Raw)?.["select"])); // merge then takes runs of frozen layers
  const others = placed.length > 0 ? [] : byMethod ? ["select"] : ["select", "merge"]; // what is there to choose then are the students
  const needy = [...students.filter((step) => !placed.includes(step)), ...others].filter((step) => isStep(steps[step]));
  if (needy.length === 0) return [];
  const lacking = made.map(({ method, options, inFile }): Problem[] => {
    const blocks = [steps[method]].flat();
    const trained = blocks.flatMap((block, b) => (onlyAdapters(block) ? [] : [{ block, b }]));
    if (trained.length === 0) {
      const message = `trains no layers, which leaves no teacher: add a block without method, or leave out ${needy.join(", ")}`;
      return [{ path: [method, 0], message }];
    }
    const required = Object.keys(inFile).filter((name) => inFile[name] === "required");
    const keys = required.map((name) => configKey((options[name] as Definition<unknown>).flag));
    const isFull = (key: string) => trained.every(({ block }) => asText((block as Raw)?.[key]) === "full");
    const message = `full alone leaves no teacher, because it shares no trunk: add numbers, or leave out ${needy.join(", ")}`;
    return keys
      .filter(isFull)
      .map((key) => ({ path: [method, trained[0]?.b ?? 0, key], message: `${key}: ${message}` }));
  });
  return lacking.every((problems) => problems.length > 0) ? lacking.flat() : [];
}

/** Whether every trial of a block leaves its layers frozen. */
const onlyAdapters = (block: unknown): boolean => {
  const methods = [(Object(block) as Raw)?.["method"]].flat();
  return methods.every((method) => adapters.has(String(method)));
};

function toExperiment(
  content: ExperimentFile,
  recipes: Recipes,
  file: string,
  tasksFile: string | null,
  known: readonly Task[],
): Experiment {
  const find = (name: string) => known.find((task) => task.name === name) as Task;
  const tasks = content.tasks.map(find);
  const blocks = Object.values(recipes).flatMap((recipe) =>
    (content.sections[recipe.method] ?? []).flatMap((block) => blocksOf(recipe, block, content, tasks)),
  );
  return {
    name: path.basename(file).replace(/\.ya?ml$/i, ""),
    file,
    base: content.base ?? defaultOf(baseOptions.base),
    ...(content.lower_case === undefined ? {} : { lowerCase: content.lower_case }),
    tasks,
    known,
    tasksFile,
    samples: samplesOf(content),
    ...settingsFrom(
      { ...maxLength, ...precisionOption, ...chooseBy, ...searchSettings, ...budgetSettings },
      { ...content },
    ),
    skipBrokenRows: content.skip_broken_rows ?? false,
    maxBrokenRows: content.max_broken_rows,
    recipes,
    blocks,
    joint: content.joint ?? null,
    select: content.select ?? null,
    exits: content.exits ?? null,
    merge: content.merge ?? null,
    report: content.report ?? null,
    jobs: content.jobs ?? null,
  };
}

function samplesOf({ max_train_samples: train, max_eval_samples: dev }: ExperimentFile): Experiment["samples"] {
  const limit = (given: ExperimentFile["max_train_samples"], task: Task) =>
    typeof given === "object" ? given[task.name] : given;
  return (task) => {
    const [maxTrainSamples, maxEvalSamples] = [limit(train, task), limit(dev, task)];
    return {
      ...(maxTrainSamples === undefined ? {} : { maxTrainSamples }),
      ...(maxEvalSamples === undefined ? {} : { maxEvalSamples }),
    };
  };
}
