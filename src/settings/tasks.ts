// Which tasks, where their data lies, and how much of it is read.

import { option, optional, toggle } from "../options/option";
import { decimal, integer, list, names, text } from "../options/readers";
import type { SettingsOf } from "../options/settings";

/** Which tasks, and where they lie. */
export const taskOptions = {
  task: optional(names, {
    flag: "--task",
    short: "-t",
    value: "<names>",
    help: "a task, a comma list, or all; without it every task that is ready",
  }),
  tasks: optional(text, {
    flag: "--tasks",
    value: "<file>",
    help: "your own tasks in YAML (default tasks.yaml, if there is one)",
  }),
  glueData: option(text, {
    flag: "--glue-data",
    value: "<folder>",
    help: "folder with GLUE's task folders",
    fallback: "glue-data",
  }),
};

/** Labels that a tasks file leaves to the train file, as config.yaml of a run records them. */
export const labelsOption = {
  labels: optional(list, {
    flag: "--labels",
    value: "<names>",
    help: "label names in id order, where the tasks file says labels: from-data (default the train file's, sorted)",
  }),
};

/** Which rows of a split are read. */
export const samples = {
  maxTrainSamples: optional(integer({ min: 1 }), {
    flag: "--max-train-samples",
    value: "<n>",
    help: "use the first n train rows",
  }),
  maxEvalSamples: optional(integer({ min: 1 }), {
    flag: "--max-eval-samples",
    value: "<n>",
    help: "use the first n dev rows",
  }),
  skipBrokenRows: toggle({
    flag: "--skip-broken-rows",
    help: "leave broken rows out, and record them, instead of stopping",
  }),
  maxBrokenRows: optional(decimal({ min: 0, max: 1 }), {
    flag: "--max-broken-rows",
    value: "<share>",
    help: "leave out at most this share of a file's rows (default 0.1)",
  }),
};

/** Where --max-broken-rows does not say: a file of which more is broken is most likely read wrongly. */
export const BROKEN_SHARE = 0.1;

export const dataSettings = { glueData: taskOptions.glueData, ...samples };

/** Where a task's rows come from and which of them are read: they change the weights, and the hash of the rows is in the id. */
export type DataOptions = SettingsOf<typeof dataSettings>;
