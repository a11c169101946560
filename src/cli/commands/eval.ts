// flexbert eval: scores of a merged model or a run on dev rows, with per-class report and confusion matrix.

import path from "node:path";
import { modelOptions, openServedModel } from "../../api/open-model";
import { tasksFileOf } from "../../api/session";
import { dataError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { formatScore, formatSeconds } from "../../messages/quantities";
import { option, optional } from "../../options/option";
import { choice, text } from "../../options/readers";
import type { Evaluation } from "../../predict/evaluate";
import { samples, taskOptions } from "../../settings/tasks";
import { type SplitName, splitNames, type Task } from "../../tasks/task";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const evalCommand = defineCommand({
  summary: "score a merged model or a run on dev rows",
  options: {
    ...modelOptions,
    glueData: taskOptions.glueData,
    split: option(choice(splitNames), {
      flag: "--split",
      value: "<name>",
      help: splitNames.join(", "),
      fallback: "dev",
    }),
    maxEvalSamples: samples.maxEvalSamples,
    skipBrokenRows: samples.skipBrokenRows,
    predictions: optional(text, {
      flag: "--predictions",
      value: "<file>",
      help: "write every row's label and logits as JSON lines",
    }),
  },
  examples: [
    "eval --model merged/",
    "eval --model merged/ --task mnli --split dev_mismatched",
    "eval --model checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d --json",
  ],
  async run(values, terminal) {
    const names = values.task === "all" ? undefined : values.task?.split(",").map((name) => name.trim());
    const { evaluateTask } = await import("../../predict/evaluate.js");
    const { model, context, taskOf } = await openServedModel(values, names, terminal);
    const evaluations: Evaluation[] = [];
    const started = performance.now();
    let tokens = 0;
    try {
      const tasks = model.tasks.map(({ name }) => taskOf(name));
      if (!tasks.some(({ splits }) => splits[values.split])) throw noneHasSplit(model.folder, tasks, values);
      for (const task of tasks) {
        if (!task.splits[values.split]) {
          if (names)
            throw dataError(`${task.name} has no ${values.split} split, only ${Object.keys(task.splits).join(", ")}`);
          continue;
        }
        const options = {
          signal: terminal.signal,
          onRows: (_: number, read: number) => {
            tokens += read;
          },
          split: values.split,
          glueData: values.glueData,
          skipBroken: values.skipBrokenRows,
          ...(values.maxEvalSamples === undefined ? {} : { maxRows: values.maxEvalSamples }),
        };
        evaluations.push(await evaluateTask(model, task, options));
      }
    } finally {
      model.dispose();
    }
    if (values.predictions !== undefined) await writePredictions(values.predictions, evaluations);
    await report(evaluations, terminal);
    const seconds = (performance.now() - started) / 1000;
    const rows = evaluations.reduce((sum, evaluation) => sum + evaluation.rows, 0);
    terminal.reporter.log(
      `${rows} rows in ${formatSeconds(seconds)}, ${Math.round(tokens / seconds)} tokens a second, engine ${context.engine.summary}`,
    );
  },
});

interface SplitValues {
  readonly split: SplitName;
  readonly glueData: string;
  readonly tasks: string | undefined;
}

/** No score at all is no result: says of each task which files it has, and who says so. */
function noneHasSplit(folder: string, tasks: readonly Task[], { split, glueData, ...values }: SplitValues): Error {
  const has = tasks.map(({ name, folder: place, splits }) => {
    const source = place === "" ? (tasksFileOf(values) ?? "its tasks file") : path.join(glueData, place);
    return `${name} has ${Object.keys(splits).join(", ")} (${source})`;
  });
  const own = split === "test" && tasks.some((task) => task.folder === "");
  return dataError(
    `no task of ${folder} has a ${split} file: ${has.join("; ")}. Give another --split` +
      `${own ? ", or name the file under files in the tasks file" : ""}`,
  );
}

async function report(evaluations: readonly Evaluation[], terminal: Terminal): Promise<void> {
  if (terminal.json) {
    terminal.printJson(evaluations.map(({ examples: _, logits: __, ...rest }) => rest));
    return;
  }
  const { describeMetrics } = await import("../../training/loop/train-branch.js");
  for (const { task, split, rows, skipped, metrics, classes, confusion } of evaluations) {
    const left = skipped > 0 ? `, ${skipped} broken rows left out` : "";
    terminal.print(`${task} on ${rows} ${split} rows${left}: ${describeMetrics(metrics)}`);
    if (!classes || !confusion) continue;
    const lines = classes.map(({ label, precision, recall, f1, support }, id) => [
      label,
      formatScore(precision),
      formatScore(recall),
      formatScore(f1),
      support,
      ...(confusion[id] ?? []),
    ]);
    terminal.print(
      `${table(["label", "precision", "recall", "f1", "rows", ...classes.map(({ label }) => `as ${label}`)], lines)}\n`,
    );
  }
}

async function writePredictions(file: string, evaluations: readonly Evaluation[]): Promise<void> {
  const lines = evaluations.flatMap(({ task, examples, logits }) => {
    const width = logits.length / Math.max(1, examples.length);
    return examples.map(({ index, label }, row) =>
      JSON.stringify({ task, index, label, logits: Array.from(logits.subarray(row * width, (row + 1) * width)) }),
    );
  });
  await writeFileAtomic(file, `${lines.join("\n")}\n`);
}
