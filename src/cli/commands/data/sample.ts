// flexbert data sample: the sample tasks to a folder.

import { writeSampleTasks } from "../../../api/data";
import { usageError } from "../../../errors/errors";
import { defineCommand } from "../../command";

export const dataSampleCommand = defineCommand({
  description: "Writes the sample tasks, which are made up by a script, and the tasks file that describes them.",
  arguments: [{ name: "[folder]", help: "where to write" }],
  options: {},
  examples: ["data sample my-sample/"],
  async run(_, terminal, [folder]) {
    if (!folder) throw usageError("data sample takes a folder to write to");
    await writeSampleTasks(folder);
    if (terminal.json) terminal.printJson({ folder });
    else terminal.print(`sample tasks written to ${folder}; try: flexbert data check --tasks ${folder}/tasks.yaml`);
  },
});
