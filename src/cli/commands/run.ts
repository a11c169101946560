// flexbert run: a whole experiment from one file. What is done is skipped, what was stopped goes on, and several
// processes may share it.

import type { StepListener } from "../../api/experiment/last-steps";
import { estimateRun } from "../../api/experiment/plan";
import { type RunExperiment, type RunOptions, runExperiment, runOptions } from "../../api/experiment/run";
import { scoresOfResults } from "../../experiment/results";
import { formatSeconds } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { experimentArgument, printFront, printListing, printScores } from "../experiment-tables";
import type { Terminal } from "../terminal";

export function runCommand(recipes: Recipes) {
  const own = runOptions(recipes);
  return defineCommand({
    description:
      "Trains every trial of an experiment file, then selects, trains exits, merges and reports as the file says. Steps that are done " +
      "are skipped; a stopped or killed run goes on when it is repeated. Several processes on one folder share the " +
      "trials. Results lie in results/NAME: trials.csv, selection.json, exits.json, merged, report, checkpoints.",
    arguments: experimentArgument,
    options: { ...own, ...dryRun },
    examples: [
      "run experiments/smoke.yaml",
      "run experiments/glue-minilm.yaml --dry-run",
      "run experiments/glue.yaml --only finetune --shard 0/8",
      "run experiments/glue.yaml --trial 17",
      "run experiments/smoke.yaml --tensorboard",
      "run experiments/glue.yaml --from select --force",
    ],
    async run(values, terminal, [file = ""]) {
      const options = settingsOf(own, values);
      if (values.dryRun) return printDryRun(file, options, terminal);
      const ran = await runExperiment(file, options, terminal, terminal.json ? {} : printing(terminal));
      if (terminal.json) terminal.printJson(ran.outcome);
      else printOutcome(ran, terminal);
    },
  });
}

/** Each step's results as its own command prints them. With --json there is one document for all. */
export const printing = (terminal: Terminal): StepListener => ({
  onSelect: async (chosen) => (await import("../select-output.js")).printChosen(chosen, terminal),
  onJoint: async (model) => (await import("./joint.js")).printModel(model, terminal),
  onExits: async (decided) => (await import("../exits-output.js")).printExits(decided, terminal),
  onMerge: async (merged) => (await import("../merge-output.js")).printMerged(merged, terminal),
  onReport: async (made) => (await import("../report-output.js")).printReport(made, terminal),
});

async function printDryRun(file: string, options: RunOptions, terminal: Terminal): Promise<void> {
  const { estimate, listing } = await estimateRun(file, options, terminal);
  if (terminal.json) {
    terminal.printJson(estimate);
    return;
  }
  printListing(listing, estimate.flopsPerSecond, terminal);
  if (estimate.budget !== undefined) {
    terminal.print(`search: of these what ${formatSeconds(estimate.budget)} reach, where the front can still move`);
  }
  if (estimate.halving) {
    const [least, most] = [estimate.halving.least, estimate.halving.most].map(formatSeconds);
    terminal.print(`search: halving stops the k that lag behind: ${least} to ${most} of that, more where scores tie`);
  }
  if (estimate.joint !== undefined) {
    terminal.print(`joint: about ${formatSeconds(estimate.joint)} beside that, for models that tasks train together`);
  }
  if (estimate.exits !== undefined) {
    terminal.print(
      `exits: at most ${formatSeconds(estimate.exits)} beside that, in which rows pass the model for ramps`,
    );
  }
  terminal.print(`steps: ${estimate.steps.join(", ")}`);
}

export function printOutcome({ outcome, results: all }: RunExperiment, terminal: Terminal): void {
  const { trials, finished, results, search } = outcome;
  if (all.length > 0) printScores(scoresOfResults(all), terminal);
  if (search) printFront(search, terminal);
  terminal.print(
    results === null
      ? `\n${finished} of ${trials} trials are finished`
      : `\n${search ? `${finished} of ${trials} trials are finished, the search is done` : `all ${trials} trials are finished`}: ${results}`,
  );
}
