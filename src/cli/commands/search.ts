// flexbert search: a budget of time spent where the Pareto front of score against layers can still move.

import { searchFile, searchOptions } from "../../api/search";
import { settingsOf } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { defineCommand } from "../command";
import { printing, printOutcome } from "./run";

export function searchCommand(recipes: Recipes) {
  const own = searchOptions(recipes);
  return defineCommand({
    description:
      "Fine-tunes and distils within a budget, where the front of score against layers can still move, and prints the front " +
      "as it grows. Trials are those of an experiment file, or of every task, k, fork and student that the options leave " +
      "open. The time is turned into units of work once, by a measured rate; the same command goes on where it stopped, and " +
      "several processes on one folder share the work.",
    arguments: [{ name: "[file]", help: "an experiment; its own search and budget are left alone" }],
    options: own,
    examples: [
      "search --budget 2h --base sentence-transformers/all-MiniLM-L6-v2 --learning-rate 1e-4,2e-4 --epochs 4,8",
      "search --budget 8h --task rte,mrpc,stsb --keep 99.6 --cross --out results/cheapest",
      "search experiments/glue-minilm.yaml --budget 90min",
    ],
    async run(values, terminal, [file]) {
      const ran = await searchFile(file, settingsOf(own, values), terminal, terminal.json ? {} : printing(terminal));
      if (terminal.json) terminal.printJson(ran.outcome);
      else printOutcome(ran, terminal);
    },
  });
}
