// What tasks there are, and where their data lies.

import { type Given, readGiven } from "../options/given";
import { taskOptions } from "../settings/tasks";
import type { SplitName, Task } from "../tasks/task";
import { userTasks } from "./session";

export const listTasksOptions = { tasks: taskOptions.tasks, glueData: taskOptions.glueData };

export type ListTasksOptions = Given<typeof listTasksOptions>;

export interface ListedTask extends Pick<Task, "name" | "inputs" | "labels" | "metric"> {
  /** By name. */
  readonly kind: string;
  /** Lowest and highest value of a regression. */
  readonly range: Task["range"] | null;
  /** The file of each split; null where there is none. */
  readonly splits: Readonly<Partial<Record<SplitName, string | null>>>;
}

/** GLUE's tasks first, then those of the tasks file. */
export async function listTasks(options: ListTasksOptions = {}): Promise<ListedTask[]> {
  const values = readGiven(listTasksOptions, options);
  const { knownTasks } = await import("../tasks/registry.js");
  const { findSplitFile } = await import("../data/read-split.js");
  const { withLabels } = await import("../data/labels.js");
  // Where they cannot be read, the list goes on: what uses the task says why.
  const own = await Promise.all((await userTasks(values)).map((task) => withLabels(task).catch(() => task)));
  return knownTasks(own).map((task) => ({
    name: task.name,
    kind: task.kind.name,
    inputs: task.inputs,
    labels: task.labels,
    range: task.range ?? null,
    metric: task.metric,
    splits: Object.fromEntries(
      Object.keys(task.splits).map((split) => [split, findSplitFile(task, split as SplitName, values.glueData)]),
    ),
  }));
}
