// flexbert tasks list: what tasks there are, where their data lies, and the schema of a task file.

import { listTasks, listTasksOptions } from "../../../api/tasks";
import { toggle } from "../../../options/option";
import { settingsOf } from "../../../options/settings";
import { defineCommand } from "../../command";
import { table } from "../../terminal";

export const tasksListCommand = defineCommand({
  description: "The nine GLUE tasks and AX, and the tasks of your own file. GLUE's files lie under --glue-data.",
  options: {
    ...listTasksOptions,
    schema: toggle({ flag: "--schema", help: "print the JSON Schema of a task file", inConfig: false }),
  },
  examples: ["tasks list", "tasks list --tasks glue-data/sample/tasks.yaml", "tasks list --schema > tasks.schema.json"],
  async run(values, terminal) {
    if (values.schema) {
      const { userTasksJsonSchema } = await import("../../../tasks/user-tasks.js");
      terminal.printJson(userTasksJsonSchema());
      return;
    }
    const described = await listTasks(settingsOf(listTasksOptions, values));
    if (terminal.json) {
      terminal.printJson(described);
      return;
    }
    const rows = described.map((task) => {
      const found = Object.entries(task.splits).filter(([, file]) => file !== null);
      const labels = task.labels.join(", ") || (task.range?.join(" to ") ?? "its train file's");
      return [task.name, task.inputs, task.metric, shorten(labels, 48), found.map(([split]) => split).join(" ") || "-"];
    });
    terminal.print(table(["task", "inputs", "metric", "labels", "data found"], rows));
  },
});

const shorten = (text: string, width: number) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);
