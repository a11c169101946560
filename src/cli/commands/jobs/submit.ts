// flexbert jobs submit: what is left of an experiment as arrays of jobs.

import { submitJobs, submitOptions } from "../../../api/jobs/submit";
import { settingsOf } from "../../../options/settings";
import type { Recipes } from "../../../recipes/recipe";
import { defineCommand } from "../../command";
import { experimentArgument } from "../../experiment-tables";
import { table } from "../../terminal";

export function jobsSubmitCommand(recipes: Recipes) {
  const options = submitOptions(recipes);
  return defineCommand({
    description:
      "Hands what is left of an experiment to Slurm or Kubernetes, stage by stage, each waiting for the one before: every " +
      "recipe's trials as an array of jobs, then select, merge and report. What a job gets is the file's section jobs. " +
      "Repeated, it submits what failed, and leaves alone what is queued or running. --dry-run prints the scripts, which " +
      "stand alone.",
    arguments: experimentArgument,
    options,
    examples: [
      "jobs submit experiments/glue.yaml --on slurm",
      "jobs submit experiments/glue.yaml --on kubernetes --dry-run",
    ],
    async run(values, terminal, [file = ""]) {
      const made = await submitJobs(file, settingsOf(options, values), terminal);
      if (terminal.json) {
        terminal.printJson(made);
        return;
      }
      if (values.dryRun) {
        for (const { name, content } of made.files) {
          // A shell's and YAML's comment at once, so that what is printed can be saved as it is.
          if (made.files.length > 1) terminal.print(`# ---- ${name}`);
          terminal.print(content);
        }
        return;
      }
      const { trials, queued, finished, stages, folder } = made;
      if (stages.length === 0) {
        terminal.print(`nothing to submit: ${finished} trials are finished, ${queued} are queued or running`);
        return;
      }
      const rows = stages.map(({ stage, array, jobs, id }) => [stage, array, jobs, id ?? "-"]);
      terminal.print(table(["stage", "array", "jobs", "id"], rows));
      terminal.print(
        `\n${trials} trials submitted${queued > 0 ? `, ${queued} queued or running already` : ""}, ${finished} finished: ${folder}`,
      );
      terminal.print(`flexbert jobs status ${file} says how they stand`);
    },
  });
}
