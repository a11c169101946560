// flexbert jobs probe: whether a folder's file system has what several machines need of it.

import { probe, probeOptions } from "../../../api/jobs/probe";
import { ExitCode, UserError } from "../../../errors/errors";
import { defineCommand } from "../../command";

export const jobsProbeCommand = defineCommand({
  description:
    "Tries with two processes what claims and results stand on: that one alone creates a file, that a rename shows the old file or " +
    "the new, and that files get times which others see move. jobs submit does so by itself, on one machine; with --role the two " +
    "are on two. Exit code 1 where something is missing.",
  arguments: [{ name: "<folder>", help: "on the disk that machines share" }],
  options: probeOptions,
  examples: ["jobs probe results/", "jobs probe results/ --role first", "jobs probe results/ --role second"],
  async run(values, terminal, [folder = ""]) {
    const findings = await probe(folder, values, terminal);
    if (terminal.json) terminal.printJson({ folder, findings });
    else
      for (const { what, problem } of findings)
        terminal.print(`${problem === null ? "ok" : "NO"}  ${what}${problem === null ? "" : `: ${problem}`}`);
    const missing = findings.filter(({ problem }) => problem !== null).length;
    if (missing > 0)
      throw new UserError(ExitCode.failure, `${folder} lacks ${missing} of what jobs on several machines need`);
  },
});
