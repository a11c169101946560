// What a command that trains is asked for: of each task one sweep of its recipe.

import path from "node:path";
import type { BaseDescription } from "../../checkpoints/bases/base";
import { dataError, modelError } from "../../errors/errors";
import { formatScore } from "../../messages/quantities";
import { kOf, placeRequest } from "../../model/place";
import { fitForks } from "../../options/forks";
import { fitLayers } from "../../options/layers";
import type { Values } from "../../options/option";
import { settingsOf } from "../../options/settings";
import type { Layers, Recipe } from "../../recipes/recipe";
import type { Sweep } from "../../recipes/sweep";
import type { TransferPlaces } from "../../recipes/trial/transfer";
import { executionSettings, type sweepOptions, trainingSettings } from "../../settings/training";
import type { Task } from "../../tasks/task";
import type { Call } from "../caller";
import { chosenTasks, type describeBaseOf, labelledTasks, seedsOf, tasksFileOf, userTasks } from "../session";
import { findTeachers, hasRuns } from "../stored-runs";

/** Values of the recipe's own options and of those of all training. */
export type TrainingValues = Values<typeof sweepOptions> & Readonly<Record<string, unknown>>;

/**
 * Teachers are trained of every task with train data, students of every task with runs, where no task is named.
 * @param open with its weights, or where they may not be needed without
 * Throws dataError (3) for no train data, modelError (4) for no teacher, usageError (2) for layers above the base's.
 */
export async function sweepsOf(
  recipe: Recipe,
  values: TrainingValues,
  open: typeof describeBaseOf,
  call: Call,
): Promise<Sweep[]> {
  const find = recipe.makes === "teachers" ? withData : withRuns;
  const { base, tasks: chosen } = await find(values, open, call);
  const tasks = await labelledTasks(chosen, call, values.labels);
  const variants = recipe.settings(values, layersOf(base, call));
  const shared = {
    ...{ recipe, base, variants, seeds: seedsOf(values) },
    training: settingsOf(trainingSettings, values),
    run: settingsOf(executionSettings, values),
    halving: recipe.halves?.(values) ? values.chooseBy : undefined,
  };
  if (recipe.makes === "teachers") return tasks.map((task) => ({ ...shared, task }));
  const transferPlaces = await placesOfTransfer(values);
  const sweeps: Sweep[] = [];
  const full = variants.some(({ fullTeacher }) => fullTeacher === true);
  for (const task of tasks)
    sweeps.push({ ...shared, task, transferPlaces, ...(await teachersOf(base, task, { ...values, full }, call)) });
  return sweeps;
}

const layersOf = ({ config: { numHiddenLayers: total } }: BaseDescription, { reporter }: Call): Layers => ({
  total,
  fitting(flag, range) {
    const { values, note } = fitLayers(flag, range, total);
    if (note) reporter.log(note);
    return values;
  },
  placing(flags, forks, layers) {
    const { values } = fitLayers(flags.layers, layers, total);
    const { places, note } = fitForks(flags, forks, { range: layers, values }, total);
    if (note) reporter.log(note);
    return places.map(placeRequest);
  },
});

/** Every known task may be named; all those with train data are all. */
async function placesOfTransfer(values: TrainingValues): Promise<TransferPlaces> {
  const { knownTasks } = await import("../../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  return { tasks, all: tasks, folder: "." };
}

async function withRuns(values: TrainingValues, open: typeof describeBaseOf, call: Call) {
  const base = await open(values, call);
  const tasks = await chosenTasks(values, (task) => hasRuns(base, task, values.checkpoints, call));
  if (tasks.length > 0) return { base, tasks };
  throw modelError(`no teacher in ${values.checkpoints} for the base ${base.name}. Run: flexbert finetune --task NAME`);
}

async function teachersOf(
  base: BaseDescription,
  task: Task,
  values: TrainingValues & { readonly full: boolean },
  call: Call,
) {
  const found = await findTeachers(base, task, values, call);
  const { seed, score } = found.teacher.record;
  const k = kOf(found.teacher.record);
  call.reporter.log(`${task.name}: the teacher is k=${k} seed ${seed}, ${formatScore(score)} points`);
  return found;
}

/** The tasks that are asked for, or all that have train data, and the base. Throws dataError (3) where none has any. */
export async function withData(values: TrainingValues, open: typeof describeBaseOf, call: Call) {
  const { findSplitFile } = await import("../../data/read-split.js");
  const { glueData } = values;
  const tasks = await chosenTasks(values, (task) => findSplitFile(task, "train", glueData) !== null);
  const lacking = await ownTasksWithoutTrain(values, tasks);
  if (tasks.length === 0) throw noTrainData(lacking, glueData);
  // A mistyped path should not leave a task out in silence.
  for (const { problem } of lacking.filter(({ named }) => named)) call.reporter.warn(`left out: ${problem}`);
  return { base: await open(values, call), tasks };
}

interface LackingTask {
  /** The tasks file names a train file, so one is meant to be there. */
  readonly named: boolean;
  readonly problem: string;
}

/** The user's tasks that are not among the chosen ones for want of train data; none where --task names the tasks. */
async function ownTasksWithoutTrain(
  values: Pick<TrainingValues, "task" | "tasks">,
  chosen: readonly Task[],
): Promise<LackingTask[]> {
  const tasksFile = tasksFileOf(values);
  if (tasksFile === null || (values.task !== undefined && values.task !== "all")) return [];
  const lacking = (await userTasks(values)).filter(({ name }) => !chosen.some((task) => task.name === name));
  return lacking.map(({ name, splits: { train } }) => {
    if (!train) return { named: false, problem: `${name}: ${tasksFile} names no train file` };
    const below = path.relative(path.dirname(path.resolve(tasksFile)), train.file);
    const file = below.startsWith("..") ? train.file : below;
    return { named: true, problem: `${name}: ${tasksFile} names ${file}, which is not there` };
  });
}

function noTrainData(lacking: readonly LackingTask[], glueData: string): Error {
  const problems = lacking.map(({ problem }) => problem);
  if (problems.length === 0)
    return dataError(`no task has train data in ${glueData}. Give --glue-data, or --tasks with your own tasks`);
  return dataError(
    `no task has train data. ${problems.join("; ")}; nor has ${glueData} any of GLUE's. Correct the tasks file, or give --glue-data`,
  );
}
