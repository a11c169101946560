// flexbert history: the versions of a merged folder, newest first.

import { history, historyOptions } from "../../api/merge/history";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";
import { table } from "../terminal";

export const historyCommand = defineCommand({
  description:
    "Lists every change of the folder: which version it made the current one, when, by which command, with its tags and its " +
    "note. A version is the hash of its manifest; the same tasks of the same runs are the same version.",
  options: historyOptions,
  examples: ["history --merged merged/", "history --merged merged/ --json"],
  async run(values, terminal) {
    const entries = await history(settingsOf(historyOptions, values));
    if (terminal.json) return terminal.printJson(entries);
    const rows = [...entries]
      .reverse()
      .map(({ version, time, command, tags, note, isCurrent, isThere, tasks }) => [
        `${isCurrent ? "*" : " "} ${version}`,
        time.slice(0, 19).replace("T", " "),
        command,
        isThere ? (tasks?.length ?? "?") : "removed",
        tags.join(", "),
        note ?? "",
      ]);
    terminal.print(table(["version", "time (UTC)", "command", "tasks", "tags", "note"], rows));
  },
});
