// flexbert rollback: an earlier version of a merged folder becomes the current one.

import { rollback, rollbackOptions } from "../../api/merge/history";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";

export const rollbackCommand = defineCommand({
  description:
    "Makes another version the current one: by default the one before the change that made this one, so that a second " +
    "rollback goes further back. Nothing is computed or copied but model.onnx and the model card; nothing is lost: flexbert " +
    "history shows what was current, and rollback goes there too.",
  arguments: [{ name: "[version]", help: "a version's hash, its beginning, or a tag" }],
  options: rollbackOptions,
  examples: [
    "rollback --merged merged/",
    "rollback 1f3a9c02 --merged merged/",
    "rollback prod --merged merged/ --json",
  ],
  async run(values, terminal, [version]) {
    const options = settingsOf(rollbackOptions, values);
    const result = await rollback({ ...options, version }, terminal);
    if (terminal.json) return terminal.printJson(result);
    const { from, tasks } = result;
    terminal.print(`${values.merged}: version ${result.version} (was ${from}), tasks ${tasks.join(", ") || "none"}`);
  },
});
