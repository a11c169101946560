// flexbert jobs follow: what a pod of jobs submit --on kubernetes runs, so that stages wait for each other.

import { followJobs, followOptions } from "../../../api/jobs/follow";
import { defineCommand } from "../../command";

export const jobsFollowCommand = defineCommand({
  description:
    "In a pod that jobs submit --on kubernetes writes: starts the Jobs of each stage when those of the stages before have ended. " +
    "A stage is the names of its Jobs.",
  arguments: [
    { name: "<stages...>", help: "the Jobs of each stage, such as glue-0001-finetune-0,glue-0001-finetune-1" },
  ],
  options: followOptions,
  examples: ["jobs follow glue-0001-finetune glue-0001-distill glue-0001-select"],
  async run(values, terminal, stages) {
    await followJobs(stages, values, terminal);
    if (terminal.json) terminal.printJson({ stages: stages.length });
    else terminal.print("all stages have ended");
  },
});
