// flexbert data: GLUE's files to where they belong, and what is worth knowing of task data before training on it.

import { chosenTasks, outlineBaseOf } from "../../api/session";
import type { DataReport, SplitReport } from "../../data/check";
import { dataError, usageError } from "../../errors/errors";
import { optional, toggle } from "../../options/option";
import { text } from "../../options/readers";
import { baseOptions } from "../../settings/base";
import { dryRun, offline } from "../../settings/call";
import { taskOptions } from "../../settings/tasks";
import { maxLength } from "../../settings/training";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const dataCommand = defineCommand({
  summary: "download GLUE; check task data: rows, labels, leaks",
  description:
    "check: rows, label balance, lengths, share cut to --max-length, duplicates, rows that dev or test share with train, " +
    "broken rows with their line numbers. Exit code 3 where rows are broken.\n\n" +
    "download: GLUE's files from where they are published, those of --task or all (376 MB with MNLI and QQP). Hashes and " +
    "row counts are checked; what is complete stays, an interrupted download goes on. --mirror, or FLEXBERT_GLUE_MIRROR, " +
    "names another host, or a folder with files fetched by hand.\n\n" +
    "sample: writes the sample tasks, which are made up by a script, to a folder.",
  arguments: [
    { name: "[action]", help: "check (when left out), download or sample" },
    { name: "[folder]", help: "for sample: where to write" },
  ],
  options: {
    ...taskOptions,
    base: {
      ...baseOptions.base,
      fallback: "",
      read: (given: unknown) => String(given),
      help: "count tokens with this base's vocabulary",
    },
    ...maxLength,
    mirror: optional(text, {
      flag: "--mirror",
      value: "<address>",
      help: "download: from this host, which has the official paths or all files beside each other, or this folder",
    }),
    force: toggle({ flag: "--force", short: "-f", help: "download: replace files that are there", inConfig: false }),
    ...offline,
    ...dryRun,
  },
  examples: [
    "data download --task rte,mrpc",
    "data download --task all --dry-run",
    "data check --task rte",
    "data check --tasks my-tasks.yaml --json",
    "data sample my-sample/",
  ],
  async run(values, terminal, [action = "check", folder]) {
    if (action !== "sample" && folder !== undefined)
      throw usageError(`data ${action} takes no folder "${folder}". Say where data lies with --glue-data`);
    if (action === "download") return (await import("./data-download.js")).downloadData(values, terminal);
    if (action === "sample") return writeSampleTo(folder, terminal);
    if (action !== "check")
      throw usageError(`data takes check, download or sample, not ${action}. Run: flexbert data --help`);
    const { findSplitFile } = await import("../../data/read-split.js");
    const { splitNames } = await import("../../tasks/task.js");
    const { checkTask } = await import("../../data/check.js");
    const found = (split: (typeof splitNames)[number], task: Parameters<typeof findSplitFile>[0]) =>
      findSplitFile(task, split, values.glueData);
    const tasks = await chosenTasks(values, (task) => splitNames.some((split) => found(split, task) !== null));
    if (tasks.length === 0)
      throw dataError(
        `no task has data in ${values.glueData}. Run: flexbert data download, or give --glue-data, or --tasks with your own tasks`,
      );
    const { createTokenizer } = await import("../../tokenizer/tokenizer.js");
    const { embeddedVocabulary } = await import("../../tokenizer/vocabulary.js");
    const settings = values.base
      ? (await outlineBaseOf(values, terminal)).tokenizer
      : { tokens: embeddedVocabulary(), lowerCase: true };
    const tokenizer = createTokenizer(settings);
    const reports: DataReport[] = [];
    for (const task of tasks) {
      const report = await checkTask(task, {
        glueData: values.glueData,
        encodeLength: ({ text, pair }) => {
          const { ids, truncated } = tokenizer.encode(text, pair, values.maxLength);
          return { length: ids.length + truncated, truncated };
        },
      });
      reports.push(report);
      if (!terminal.json) printReport(report, terminal);
    }
    if (terminal.json) terminal.printJson(reports);
    const broken = reports.flatMap(({ task, splits }) =>
      splits.filter((split) => split.broken.length > 0).map(({ path }) => `${task}: ${path}`),
    );
    if (broken.length > 0)
      throw dataError(`broken rows in ${broken.join(", ")}. Mend them, or train with --skip-broken-rows`);
  },
});

async function writeSampleTo(folder: string | undefined, terminal: Terminal): Promise<void> {
  if (!folder) throw usageError("data sample takes a folder to write to");
  const { sampleSeed, writeSample } = await import("../../data/sample/sample.js");
  await writeSample(folder, sampleSeed);
  if (terminal.json) terminal.printJson({ folder });
  else terminal.print(`sample tasks written to ${folder}; try: flexbert data check --tasks ${folder}/tasks.yaml`);
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function printReport({ task, splits, missing }: DataReport, terminal: Terminal): void {
  terminal.print(`${task}${missing.length > 0 ? ` (no file for ${missing.join(", ")})` : ""}`);
  const rows = splits.map((split) => [
    `  ${split.split}`,
    split.expectedRows !== null && split.expectedRows !== split.rows + split.broken.length
      ? `${split.rows} (expected ${split.expectedRows})`
      : split.rows,
    `${split.lengths.mean.toFixed(1)} / ${split.lengths.p95} / ${split.lengths.max}`,
    split.truncatedShare === null ? "-" : percent(split.truncatedShare),
    split.duplicates.length,
    split.leaks.length,
    split.broken.length,
    balance(split),
  ]);
  terminal.print(
    table(["  split", "rows", "tokens mean/p95/max", "cut", "duplicates", "also in train", "broken", "labels"], rows),
  );
  for (const { path, broken, leaks, duplicates } of splits) {
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
