// A merged model's predictions for GLUE's test sets. Everything that can be wrong with tasks, labels and test files is
// found before the first row is predicted; a finished file is kept until all are, so that stopped work goes on.

import path from "node:path";
import type { RowLogits } from "../batches/row-logits";
import { constantOf, type Predicted, type SubmissionFile, submissionText } from "../data/glue/submission";
import { countBroken, type Example, findSplitFile, readSplit } from "../data/read-split";
import { dataError, modelError, UserError } from "../errors/errors";
import { id8, sha256Hex } from "../files/hash";
import type { Manifest, MergedTask } from "../merge/folder/manifest";
import type { Task } from "../tasks/task";
import type { ServedModel, ServedTask } from "./model";
import { computeLogits, type PredictOptions, toPrediction } from "./predict";

/** Rows that are held at a time. */
const CHUNK = 8192;

export interface PlannedFile extends SubmissionFile {
  readonly testFile: string;
  readonly rows: number;
  /** The model's task that predicts it; null for a constant. */
  readonly predictedWith: string | null;
  /** Of everything that its predictions follow from. */
  readonly id: string;
}

export interface SubmissionOptions {
  readonly glueData: string;
  /** Fills the files of tasks that the model lacks with a constant. */
  readonly fillMissing: boolean;
  /** As the user named it. */
  readonly merged: string;
}

/**
 * What each file is predicted with, and from which test file.
 * @throws UserError (4) for tasks that the model lacks or has with other labels, (3) for test files that are missing or
 *   have other rows than the site takes; all of them at once
 */
