// flexbert eval: scores of a merged model or a run on dev rows, with per-class report and confusion matrix.

import { evaluate, evaluateOptions, type TaskScores } from "../../api/evaluate";
import { formatMetrics, formatScore, formatSeconds, formatUntuned } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const evalCommand = defineCommand({
  options: evaluateOptions,
  examples: [
    "eval --model merged/",
    "eval --model merged/ --task mnli --split dev_mismatched",
    "eval --model checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d --json",
  ],
  async run(values, terminal) {
    const { tasks, engine, seconds, tokens } = await evaluate(settingsOf(evaluateOptions, values), terminal);
    if (terminal.json) terminal.printJson(tasks);
    else await print(tasks, terminal);
    const rows = tasks.reduce((sum, task) => sum + task.rows, 0);
    terminal.reporter.log(
      `${rows} rows in ${formatSeconds(seconds)}, ${Math.round(tokens / seconds)} tokens a second, engine ${engine}`,
    );
  },
});

async function print(scores: readonly TaskScores[], terminal: Terminal): Promise<void> {
  for (const { task, split, rows, skipped, metrics, untuned, classes, confusion } of scores) {
    const left = skipped > 0 ? `, ${skipped} broken rows left out` : "";
    const beside = untuned ? `, ${formatUntuned(untuned)}` : "";
    terminal.print(`${task} on ${rows} ${split} rows${left}: ${formatMetrics(Object.entries(metrics))}${beside}`);
    if (!classes) continue;
    const lines = classes.map(({ label, precision, recall, f1, support }, id) => [
      label,
      formatScore(precision),
      formatScore(recall),
      formatScore(f1),
      support,
      ...(confusion?.[id] ?? []),
    ]);
    const predicted = confusion ? classes.map(({ label }) => `as ${label}`) : [];
    terminal.print(`${table(["label", "precision", "recall", "f1", "rows", ...predicted], lines)}\n`);
  }
}
