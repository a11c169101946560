// flexbert update and add: merge of tasks that a merged folder has, and of those that it has not. flexbert remove.

import {
  addTasks,
  planAdd,
  planUpdate,
  removeOptions,
  removeTasks,
  type UpdateOptions,
  updateOptions,
  updateTasks,
} from "../../api/merge/merge";
import { usageError } from "../../errors/errors";
import { settingsOf } from "../../options/settings";
import { configOption, dryRun } from "../../settings/call";
import { mergedOption } from "../../settings/model";
import { taskOptions } from "../../settings/tasks";
import { defineCommand } from "../command";
import { printChoice, reportMerged } from "../merge-output";

const options = { ...updateOptions, ...configOption, ...dryRun };

export const updateCommand = defineCommand({
  description:
    "Takes the chosen runs of tasks that the folder has, as merge does, and makes a version of it in which they replace the " +
    "tasks' branches. Only the tasks' own files are read and written; the other tasks stay as they are, to the bit. A " +
    "task that the folder does not have is refused. Where nothing is new, there is no new version.",
  options,
  examples: [
    "update --merged merged/ --task rte",
    'update --merged merged/ --task rte --select kd-2 --note "two layers are enough"',
    "update --merged merged/ --dry-run",
  ],
  async run(values, terminal) {
    const given: UpdateOptions = settingsOf(updateOptions, values);
    if (values.dryRun) printChoice(await planUpdate(given, terminal), terminal);
    else reportMerged(await updateTasks(given, terminal), terminal);
  },
});

export const addCommand = defineCommand({
  description:
    "Takes the chosen runs of tasks that the folder does not have, as merge does, and makes a version of it with them. Only " +
    "the tasks' own files are read and written, and layers of the base where one forks above the folder's. A task that is " +
    "there is refused.",
  options,
  examples: ["add --merged merged/ --task rte", "add --merged merged/ --task rte,mrpc --select kd-2 --dry-run"],
  async run(values, terminal) {
    const given: UpdateOptions = settingsOf(updateOptions, values);
    if (values.dryRun) printChoice(await planAdd(given, terminal), terminal);
    else reportMerged(await addTasks(given, terminal), terminal);
  },
});

const { out: _, remove: __, ...others } = removeOptions;

export const removeCommand = defineCommand({
  description:
    "Makes a version of the folder without some tasks. Their files stay for the versions before, until flexbert gc.",
  options: {
    ...mergedOption,
    task: { ...taskOptions.task, help: "the tasks to remove: a name or a comma list" },
    ...others,
  },
  examples: ["remove --merged merged/ --task rte", "remove --merged merged/ --task rte,mrpc --json"],
  async run({ merged, task, ...values }, terminal) {
    if (task === undefined) throw usageError("which tasks? Give --task NAME. Run: flexbert remove --help");
    const { out, remove, ...rest } = settingsOf(removeOptions, { ...values, out: merged, remove: task });
    reportMerged(await removeTasks({ ...rest, out, remove: remove ?? task }, terminal), terminal);
  },
});
