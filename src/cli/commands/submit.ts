// flexbert submit: a merged model's predictions for GLUE's test sets, as the zip that the site takes.

import { existsSync, statSync } from "node:fs";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { openServedModel } from "../../api/open-model";
import type { EngineValues } from "../../api/session";
import { usageError } from "../../errors/errors";
import { formatBytes, isLeftover, writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { formatSeconds } from "../../messages/quantities";
import { option, toggle } from "../../options/option";
import { text } from "../../options/readers";
import type { PlannedFile } from "../../predict/glue-submission";
import type { ServedModel } from "../../predict/model";
import { dryRun, offline } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { taskOptions } from "../../settings/tasks";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

interface SubmitValues extends EngineValues {
  readonly merged: string;
  readonly out: string;
  readonly glueData: string;
}

export const submitCommand = defineCommand({
  summary: "a merged model's predictions as GLUE's site takes them",
  description:
    "Predicts the test sets and writes the zip of gluebenchmark.com: 11 files, each with the test file's own indices and " +
    "the site's spelling of labels; AX is predicted with mnli. Tasks, labels and rows are checked before the first row " +
    "is predicted. Finished files are kept beside the zip until it is written: a stopped command goes on.",
  options: {
    merged: option(text, {
      flag: "--merged",
      short: "-m",
      value: "<folder>",
      help: "the merged model",
      fallback: "merged",
    }),
    out: option(text, {
      flag: "--out",
      short: "-o",
      value: "<file>",
      help: "the zip to write",
      fallback: "submission.zip",
    }),
    fillMissing: toggle({
      flag: "--fill-missing",
      help: "fill the files of tasks that the model lacks with one constant label, and say so",
    }),
    glueData: taskOptions.glueData,
    ...engineOptions,
    ...offline,
    ...dryRun,
  },
  examples: [
    "submit --merged merged/",
    "submit --merged merged/ --fill-missing --out glue.zip",
    "submit --merged merged/ --dry-run",
  ],
  async run(values, terminal) {
    if (existsSync(values.out) && statSync(values.out).isDirectory())
      throw usageError(
        `--out ${values.out} is a folder: it takes the file to write, such as ${path.join(values.out, "submission.zip")}`,
      );
    const { readManifest } = await import("../../merge/folder/manifest.js");
    const { submissionFiles } = await import("../../data/glue/submission.js");
    const { planSubmission } = await import("../../predict/glue-submission.js");
    const plan = await planSubmission(await readManifest(values.merged), submissionFiles(), values);
    sayFilled(plan, terminal);
    if (values.dryRun) return printPlan(plan, terminal);
    const started = performance.now();
    const contents = await predictAll(plan, values, terminal);
    const { checkSubmissionFile } = await import("../../data/glue/submission.js");
    for (const file of plan) checkSubmissionFile(file, contents[file.name] as string);
    const { writeZip } = await import("../../files/zip-write.js");
    await writeZip(values.out, contents);
    await removeParts(values.out);
    await report(plan, contents, values.out, terminal);
    terminal.reporter.log(`${plan.length} files in ${formatSeconds((performance.now() - started) / 1000)}`);
  },
});

const partsFolder = (out: string) => `${out}.parts`;

async function removeParts(out: string): Promise<void> {
  const folder = partsFolder(out);
  const parts = (await readdir(folder)).filter((name) => /-[0-9a-f]{8}\.tsv$/.test(name) || isLeftover(name));
  for (const name of parts) await rm(path.join(folder, name), { force: true });
  await rmdir(folder).catch(() => {}); // holds what somebody else put there
}

/** Not hidden by --quiet: nobody may take a constant for a prediction. */
function sayFilled(plan: readonly PlannedFile[], terminal: Terminal): void {
  const filled = plan.filter(({ predictedWith }) => predictedWith === null).map(({ name }) => name);
  if (filled.length > 0) terminal.reporter.warn(`not predicted, but filled with one constant: ${filled.join(", ")}`);
}

/** Contents by file name. Each finished file is kept, so that a repeated command predicts only the others. */
async function predictAll(
  plan: readonly PlannedFile[],
  values: SubmitValues,
  terminal: Terminal,
): Promise<Record<string, string>> {
  const { predictFile } = await import("../../predict/glue-submission.js");
  const parts = partsFolder(values.out);
  await makeFolder(parts);
  const partOf = ({ name, id }: PlannedFile) => `${path.parse(name).name}-${id}.tsv`;
  const kept = new Set((await readdir(parts)).filter((name) => plan.some((file) => partOf(file) === name)));
  const isKept = (file: PlannedFile) => kept.has(partOf(file));
  if (kept.size > 0) terminal.reporter.log(`${kept.size} of ${plan.length} files are there from before, in ${parts}`);
  const names = [...new Set(plan.filter((file) => !isKept(file)).flatMap(({ predictedWith }) => predictedWith ?? []))];
  const rows = plan.filter((file) => !isKept(file) && file.predictedWith).reduce((sum, file) => sum + file.rows, 0);
  const model = names.length > 0 ? await openModelOf(values, names, terminal) : null;
  const bar = terminal.reporter.progress("submit", rows);
  const contents: Record<string, string> = {};
  try {
    for (const file of plan) {
      const part = path.join(parts, partOf(file));
      if (!isKept(file)) {
        const onRows = (count: number) => bar.advance(count, file.name);
        await writeFileAtomic(
          part,
          await predictFile(model, file, { glueData: values.glueData, signal: terminal.signal, onRows }),
        );
      }
      contents[file.name] = await readFile(part, "utf8");
    }
  } finally {
    bar.end();
    model?.dispose();
  }
  return contents;
}

async function openModelOf(values: SubmitValues, names: readonly string[], terminal: Terminal): Promise<ServedModel> {
  const { merged, engine, threads } = values;
  return (await openServedModel({ model: merged, tasks: undefined, base: undefined, engine, threads }, names, terminal))
    .model;
}

function printPlan(plan: readonly PlannedFile[], terminal: Terminal): void {
  const files = plan.map(({ name, testFile, rows, predictedWith }) => ({ name, rows, predictedWith, testFile }));
  if (terminal.json) terminal.printJson({ files });
  else
    terminal.print(
      table(
        ["file", "rows", "predicted with", "test file"],
        files.map(({ name, rows, predictedWith, testFile }) => [name, rows, predictedWith ?? "a constant", testFile]),
      ),
    );
}

async function report(
  plan: readonly PlannedFile[],
  contents: Readonly<Record<string, string>>,
  out: string,
  terminal: Terminal,
): Promise<void> {
  const { describePredictions } = await import("../../data/glue/submission.js");
  const { sha256File } = await import("../../files/hash.js");
  const files = plan.map(({ name, task, rows, predictedWith }) => ({
    name,
    rows,
    predictedWith,
    predictions: describePredictions(task, contents[name] as string),
  }));
  const bytes = statSync(out).size;
  if (terminal.json) {
    terminal.printJson({ out, bytes, sha256: await sha256File(out), files });
    return;
  }
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
  terminal.print(`${out}: ${formatBytes(bytes)}, ${plan.length} files as gluebenchmark.com takes them`);
}
