// What is worth knowing of task data before training on it, and the sample tasks.

import type { DataReport } from "../data/check";
import { dataError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { baseOptions } from "../settings/base";
import { taskOptions } from "../settings/tasks";
import { maxLength } from "../settings/training";
import { type Call, type Caller, callOf } from "./caller";
import { chosenTasks, labelledTasks } from "./session";
import { tokenizerOf, vocabularyBase } from "./tokenizer";

export const checkDataOptions = {
  ...taskOptions,
  base: { ...vocabularyBase, help: "count tokens with this base's vocabulary" },
  lowerCase: baseOptions.lowerCase,
  ...maxLength,
};

export type CheckDataOptions = Given<typeof checkDataOptions>;

/** One report a task. Throws UserError (3) where no task has data; broken rows are listed and not thrown. */
export async function checkData(options: CheckDataOptions = {}, caller: Caller = {}): Promise<DataReport[]> {
  const reports: DataReport[] = [];
  for await (const report of checkEach(options, callOf(caller))) reports.push(report);
  return reports;
}

/** The same as each becomes known: a large task takes seconds. */
export async function* checkEach(options: CheckDataOptions, call: Call): AsyncGenerator<DataReport, void, undefined> {
  const values = readGiven(checkDataOptions, options);
  const { findSplitFile } = await import("../data/read-split.js");
  const { splitNames } = await import("../tasks/task.js");
  const { checkTask } = await import("../data/check.js");
  const { glueData } = values;
  const tasks = await chosenTasks(values, (task) =>
    splitNames.some((split) => findSplitFile(task, split, glueData) !== null),
  );
  if (tasks.length === 0)
    throw dataError(
      `no task has data in ${glueData}. Run: flexbert data download, or give --glue-data, or --tasks with your own tasks`,
    );
  const labelled = await labelledTasks(tasks, call);
  const tokenizer = await tokenizerOf({ base: values.base, cased: false, lowerCase: values.lowerCase }, call);
  const encodeLength = ({ text, pair }: { readonly text: string; readonly pair: string | null }) => {
    const { ids, truncated } = tokenizer.encode(text, pair, values.maxLength);
    return { length: ids.length + truncated, truncated };
  };
  for (const task of labelled) yield await checkTask(task, { glueData, encodeLength });
}

/** Writes the sample tasks, which are made up by a script: the same files at every call. */
export async function writeSampleTasks(folder: string): Promise<void> {
  const { sampleSeed, writeSample } = await import("../data/sample/sample.js");
  await writeSample(folder, sampleSeed);
}
