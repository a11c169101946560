// flexbert jobs status: how an experiment's jobs stand, and which failed.

import { jobsOptions, jobsStatus } from "../../../api/jobs/status";
import { settingsOf } from "../../../options/settings";
import { defineCommand } from "../../command";
import { experimentArgument } from "../../experiment-tables";
import { table } from "../../terminal";

export const jobsStatusCommand = defineCommand({
  description:
    "How the jobs of an experiment stand, stage by stage, and which ended with an error or are gone: their trials, exit code, log " +
    "and its last error. Asks the job system; reads no data.",
  arguments: experimentArgument,
  options: jobsOptions,
  examples: ["jobs status experiments/glue.yaml", "jobs status experiments/glue.yaml --json"],
  async run(values, terminal, [file = ""]) {
    const status = await jobsStatus(file, settingsOf(jobsOptions, values));
    if (terminal.json) {
      terminal.printJson(status);
      return;
    }
    for (const { system, folder, at, stages } of status.submissions) {
      terminal.print(`${folder}, on ${system} at ${at}`);
      const rows = stages.map(({ stage, ids, jobs, pending, running, done, failed, gone, reason }) => {
        return [stage, ids.join(","), jobs, pending, running, done, failed, gone, reason ?? ""];
      });
      terminal.print(`${table(["stage", "ids", "jobs", "pending", "running", "done", "failed", "gone", ""], rows)}\n`);
    }
    for (const { stage, trials, state, code, log, error } of status.failed) {
      const gone = "is gone: cancelled, or killed before it could say why";
      const how = state === "gone" ? gone : code === null ? "failed" : `ended with ${code}`;
      const said = error === null ? "" : ` ${error}`;
      terminal.print(`${stage}${trials === "" ? "" : ` of trials ${trials}`} ${how}.${said}\n  ${log}`);
    }
    const system = status.submissions.at(-1)?.system;
    if (status.failed.length > 0) terminal.print(`\nflexbert jobs submit ${file} --on ${system} submits what is left`);
  },
});
