// flexbert jobs cancel: every job of an experiment that has not ended.

import { cancelJobs, jobsOptions } from "../../../api/jobs/status";
import { settingsOf } from "../../../options/settings";
import { defineCommand } from "../../command";
import { experimentArgument } from "../../experiment-tables";

export const jobsCancelCommand = defineCommand({
  description:
    "Cancels every job of an experiment that has not ended. Trials that are running save their state, and go on when they are " +
    "submitted again.",
  arguments: experimentArgument,
  options: jobsOptions,
  examples: ["jobs cancel experiments/glue.yaml"],
  async run(values, terminal, [file = ""]) {
    const { cancelled } = await cancelJobs(file, settingsOf(jobsOptions, values));
    if (terminal.json) terminal.printJson({ cancelled });
    else terminal.print(cancelled.length > 0 ? `cancelled: ${cancelled.join(", ")}` : "nothing is queued or running");
  },
});
