// A branch that somebody else fine-tuned, as a run of ours.

import { usageError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { optional } from "../options/option";
import { list, text } from "../options/readers";
import { settingsOf } from "../options/settings";
import { baseOptions } from "../settings/base";
import { engineOptions } from "../settings/engine";
import { samples, taskOptions } from "../settings/tasks";
import { executionSettings, maxLength } from "../settings/training";
import { checkpointOptions, workOptions } from "../settings/work";
import { type Caller, callOf } from "./caller";
import { describeRun, type RunSummary } from "./runs";
import { chosenTasks, labelledTasks, openBaseOf, openSession } from "./session";

export const importOptions = {
  ...taskOptions,
  ...baseOptions,
  ...checkpointOptions,
  ...maxLength,
  ...samples,
  saveEvery: workOptions.saveEvery,
  cacheBudget: workOptions.cacheBudget,
  force: workOptions.force,
  ...engineOptions,
  import: optional(text, {
    flag: "--import",
    value: "<folder>",
    help: "the folder, as the config.yaml of an imported run names it",
  }),
  labels: optional(list, {
    flag: "--labels",
    value: "<names>",
    help: "label names in the order of the folder's outputs, where its config.json does not have them",
  }),
};

/** `import` is the folder, with config.json and weights. */
export type ImportOptions = Given<typeof importOptions>;

/**
 * Stores the layers of a Hugging Face folder above those that equal the base's, scored on the task's dev rows.
 * Throws UserError (2) without one folder and one task, (4) where anything that its outputs rest on does not fit.
 */
export async function importBranch(options: ImportOptions, caller: Caller = {}): Promise<RunSummary> {
  const call = callOf(caller);
  const values = readGiven(importOptions, options);
  const folder = values.import;
  if (folder === undefined) throw usageError("import takes a folder with config.json and weights");
  const [task, ...others] = await chosenTasks(values, () => true);
  if (values.task === undefined || !task || others.length > 0)
    throw usageError("import takes one task: give --task NAME");
  const [labelled = task] = await labelledTasks([task], call);
  const base = await openBaseOf(values, call);
  const session = await openSession(values, call);
  try {
    const recipe = await import("../recipes/import.js");
    const request = {
      task: labelled,
      base,
      folder,
      labels: values.labels ?? null,
      maxLength: values.maxLength,
      run: settingsOf(executionSettings, values),
    };
    return describeRun(await recipe.importBranch(request, session));
  } finally {
    session.close();
  }
}
