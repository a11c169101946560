// A model as the functions that use one open it: which folder, which of its tasks, and the engine that runs them.

import { usageError } from "../errors/errors";
import type { ExitRule } from "../exits/exits";
import { isMergedFolder } from "../merge/folder/pointer";
import type { Given } from "../options/given";
import { optional, type Values } from "../options/option";
import { text } from "../options/readers";
import type { ServedModel } from "../predict/model";
import { baseOptions } from "../settings/base";
import { engineOptions, precisionOption, type WeightForm, weightsOption } from "../settings/engine";
import { type ExitChoice, exitOption } from "../settings/exits";
import { modelFolder, versionOption } from "../settings/model";
import { taskOptions } from "../settings/tasks";
import type { Task } from "../tasks/task";
import type { Call } from "./caller";
import { type EngineValues, openSession, type Session, tasksFileOf, userTasks } from "./session";

export const modelOptions = {
  model: optional(text, {
    ...modelFolder("--model"),
    help: "a merged folder or a run folder (default merged)",
  }),
  ...versionOption,
  task: optional(taskOptions.task.read, {
    ...taskOptions.task,
    help: "tasks of the model: a name or a comma list (default all)",
  }),
  tasks: taskOptions.tasks,
  base: optional(text, {
    ...baseOptions.base,
    fallback: undefined,
    help: "base of a run folder, if not in the cache under its name",
  }),
  ...engineOptions,
  ...precisionOption,
  ...weightsOption,
  ...exitOption,
};

export type ModelOptions = Given<typeof modelOptions>;

/** The names of an option `task`; undefined for all. */
export function namesOf(task: string | undefined): string[] | undefined {
  if (task === undefined || task === "all") return undefined;
  return task.split(",").map((name) => name.trim());
}

type ModelValues = EngineValues &
  Pick<Values<typeof modelOptions>, "model" | "version" | "tasks" | "base"> & {
    readonly weights?: WeightForm | undefined;
    /** "auto": on where a rule was decided; absent: off. */
    readonly exit?: ExitChoice | "auto" | undefined;
  };

/** A served model with what else its commands need. */
export interface ServedTasks {
  readonly model: ServedModel;
  readonly session: Session;
  /** The tasks file that was named, for errors. */
  readonly tasksFile: string | null;
  /** A task's definition by name, the user's own included. */
  taskOf(name: string): Task;
  /** Every definition that is known: a merged model may have tasks beyond them. */
  readonly definitions: readonly Task[];
  /** By what rule texts leave early, of the tasks in which they do. */
  readonly exits: Readonly<Record<string, ExitRule>>;
}

/**
 * Opens the model with the named tasks, or all of them.
 * @param inputs what the rows are, where that is known: the pieces of tasks that take others stay closed
 */
export async function openServedModel(
  values: ModelValues,
  names: readonly string[] | undefined,
  call: Call,
  inputs?: "single" | "pair",
): Promise<ServedTasks> {
  const folder = values.model ?? "merged";
  if (values.model === undefined && !isMergedFolder(folder)) {
    throw usageError("there is no merged model in ./merged. Give --model with a merged folder or a run folder");
  }
  if (values.version !== undefined && !isMergedFolder(folder)) {
    throw usageError(`--version ${values.version} is of a merged folder, and ${folder} is none`);
  }
  const { knownTasks, resolveTasks } = await import("../tasks/registry.js");
  const model = await import("../predict/model.js");
  const { recordedTasksFile } = await import("../checkpoints/runs/run-folder.js");
  // A run folder knows which file describes its task.
  const own = await userTasks({ tasks: values.tasks ?? (await recordedTasksFile(folder)) ?? undefined });
  const taskOf = (name: string) => resolveTasks(name, own)[0] as Task;
  const { exitRules } = await import("../predict/exits.js");
  const choice = values.exit === "auto" ? undefined : (values.exit ?? "off");
  let exits: Readonly<Record<string, ExitRule>> = {};
  const session = await openSession(values, call);
  try {
    const opened = await model.openModel(folder, session.engine, {
      taskOf,
      ...(names ? { names } : {}),
      ...(inputs ? { inputs } : {}),
      ...(values.base === undefined ? {} : { base: values.base }),
      version: values.version,
      weights: values.weights,
      exits(tasks, from) {
        exits = exitRules(tasks, choice, { folder: from, named: names !== undefined });
        return exits;
      },
    });
    if (opened.weights === "int8") call.reporter.log("weights: int8; --weights float32 runs the others");
    tellExits(exits, call);
    const known = { tasksFile: tasksFileOf(values), taskOf, definitions: knownTasks(own) };
    return { model: opened, session, exits, ...known };
  } catch (error) {
    session.close();
    throw error;
  }
}

function tellExits(exits: Readonly<Record<string, ExitRule>>, { reporter }: Call): void {
  for (const [task, { criterion, threshold, stops }] of Object.entries(exits)) {
    const doubt = `${criterion} is at most ${threshold.toPrecision(3)}`;
    reporter.log(
      stops.length > 0
        ? `${task}: texts leave after layer ${stops.join(" or ")} where ${doubt}; --exit off: none`
        : `${task}: no text leaves: where ${doubt} too few are predicted to, and ramps cost more than they spare`,
    );
  }
}
