// What finished runs of a task say of its dev rows. Training keeps scores alone, so it is computed when somebody asks, over
// one trunk for all runs, and kept beside each run: dev-logits.safetensors holds logits [rows, outputs], or [words, outputs], for the branch and
// the rows that its metadata names by hash. A file for other ones, or a damaged one, is written anew.

import { existsSync } from "node:fs";
import path from "node:path";
import { type RowLogits, rowLogits } from "../batches/row-logits";
import { encodeExamples } from "../batches/rows";
import { type Base, type BaseDescription, withWeights } from "../checkpoints/bases/base";
import { readSafetensors, writeSafetensors } from "../checkpoints/formats/safetensors";
import { loadBranch, type StoredRun } from "../checkpoints/runs/run-folder";
import { type Example, readSplit } from "../data/read-split";
import type { Engine } from "../engines/engine";
import { dataError, UserError } from "../errors/errors";
import { branchAxes } from "../model/branch";
import { withShared } from "../model/parameters";
import { float32 } from "../model/tensors";
import { TRUNK_SCRATCH } from "../recipes/trial/trunks";
import type { WorkOptions } from "../settings/work";
import { outputSize, type Task } from "../tasks/task";
import { createTokenizer } from "../tokenizer/tokenizer";
import { splitLogits } from "../training/loop/branch-source";
import { logitsStep } from "../training/step/step";
import type { RunContext } from "../training/tracking/tracker";
import { openTrunk } from "../training/trunk/trunk";

const FILE = "dev-logits.safetensors";

/** Where the trunk's activations of dev rows lie: in memory, else in the checkpoints folder. */
type DevWork = Pick<WorkOptions, "checkpoints" | "cacheBudget">;

export interface DevRows {
  readonly task: Task;
  readonly examples: readonly Example[];
}

/**
 * The dev rows that a run was scored on. Throws dataError (3) where other rows lie there now.
 * @param task with its labels
 */
export async function devRowsOf(task: Task, { record, folder }: StoredRun, glueData: string): Promise<DevRows> {
  const { skipped, limit, sha256 } = record.devData;
  const maxRows = limit === undefined ? {} : { maxRows: limit };
  const split = await readSplit(task, "dev", { glueData, skipBroken: skipped > 0, ...maxRows });
  if (split.sha256 === sha256) return { task, examples: split.examples };
  throw dataError(
    `${split.path} has other dev rows of ${task.name} than those that scored ${folder} ` +
      `(sha256 ${split.sha256.slice(0, 8)}, not ${sha256.slice(0, 8)}). Put those back, or say with --glue-data where they lie`,
  );
}

/** The logits of each run, by its folder, in the order of the rows. Runs are finished, of one task, scored on these rows. */
export async function devLogits(
  runs: readonly StoredRun[],
  rows: DevRows,
  base: BaseDescription,
  work: DevWork,
  open: () => Promise<RunContext<Engine>>,
): Promise<Map<string, RowLogits>> {
  const logits = new Map<string, RowLogits>();
  const missing: StoredRun[] = [];
  for (const run of runs) {
    const stored = await readStored(run, rows);
    if (stored) logits.set(run.folder, stored);
    else missing.push(run);
  }
  if (missing.length === 0) return logits;
  const context = await open();
  const weights = await withWeights(base);
  const { task } = rows;
  context.reporter.log(`${task.name}: predicting ${rows.examples.length} dev rows with ${missing.length} branches`);
  const lengths = new Set(missing.map(({ record }) => record.options.maxLength));
  const bar = context.reporter.progress(`${task.name} dev`, missing.length);
  try {
    for (const length of lengths) {
      const alike = missing.filter(({ record }) => record.options.maxLength === length);
      await predictAlike(alike, length, rows, weights, work, context, (run, found) => {
        logits.set(run.folder, found);
        bar.advance(1);
      });
    }
  } finally {
    bar.end();
  }
  return logits;
}

/** Runs whose rows are cut alike, from the shallowest fork, so that no frozen layer runs twice. */
async function predictAlike(
  runs: readonly StoredRun[],
  maxLength: number,
  { task, examples }: DevRows,
  base: Base,
  { cacheBudget, checkpoints }: DevWork,
  context: RunContext<Engine>,
  found: (run: StoredRun, logits: RowLogits) => void,
): Promise<void> {
  const { config } = base;
  const rows = encodeExamples(task, examples, createTokenizer(base.tokenizer, config.vocabSize), maxLength);
  const kept = { budget: cacheBudget, folder: path.join(checkpoints, TRUNK_SCRATCH), label: `${task.name} dev` };
  const trunk = await openTrunk(base, rows, kept, context);
  const head = await task.kind.head(config);
  try {
    for (const run of [...runs].sort((a, b) => (a.record.fork ?? 0) - (b.record.fork ?? 0))) {
      const { fork } = run.record;
      const source = { rows, config, activations: fork === null ? null : await trunk.at(fork) };
      const entries = { logits: logitsStep(run.record, config, head) };
      const branch = withShared(base.tensors, await loadBranch(run, task, config));
      const program = await context.engine.load(branch, entries, { logits: branchAxes });
      try {
        const logits = await splitLogits(program, "logits", source, task, context.signal);
        await writeSafetensors(
          path.join(run.folder, FILE),
          { logits: float32([logits.data.length / logits.width, logits.width], logits.data) },
          metadataOf(run),
        );
        found(run, logits);
      } finally {
        program.dispose();
      }
    }
  } finally {
    await trunk.dispose();
  }
}

const metadataOf = ({ record }: StoredRun) => ({
  branch_sha256: record.sha256 as string,
  dev_sha256: record.devData.sha256,
});

async function readStored(run: StoredRun, { task, examples }: DevRows): Promise<RowLogits | null> {
  const file = path.join(run.folder, FILE);
  if (!existsSync(file)) return null;
  try {
    const { tensors, metadata } = await readSafetensors(file);
    const wanted = metadataOf(run);
    const isIts = metadata["branch_sha256"] === wanted.branch_sha256 && metadata["dev_sha256"] === wanted.dev_sha256;
    const { data } = tensors["logits"] ?? {};
    if (!isIts || !(data instanceof Float32Array)) return null;
    const words = task.kind.perWord ? examples.map((example) => (example.words ?? []).length) : undefined;
    const lists = words ? words.reduce((sum, count) => sum + count, 0) : examples.length;
    return data.length === lists * outputSize(task) ? rowLogits(data, outputSize(task), words) : null;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}
