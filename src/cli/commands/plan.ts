// flexbert plan: the trials of an experiment in their order, with their ids and how far they are.

import type { Recipes } from "../../recipes/recipe";
import { defineCommand } from "../command";
import { experimentArgument, experimentOptions, openExperiment } from "../experiment";
import { describeTrial, printListing } from "../experiment-tables";

export const planCommand = (recipes: Recipes) =>
  defineCommand({
    description:
      "Lists the trials of an experiment in one total order that depends on the file and the base alone: trial I is the " +
      "same in every process, whatever is trained. A student's id is known once its teacher is chosen; its place is " +
      "known from the start. flexbert run FILE --trial I or --shard I/N trains one or a share.",
    arguments: experimentArgument,
    options: experimentOptions(recipes),
    examples: [
      "plan experiments/smoke.yaml",
      "plan experiments/glue.yaml --json",
      "plan experiments/glue.yaml --only finetune --shard 0/8",
    ],
    async run(values, terminal, [file = ""]) {
      const { resolver, experiment, steps, mine, out, checkpoints } = await openExperiment(file, values, terminal);
      const { listWork } = await import("../../experiment/listing.js");
      const listing = await listWork(resolver, mine);
      if (!terminal.json) {
        printListing(listing, null, terminal);
        return;
      }
      const { name, sha256, config } = resolver.base;
      terminal.printJson({
        experiment: experiment.name,
        base: { name, sha256, layers: config.numHiddenLayers },
        steps,
        out,
        checkpoints,
        openFlops: listing.openFlops,
        openBytes: listing.openBytes,
        trials: listing.trials.map(describeTrial),
      });
    },
  });
