// flexbert import: a branch that somebody else fine-tuned, as a run of ours.

import { chosenTasks, openBaseOf, openSession } from "../../api/session";
import { usageError } from "../../errors/errors";
import { formatScore } from "../../messages/quantities";
import { optional } from "../../options/option";
import { names, text } from "../../options/readers";
import { settingsOf } from "../../options/settings";
import { baseOptions } from "../../settings/base";
import { configOption } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { samples, taskOptions } from "../../settings/tasks";
import { maxLength, runSettings } from "../../settings/training";
import { checkpointOptions, workOptions } from "../../settings/work";
import { defineCommand } from "../command";
import { describeRun } from "../run-tables";

export const importCommand = defineCommand({
  description:
    "Takes a Hugging Face folder whose embeddings and lower layers equal the base's, stores the layers above as a run, " +
    "and scores it on the task's dev rows.",
  arguments: [{ name: "[folder]", help: "a folder with config.json and model.safetensors" }],
  options: {
    ...taskOptions,
    ...baseOptions,
    ...checkpointOptions,
    ...maxLength,
    ...samples,
    saveEvery: workOptions.saveEvery,
    cacheBudget: workOptions.cacheBudget,
    force: workOptions.force,
    ...engineOptions,
    ...configOption,
    import: optional(text, {
      flag: "--import",
      value: "<folder>",
      help: "the folder, as the config.yaml of an imported run names it",
    }),
    labels: optional(names, {
      flag: "--labels",
      value: "<names>",
      help: "label names in the order of the folder's outputs",
    }),
  },
  examples: [
    "import ./my-rte-bert --task rte",
    "import ./their-mnli --task mnli --labels contradiction,entailment,neutral --base bert-base-uncased",
  ],
  async run(values, terminal, args) {
    const folder = args[0] ?? values.import;
    if (folder === undefined) throw usageError("import takes a folder with config.json and model.safetensors");
    const [task, ...others] = await chosenTasks(values, () => true);
    if (values.task === undefined || !task || others.length > 0)
      throw usageError("import takes one task: give --task NAME");
    const base = await openBaseOf(values, terminal);
    const context = await openSession(values, terminal);
    const { importBranch } = await import("../../recipes/import.js");
    const labels = values.labels?.split(",").map((label) => label.trim()) ?? null;
    const request = { task, base, folder, labels, maxLength: values.maxLength, run: settingsOf(runSettings, values) };
    const run = await importBranch(request, context);
    if (terminal.json) terminal.printJson(describeRun(run));
    else {
      const { layers, fork, score } = run.record;
      terminal.print(
        `${task.name}: ${layers} layers above fork ${fork}, ${formatScore(score)} points on dev, in ${run.folder}`,
      );
    }
  },
});
