// flexbert jobs collect: the tables of an experiment in the plan's order, and which trials are missing.

import { collect, collectOptions } from "../../../api/jobs/collect";
import { ExitCode, UserError } from "../../../errors/errors";
import { settingsOf } from "../../../options/settings";
import type { Recipes } from "../../../recipes/recipe";
import { defineCommand } from "../../command";
import { experimentArgument, printScores } from "../../experiment-tables";

/** Missing trials that are printed. */
const SHOWN = 20;

export function jobsCollectCommand(recipes: Recipes) {
  const options = collectOptions(recipes);
  return defineCommand({
    description:
      "Reads every trial's result in the plan's order and writes OUT/trials.csv: the same table whatever finished first. Where " +
      "trials are missing it names them, prints the scores that there are, writes nothing and ends with exit code 4.",
    arguments: experimentArgument,
    options,
    examples: ["jobs collect experiments/glue.yaml", "jobs collect experiments/glue.yaml --json"],
    async run(values, terminal, [file = ""]) {
      const { collected, table } = await collect(file, settingsOf(options, values), terminal);
      const { trials, finished, missing, results } = collected;
      if (terminal.json) terminal.printJson(collected);
      else {
        if (finished > 0) printScores(table, terminal);
        for (const { index, what } of missing.slice(0, SHOWN)) terminal.print(`missing: trial ${index}, ${what}`);
        if (missing.length > SHOWN) terminal.print(`missing: ${missing.length - SHOWN} more; --json has all`);
        if (results !== null) terminal.print(`\nall ${trials} trials are finished: ${results}`);
      }
      if (missing.length === 0) return;
      throw new UserError(
        ExitCode.model,
        `${finished} of ${trials} trials of ${file} are finished. flexbert jobs status ${file} says what became of the others`,
      );
    },
  });
}
