// flexbert merge: one multi-head model of each task's chosen run; tasks are added, replaced and removed alone.

import { merge, mergeOptions, planMerge, planRemove, removeOptions, removeTasks } from "../../api/merge/merge";
import { settingsOf } from "../../options/settings";
import { configOption, dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { printChoice, printRest, reportMerged } from "../merge-output";

const { out, task, tasks, glueData, select, ...others } = mergeOptions;

export const mergeCommand = defineCommand({
  description:
    "Takes each task's best student if it has one, else its teacher, and writes one folder that holds the shared frozen " +
    "layers once. In a folder that exists, the tasks named are added or replaced, which makes a new version of it; the others " +
    "stay as they are, to the bit. The folder's model.onnx is the whole model as one graph for onnxruntime and others, its " +
    "weights in blobs/; what changed of it is compared with each branch run alone (by --engine) on a few dev rows before " +
    "anything counts.",
  options: {
    ...{ out, task, tasks, glueData, select, remove: removeOptions.remove },
    ...others,
    ...configOption,
    ...dryRun,
  },
  examples: [
    "merge --out merged/",
    "merge --out merged/ --task rte,mrpc --select kd-2",
    "merge --out merged/ --select rte=teacher,cola=kd-2 --dry-run",
    "merge --out merged/ --select mixed.json",
    "merge --out merged/ --remove rte",
    "merge --out merged/ --no-onnx",
  ],
  async run(values, terminal) {
    const { remove } = values;
    if (remove !== undefined) {
      const options = { ...settingsOf(removeOptions, values), remove };
      if (values.dryRun) return printRest(values.out, await planRemove(options, terminal), terminal);
      return reportMerged(await removeTasks(options, terminal), terminal);
    }
    const options = settingsOf(mergeOptions, values);
    if (values.dryRun) printChoice(await planMerge(options, terminal), terminal);
    else reportMerged(await merge(options, terminal), terminal);
  },
});
