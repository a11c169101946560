// flexbert data check: what is worth knowing of task data before training on it.

import { checkDataOptions, checkEach } from "../../../api/data";
import type { DataReport, SplitReport } from "../../../data/check";
import { dataError } from "../../../errors/errors";
import { settingsOf } from "../../../options/settings";
import { defineCommand } from "../../command";
import { type Terminal, table } from "../../terminal";

export const dataCheckCommand = defineCommand({
  description:
    "Rows, label balance, lengths, share cut to --max-length, duplicates, rows that dev or test share with train, broken " +
    "rows with their line numbers. Exit code 3 where rows are broken. This is what flexbert data does by itself.",
  options: checkDataOptions,
  excess: (given) => `data check takes no folder "${given}". Say where data lies with --glue-data`,
  examples: ["data check --task rte", "data check --tasks my-tasks.yaml --json"],
  async run(values, terminal) {
    const reports: DataReport[] = [];
    for await (const report of checkEach(settingsOf(checkDataOptions, values), terminal)) {
      reports.push(report);
      if (!terminal.json) printReport(report, terminal);
    }
    if (terminal.json) terminal.printJson(reports);
    const broken = reports.flatMap(({ task, splits }) =>
      splits.filter(({ broken }) => broken.length > 0).map(({ path }) => `${task}: ${path}`),
    );
    if (broken.length > 0)
      throw dataError(`broken rows in ${broken.join(", ")}. Mend them, or train with --skip-broken-rows`);
  },
});

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function printReport({ task, splits, missing }: DataReport, terminal: Terminal): void {
  terminal.print(`${task}${missing.length > 0 ? ` (no file for ${missing.join(", ")})` : ""}`);
  const rows = splits.map((split) => [
    `  ${split.split}`,
    split.expectedRows !== null && split.expectedRows !== split.rows + split.brokenRows
      ? `${split.rows} (expected ${split.expectedRows})`
      : split.rows,
    `${split.lengths.mean.toFixed(1)} / ${split.lengths.p95} / ${split.lengths.max}`,
    split.truncatedShare === null ? "-" : percent(split.truncatedShare),
    split.duplicates.length,
    split.leaks.length,
    split.brokenRows,
    balance(split),
  ]);
  terminal.print(
    table(["  split", "rows", "tokens mean/p95/max", "cut", "duplicates", "also in train", "broken", "labels"], rows),
  );
  for (const { path, broken, warnings, leaks, duplicates } of splits) {
    for (const warning of warnings) terminal.reporter.warn(warning);
    for (const { line, reason } of broken.slice(0, 5)) terminal.print(`  ${path}, line ${line}: ${reason}`);
    const against = [...leaks, ...duplicates].filter(({ contradicts }) => contradicts).length;
    if (against > 0) terminal.print(`  ${path}: ${against} repeated rows have another label than the first`);
  }
  terminal.print("");
}

function balance({ labels, values }: SplitReport): string {
  if (labels) {
    const shown = labels.slice(0, 4).map(({ label, share }) => `${label} ${percent(share)}`);
    return shown.join(", ") + (labels.length > 4 ? `, ${labels.length - 4} more` : "");
  }
  return values ? `${values.min} to ${values.max}, mean ${values.mean.toFixed(2)}` : "none";
}
