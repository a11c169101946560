// flexbert tasks init: from files of rows to a tasks file.

import { initOptions, initTasks, type PlannedTask, planInit } from "../../../api/init";
import { printable } from "../../../errors/printable";
import { settingsOf } from "../../../options/settings";
import { dryRun } from "../../../settings/call";
import { defineCommand } from "../../command";
import { type Terminal, table } from "../../terminal";

export const tasksInitCommand = defineCommand({
  description:
    "Guesses what is in a file of rows (TSV, CSV or JSON lines, words in columns, a folder of seq.in and seq.out), shows it with three rows, and " +
    "writes a tasks file: columns, single texts or pairs, labels, values, tags or spans, and dev rows where there is no dev file. A tasks " +
    "file that is there stays as it is.",
  arguments: [{ name: "[files...]", help: "a train file; dev and test files, told by their names" }],
  options: { ...initOptions, ...dryRun },
  examples: [
    "tasks init reviews.csv",
    "tasks init train.tsv dev.tsv --name mood --columns text=body,label=mood",
    "tasks init ner.jsonl --labels O,B-PER,I-PER",
  ],
  async run(values, terminal, files) {
    const options = settingsOf(initOptions, values);
    const planned = await (values.dryRun ? planInit : initTasks)(files, options, terminal);
    if (terminal.json) terminal.printJson(planned);
    else print(planned, values.dryRun, terminal);
  },
});

function print({ content, next, file, ...task }: PlannedTask, dry: boolean, terminal: Terminal): void {
  const roles = Object.entries(task.columns);
  const head = roles.map(([role, column]) => `${role} (${typeof column === "number" ? `column ${column}` : column})`);
  terminal.print(`${task.task}: ${task.kind} of ${task.inputs === "pair" ? "pairs" : "single texts"}`);
  terminal.print(
    table(
      head.map(printable),
      task.examples.map((row) => roles.map(([role]) => printable((row[role] ?? "").slice(0, 60)))),
    ),
  );
  terminal.print(task.range ? `values from ${task.range.join(" to ")}` : labelsLine(task));
  const rows = Object.entries(task.splits).map(
    ([split, { rows, broken }]) => `${split} ${rows}${broken > 0 ? ` (and ${broken} broken)` : ""}`,
  );
  terminal.print(`rows: ${rows.join(", ")}`);
  if (dry) terminal.print(`\n${file} would hold:\n${content}`);
  else terminal.print(`written to ${file}. Look it over, then: ${next}`);
}

const SHOWN_LABELS = 12;

function labelsLine({ kind, labels }: Pick<PlannedTask, "kind" | "labels">): string {
  const shown = labels.slice(0, SHOWN_LABELS).map(({ label, rows }) => `${printable(label)} ${rows}`);
  const more = labels.length > SHOWN_LABELS ? [`${labels.length - SHOWN_LABELS} more`] : [];
  return `${labels.length} labels by ${kind === "tagging" ? "words or spans" : "rows"}: ${[...shown, ...more].join(", ")}`;
}