export async function planSubmission(
  manifest: Manifest,
  files: readonly SubmissionFile[],
  { glueData, fillMissing, merged }: SubmissionOptions,
): Promise<PlannedFile[]> {
  const servedBy = new Map(files.map(({ task }) => [task, findServed(manifest, task)]));
  requireTasks(servedBy, merged, fillMissing);
  for (const [task, served] of servedBy) if (served) requireLabels(task, served, merged);
  const planned: PlannedFile[] = [];
  const problems: string[] = [];
  for (const file of files) {
    const served = servedBy.get(file.task) ?? null;
    try {
      const { testFile, examples, id } = await readTestFile(file, glueData);
      const from = served ? identity(manifest, served) : { constant: constantOf(file.task) };
      const predictedWith = served?.name ?? null;
      planned.push({
        ...file,
        testFile,
        rows: examples.length,
        predictedWith,
        id: id8({ file: file.name, test: id, ...from }),
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.lines);
    }
  }
  if (problems.length > 0) throw dataError(problems);
  return planned;
}

/** A test file whose every row can be predicted and is named by an index of its own; throws dataError (3) otherwise. */
async function readTestFile({ task, split, source }: SubmissionFile, glueData: string) {
  const advice = `Run: flexbert data download --task ${task.name}`;
  if (findSplitFile(task, split, glueData) === null) {
    throw dataError(`${path.join(glueData, task.folder, source.file)} is missing. ${advice}`);
  }
  const { path: place, examples, broken, sha256 } = await readSplit(task, split, { glueData, skipBroken: true });
  const rows = examples.length + countBroken(broken);
  if (source.rows !== undefined && rows !== source.rows) {
    throw dataError(`${place} has ${rows} rows, the site takes ${source.rows}. ${advice} --force`);
  }
  const [bad] = broken;
  if (bad) {
    throw dataError(
      `${place} has ${countBroken(broken)} broken rows (line ${bad.line}: ${bad.reason}), and every row must be predicted. ${advice} --force`,
    );
  }
  const indices = examples.map(({ index }) => index);
  const seen = new Set<string>();
  for (const { index, line } of examples) {
    const problem = seen.has(index) ? "is there twice" : /^\d+$/.test(index) ? null : "is no number";
    if (problem) throw dataError(`${place}, line ${line}: the index "${index}" ${problem}. ${advice} --force`);
    seen.add(index);
  }
  return { testFile: place, examples, id: sha256Hex(sha256, indices.join("\n")) };
}

const findServed = ({ tasks }: Manifest, task: Task): MergedTask | null =>
  tasks.find(({ name }) => name === task.name) ?? tasks.find(({ name }) => name === task.predictedWith) ?? null;

function requireTasks(servedBy: ReadonlyMap<Task, MergedTask | null>, merged: string, fillMissing: boolean): void {
  const missing = [...servedBy].filter(([, served]) => served === null).map(([task]) => task);
  if (missing.length === servedBy.size)
    throw modelError(`${merged} has none of GLUE's tasks: there is nothing to submit`);
  if (missing.length === 0 || fillMissing) return;
  const names = missing.map(({ name }) => name).join(", ");
  const trainable = missing.filter(({ splits }) => splits.train).map(({ name }) => name);
  throw modelError(
    `${merged} has no ${names}, and GLUE's site takes a zip with all test sets only. Train and merge them ` +
      `(flexbert finetune --task ${trainable.join(",")}), or give --fill-missing, which puts one constant label in their files`,
  );
}

/** By name: an order of labels is the model's own affair. */
function requireLabels(task: Task, served: MergedTask, merged: string): void {
  const same = (a: readonly string[], b: readonly string[]) => [...a].sort().join("\n") === [...b].sort().join("\n");
  if (served.kind === task.kind && served.inputs === task.inputs && same(served.labels, task.labels)) return;
  const describe = ({ kind, inputs, labels }: Pick<Task, "kind" | "inputs" | "labels">) =>
    `${kind.name} of ${inputs === "pair" ? "pairs" : "single texts"}${labels.length > 0 ? ` with labels ${labels.join(", ")}` : ""}`;
  throw modelError(
    `${merged}: ${served.name} is a ${describe(served)}; GLUE's ${task.title} is a ${describe(task)}. Merge GLUE's task`,
  );
}

/** The model's files that a task's predictions follow from. */
function identity({ embeddings, trunk }: Manifest, { sha256, maxLength, fork }: MergedTask) {
  const shared = fork === null ? [] : [embeddings, ...trunk.slice(0, fork)].map((blob) => blob.sha256);
  return { model: [sha256, ...shared], maxLength };
}

/** The content of one file. Throws modelError (4) for outputs that are no numbers. */
export async function predictFile(
  model: ServedModel | null,
  file: PlannedFile,
  options: PredictOptions & { glueData: string },
): Promise<string> {
  const { task, predictedWith } = file;
  const { examples } = await readTestFile(file, options.glueData); // again: QQP's rows are too many to hold meanwhile
  const indices = examples.map(({ index }) => index);
  if (predictedWith === null) {
    const constant = constantOf(task);
    return submissionText(
      task,
      indices,
      indices.map(() => constant),
    );
  }
  const served = model?.tasks.find(({ name }) => name === predictedWith);
  if (!model || !served) throw new Error(`the model was opened without ${predictedWith}`);
  const predicted: Predicted[] = [];
  for (let at = 0; at < examples.length; at += CHUNK) {
    const chunk = examples.slice(at, at + CHUNK);
    const logits = (await computeLogits(model, chunk, [served], options))[served.name] as RowLogits;
    for (const [i] of chunk.entries())
      predicted.push(
        predictedRow(
          served,
          logits.of(i),
          chunk[i] as Example,
          `${file.testFile}, line ${chunk[i]?.line}`,
          model.folder,
        ),
      );
  }
  return submissionText(task, indices, predicted);
}

function predictedRow(
  served: ServedTask,
  outputs: Float32Array,
  row: Example,
  place: string,
  folder: string,
): Predicted {
  if (!outputs.every(Number.isFinite)) {
    throw modelError(
      `${folder}: ${served.name} gives no number for ${place}. Train it again, and look at its dev score`,
    );
  }
  const prediction = toPrediction(served, outputs, row);
  if ("labels" in prediction || "spans" in prediction) {
    throw new Error(`${served.name} gives several labels a row, and GLUE has no such task`);
  }
  return prediction;
}
