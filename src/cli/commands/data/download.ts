// flexbert data download: GLUE's files from where they are published, a mirror, or a folder.

import path from "node:path";
import { downloadAll, downloadOptions, type PlannedDownload, planDownload } from "../../../api/download";
import type { DownloadedTask } from "../../../data/glue/download";
import { formatBytes } from "../../../files/atomic";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";
import { type Terminal, table } from "../../terminal";

export const dataDownloadCommand = defineCommand({
  description:
    "GLUE's files from where they are published, those of --task or all (376 MB with MNLI and QQP). Hashes and " +
    "row counts are checked; what is complete stays, an interrupted download goes on. --mirror, or FLEXBERT_GLUE_MIRROR, " +
    "names another host, or a folder with files fetched by hand.",
  options: { ...downloadOptions, ...dryRun },
  excess: (given) => `data download takes no folder "${given}". Say where data lies with --glue-data`,
  examples: [
    "data download --task rte,mrpc",
    "data download --task all --dry-run",
    "data download --task rte --mirror fetched/",
  ],
  async run(values, terminal) {
    const options = settingsOf(downloadOptions, values);
    if (values.dryRun) return printPlan(await planDownload(options), terminal);
    const { done, failure } = await downloadAll(options, terminal, (task) => {
      if (!terminal.json) print(task, terminal);
    });
    if (terminal.json) terminal.printJson(done);
    if (failure) throw failure;
  },
});

function print({ task, state, files }: DownloadedTask, terminal: Terminal): void {
  const rows = files.map(({ split, rows: count }) => `${split} ${count}`).join(", ");
  const folder = path.dirname(files[0]?.path ?? "");
  terminal.print(`${task}: ${state === "present" ? "already complete" : "downloaded"} in ${folder} (rows: ${rows})`);
}

function printPlan(plan: readonly PlannedDownload[], terminal: Terminal): void {
  if (terminal.json) {
    terminal.printJson(plan);
    return;
  }
  const rows = plan.flatMap(({ task, folder, missing, files }) =>
    files.map((file) => [
      task,
      file.from,
      formatBytes(file.bytes),
      missing.length > 0 ? `${folder} (lacks ${missing.join(", ")})` : `${folder} (there)`,
    ]),
  );
  terminal.print(table(["task", "from", "size", "to"], rows));
  const bytes = plan
    .filter(({ missing }) => missing.length > 0)
    .reduce((sum, { files }) => sum + files.reduce((all, file) => all + file.bytes, 0), 0);
  terminal.print(`to fetch: ${formatBytes(bytes)}`);
}
