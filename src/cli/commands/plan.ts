// flexbert plan: the trials of an experiment in their order, with their ids and how far they are.

import { listExperiment, planOptions } from "../../api/experiment/plan";
import { settingsOf } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { defineCommand } from "../command";
import { experimentArgument, printListing } from "../experiment-tables";

export function planCommand(recipes: Recipes) {
  const options = planOptions(recipes);
  return defineCommand({
    description:
      "Lists the trials of an experiment in one total order that depends on the file and the base alone: trial I is the " +
      "same in every process, whatever is trained. A student's id is known once its teacher is chosen; its place is " +
      "known from the start. flexbert run FILE --trial I or --shard I/N trains one or a share.",
    arguments: experimentArgument,
    options,
    examples: [
      "plan experiments/smoke.yaml",
      "plan experiments/glue.yaml --json",
      "plan experiments/glue.yaml --only finetune --shard 0/8",
    ],
    async run(values, terminal, [file = ""]) {
      const { plan, listing } = await listExperiment(file, settingsOf(options, values), terminal);
      if (terminal.json) terminal.printJson(plan);
      else printListing(listing, null, terminal);
    },
  });
}
