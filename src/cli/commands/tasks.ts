// flexbert tasks: what tasks there are, where their data lies, and the schema of a task file.

import { userTasks } from "../../api/session";
import { toggle } from "../../options/option";
import { taskOptions } from "../../settings/tasks";
import { defineCommand } from "../command";
import { table } from "../terminal";

export const tasksCommand = defineCommand({
  description: "The nine GLUE tasks and AX, and the tasks of your own file. GLUE's files lie under --glue-data.",
  options: {
    tasks: taskOptions.tasks,
    glueData: taskOptions.glueData,
    schema: toggle({ flag: "--schema", help: "print the JSON Schema of a task file", inConfig: false }),
  },
  examples: ["tasks", "tasks --tasks glue-data/sample/tasks.yaml", "tasks --schema > tasks.schema.json"],
  async run(values, terminal) {
    if (values.schema) {
      const { userTasksJsonSchema } = await import("../../tasks/user-tasks.js");
      terminal.printJson(userTasksJsonSchema());
      return;
    }
    const { knownTasks } = await import("../../tasks/registry.js");
    const { findSplitFile } = await import("../../data/read-split.js");
    const tasks = knownTasks(await userTasks(values));
    const described = tasks.map((task) => ({
      name: task.name,
      kind: task.kind,
      inputs: task.inputs,
      labels: task.labels,
      range: task.range ?? null,
      metric: task.metric,
      splits: Object.fromEntries(
        Object.keys(task.splits).map((split) => [
          split,
          findSplitFile(task, split as keyof typeof task.splits, values.glueData),
        ]),
      ),
    }));
    if (terminal.json) {
      terminal.printJson(described);
      return;
    }
    const rows = described.map((task) => {
      const found = Object.entries(task.splits).filter(([, file]) => file !== null);
      const labels = task.kind === "regression" ? `${task.range?.join(" to ") ?? "a number"}` : task.labels.join(", ");
      return [task.name, task.inputs, task.metric, shorten(labels, 48), found.map(([split]) => split).join(" ") || "-"];
    });
    terminal.print(table(["task", "inputs", "metric", "labels", "data found"], rows));
  },
});

const shorten = (text: string, width: number) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);
