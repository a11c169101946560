// flexbert submit: a merged model's predictions for GLUE's test sets, as the zip that the site takes.

import { type PlannedSubmission, planSubmission, type Submission, submit, submitOptions } from "../../api/submit";
import { formatBytes } from "../../files/atomic";
import { formatSeconds } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { dryRun, offline } from "../../settings/call";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const submitCommand = defineCommand({
  description:
    "Predicts the test sets and writes the zip of gluebenchmark.com: 11 files, each with the test file's own indices and " +
    "the site's spelling of labels; AX is predicted with mnli. Tasks, labels and rows are checked before the first row " +
    "is predicted. Finished files are kept beside the zip until it is written: a stopped command goes on.",
  options: { ...submitOptions, ...offline, ...dryRun },
  examples: [
    "submit --merged merged/",
    "submit --merged merged/ --fill-missing --out glue.zip",
    "submit --merged merged/ --dry-run",
  ],
  async run(values, terminal) {
    const options = settingsOf(submitOptions, values);
    if (values.dryRun) return printPlan(await planSubmission(options, terminal), terminal);
    const started = performance.now();
    const written = await submit(options, terminal);
    report(written, terminal);
    const { files } = written;
    terminal.reporter.log(`${files.length} files in ${formatSeconds((performance.now() - started) / 1000)}`);
  },
});

function printPlan(files: readonly PlannedSubmission[], terminal: Terminal): void {
  if (terminal.json) terminal.printJson({ files });
  else
    terminal.print(
      table(
        ["file", "rows", "predicted with", "test file"],
        files.map(({ name, rows, predictedWith, testFile }) => [name, rows, predictedWith ?? "a constant", testFile]),
      ),
    );
}

function report(written: Submission, terminal: Terminal): void {
  if (terminal.json) {
    terminal.printJson(written);
    return;
  }
  const { out, bytes, files } = written;
  const shown = files.map(({ name, rows, predictedWith, predictions }) => {
    const described =
      "labels" in predictions
        ? predictions.labels
            .map(({ prediction, count }) => `${prediction} ${((100 * count) / rows).toFixed(1)} %`)
            .join(", ")
        : `${predictions.min} to ${predictions.max}, mean ${predictions.mean.toFixed(3)}`;
    return [name, rows, predictedWith ?? "a constant", described];
  });
  terminal.print(table(["file", "rows", "predicted with", "predictions"], shown));
  terminal.print(`${out}: ${formatBytes(bytes)}, ${files.length} files as gluebenchmark.com takes them`);
}
