// A merged model's predictions for GLUE's test sets, as the zip that the site takes.

import { existsSync, statSync } from "node:fs";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import type { Predictions } from "../data/glue/submission";
import { usageError } from "../errors/errors";
import { isLeftover, writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { type Given, readGiven } from "../options/given";
import { option, toggle, type Values } from "../options/option";
import { text } from "../options/readers";
import type { PlannedFile } from "../predict/glue-submission";
import { engineOptions } from "../settings/engine";
import { modelFolder, versionOption } from "../settings/model";
import { taskOptions } from "../settings/tasks";
import { type Call, type Caller, callOf } from "./caller";
import { openServedModel, type ServedTasks } from "./served-model";

export const submitOptions = {
  merged: option(text, {
    ...modelFolder("--merged"),
    help: "the merged model",
    fallback: "merged",
  }),
  ...versionOption,
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
};

export type SubmitOptions = Given<typeof submitOptions>;
type SubmitValues = Values<typeof submitOptions>;

/** What a file of the zip is made of: rows of the test file, and the task that predicts them, null for a constant. */
export type PlannedSubmission = Pick<PlannedFile, "name" | "rows" | "predictedWith" | "testFile">;

export interface Submission {
  readonly out: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly files: readonly (Pick<PlannedFile, "name" | "rows" | "predictedWith"> & {
    /** Counts by label, or the range of values. */
    readonly predictions: Predictions;
  })[];
}

/** What the zip would hold. Throws UserError (3, 4) for all that is wrong with tasks, labels and test files. */
export async function planSubmission(
  options: SubmitOptions = {},
  caller: Caller = {},
): Promise<readonly PlannedSubmission[]> {
  const { plan } = await planFiles(readGiven(submitOptions, options), callOf(caller));
  return plan.map(({ name, testFile, rows, predictedWith }) => ({ name, rows, predictedWith, testFile }));
}

/** Predicts and writes the zip. Files that are finished are kept beside it until all are, so that stopped work goes on. */
export async function submit(options: SubmitOptions = {}, caller: Caller = {}): Promise<Submission> {
  const call = callOf(caller);
  const values = readGiven(submitOptions, options);
  const { plan, version } = await planFiles(values, call);
  const contents = await predictAll(plan, { ...values, version }, call);
  const { checkSubmissionFile, describePredictions } = await import("../data/glue/submission.js");
  for (const file of plan) checkSubmissionFile(file, contents[file.name] as string);
  const { writeZip } = await import("../files/zip-write.js");
  const { sha256File } = await import("../files/hash.js");
  await writeZip(values.out, contents);
  await removeParts(values.out);
  const files = plan.map(({ name, task, rows, predictedWith }) => ({
    name,
    rows,
    predictedWith,
    predictions: describePredictions(task, contents[name] as string),
  }));
  return { out: values.out, bytes: statSync(values.out).size, sha256: await sha256File(values.out), files };
}

/** The version is the one that the files are planned for: another may be the current one when they are predicted. */
async function planFiles(
  values: SubmitValues,
  call: Call,
): Promise<{ readonly plan: readonly PlannedFile[]; readonly version: string }> {
  if (existsSync(values.out) && statSync(values.out).isDirectory())
    throw usageError(
      `--out ${values.out} is a folder: it takes the file to write, such as ${path.join(values.out, "submission.zip")}`,
    );
  const { readVersion } = await import("../merge/folder/version.js");
  const { submissionFiles } = await import("../data/glue/submission.js");
  const predict = await import("../predict/glue-submission.js");
  const { id, manifest } = await readVersion(values.merged, { version: values.version });
  const plan = await predict.planSubmission(manifest, submissionFiles(), values);
  // Not hidden by --quiet: nobody may take a constant for a prediction.
  const filled = plan.filter(({ predictedWith }) => predictedWith === null).map(({ name }) => name);
  if (filled.length > 0) call.reporter.warn(`not predicted, but filled with one constant: ${filled.join(", ")}`);
  return { plan, version: id };
}

const partsFolder = (out: string) => `${out}.parts`;

async function removeParts(out: string): Promise<void> {
  const folder = partsFolder(out);
  const parts = (await readdir(folder)).filter((name) => /-[0-9a-f]{8}\.tsv$/.test(name) || isLeftover(name));
  for (const name of parts) await rm(path.join(folder, name), { force: true });
  await rmdir(folder).catch(() => {}); // holds what somebody else put there
}

/** Contents by file name. Each finished file is kept, so that a repeated call predicts only the others. */
async function predictAll(
  plan: readonly PlannedFile[],
  values: SubmitValues,
  call: Call,
): Promise<Record<string, string>> {
  const { predictFile } = await import("../predict/glue-submission.js");
  const parts = partsFolder(values.out);
  await makeFolder(parts);
  const partOf = ({ name, id }: PlannedFile) => `${path.parse(name).name}-${id}.tsv`;
  const kept = new Set((await readdir(parts)).filter((name) => plan.some((file) => partOf(file) === name)));
  const isKept = (file: PlannedFile) => kept.has(partOf(file));
  if (kept.size > 0) call.reporter.log(`${kept.size} of ${plan.length} files are there from before, in ${parts}`);
  const names = [...new Set(plan.filter((file) => !isKept(file)).flatMap(({ predictedWith }) => predictedWith ?? []))];
  const rows = plan.filter((file) => !isKept(file) && file.predictedWith).reduce((sum, file) => sum + file.rows, 0);
  const opened = names.length > 0 ? await openMerged(values, names, call) : null;
  const bar = call.reporter.progress("submit", rows);
  const contents: Record<string, string> = {};
  try {
    for (const file of plan) {
      const part = path.join(parts, partOf(file));
      if (!isKept(file)) {
        const onRows = (count: number) => bar.advance(count, file.name);
        const options = { glueData: values.glueData, signal: call.signal, onRows };
        await writeFileAtomic(part, await predictFile(opened?.model ?? null, file, options));
      }
      contents[file.name] = await readFile(part, "utf8");
    }
  } finally {
    bar.end();
    opened?.model.dispose();
    opened?.session.close();
  }
  return contents;
}

function openMerged(values: SubmitValues, names: readonly string[], call: Call): Promise<ServedTasks> {
  const { merged, version, engine, device, threads } = values;
  const how = { engine, device, threads };
  return openServedModel({ model: merged, version, tasks: undefined, base: undefined, ...how }, names, call);
}
