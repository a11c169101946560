// Whether a model's file says what the branches say: model.onnx, or a SavedModel, run by its own runtime as any user
// would, against each branch run alone over the base's layers on the engine, by the function with which training scores it.

import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { joined } from "../../batches/row-logits";
import type { Engine } from "../../engines/engine";
import type { ModelFile, OpenModelFile } from "../../engines/model-file";
import { modelError, toleranceError } from "../../errors/errors";
import type { MergedTask } from "../../merge/folder/manifest";
import { Interrupted } from "../../messages/reporter";
import { type BranchInputs, branchAxes, branchLogits } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import { mostTokens } from "../../model/families/families";
import type { HeadForward } from "../../model/heads";
import { unscoped } from "../../model/parameters";
import type { HostTensors } from "../../model/tensors";
import { trunkEntry } from "../../model/trunk";
import { createTokenizer, type TokenizerSettings } from "../../tokenizer/tokenizer";
import {
  batchTensors,
  type CheckBatch,
  type CheckRows,
  checkRows,
  type RowOptions,
  type RowSource,
} from "./check-rows";

/** Most that a logit may differ; for values beyond 1, in parts of the value. */
const TOLERANCE = 1e-4;

/** What the check needs beside the folder. */
export interface CheckTools extends RowOptions {
  /** Runs the branches alone. */
  readonly engine: Engine;
  readonly open: OpenModelFile;
  readonly signal: AbortSignal;
}

export interface ModelCheck {
  readonly largestDifference: number;
  /** Most that was allowed of any task; null where nothing was known to hold. */
  readonly tolerance: number | null;
  /** Rows and tokens of each batch. */
  readonly batches: readonly { readonly rows: number; readonly length: number }[];
  readonly tasks: readonly (RowSource & { readonly difference: number })[];
  /** What ran the branches. */
  readonly engine: string;
}

export interface CheckedModel {
  /** The file that is checked, and how errors call it. */
  readonly path: string;
  readonly name: string;
  /** What opens it, for errors: "onnxruntime". */
  readonly runtime: string;
  /** What an error ends with: what has become of the file, and what the user can do. */
  readonly advice: string;
  readonly tasks: readonly MergedTask[];
  readonly config: EncoderConfig;
  readonly tokenizer: TokenizerSettings;
  /** Where weights are of fewer bits than the branches': what may differ. By default {@link TOLERANCE}, and every row counts. */
  readonly tolerance?: Tolerance;
  /** A task's own tensors, scoped, and the shared ones under it: its run's and its base's, or the folder's. */
  tensorsOf(task: MergedTask): Promise<HostTensors>;
}

export interface Tolerance {
  /** Most that a logit of a task may differ. */
  difference(task: string): number;
  /** Least part of the rows whose label must be the branch's. */
  readonly equalLabels: number;
}

const STRICT: Tolerance = { difference: () => TOLERANCE, equalLabels: 0 };

/**
 * Compares every task's output on all rows of both batches.
 * @throws toleranceError (5) naming the task where a difference is above {@link TOLERANCE}, modelError (4) where a branch
 *   gives no numbers or the runtime refuses the file
 */
export async function checkModel(model: CheckedModel, tools: CheckTools): Promise<ModelCheck> {
  const tokenizer = createTokenizer(model.tokenizer, model.config.vocabSize);
  const { tolerance = STRICT } = model;
  const more = model.tolerance !== undefined;
  const rows = await checkRows(model.tasks, tokenizer, mostTokens(model.config), { ...tools, more });
  const found = await runFile(model, rows, tokenizer.padId, tools);
  const tasks: (RowSource & { difference: number })[] = [];
  for (const [i, task] of model.tasks.entries()) {
    const ran = await runAlone(model, task, rows, tokenizer.padId, tools);
    const [alone, theirs] = task.kind.perWord
      ? [ofTokens(ran, rows, "logits"), ofTokens(found, rows, task.name)]
      : [ran, found];
    const difference = largest(model, task, theirs, alone, tolerance.difference(task.name));
    requireLabels(model, task, theirs, alone, tolerance.equalLabels);
    tasks.push({ ...(rows.sources[i] as RowSource), difference });
  }
  const allowed = Math.max(...model.tasks.map(({ name }) => tolerance.difference(name)));
  return {
    largestDifference: Math.max(...tasks.map(({ difference }) => difference)),
    tolerance: Number.isFinite(allowed) ? allowed : null,
    batches: rows.batches.map((batch) => ({ rows: batch.rows.length, length: batch.length })),
    tasks,
    engine: tools.engine.summary,
  };
}

async function runFile(model: CheckedModel, { batches }: CheckRows, padId: number, { open, signal }: CheckTools) {
  let file: ModelFile;
  try {
    file = await open(model.path);
  } catch (error) {
    throw modelError(`${model.runtime} does not open ${model.name} (${firstLine(error)}). ${model.advice}`, error);
  }
  try {
    const outputs: HostTensors[] = [];
    for (const batch of batches) {
      if (signal.aborted) throw new Interrupted(null);
      outputs.push(await file.run(batchTensors(batch, padId, model.config)));
    }
    return outputs;
  } finally {
    await file.close();
  }
}

const firstLine = (error: unknown) => (error instanceof Error ? error.message : String(error)).split("\n")[0];

/** Without the padding that the file's batches have beyond their longest row: it must not matter. */
const tight = ({ rows }: CheckBatch): CheckBatch => ({
  rows,
  length: Math.max(...rows.map(({ ids }) => ids.length)),
});

async function runAlone(
  { config, tensorsOf }: CheckedModel,
  task: MergedTask,
  { batches }: CheckRows,
  padId: number,
  { engine, signal }: CheckTools,
): Promise<HostTensors[]> {
  if (signal.aborted) throw new Interrupted(null);
  const { hidden: _, ...axes } = branchAxes;
  const alone = aloneEntry(task, await task.kind.head(config), config);
  const program = await engine.load(await tensorsOf(task), { alone }, { alone: axes });
  try {
    const outputs: HostTensors[] = [];
    for (const batch of batches) {
      if (signal.aborted) throw new Interrupted(null);
      outputs.push(await program.run("alone", batchTensors(tight(batch), padId, config)));
    }
    return outputs;
  } finally {
    program.dispose();
  }
}

/**
 * Logits [rows, length, outputs] as [tokens of all rows, outputs]: what padding gets must not matter. Those of another form stay,
 * for whoever compares them.
 */
const ofTokens = (outputs: readonly HostTensors[], { batches }: CheckRows, name: string): HostTensors[] =>
  outputs.map((given, i) => {
    const tensor = given[name];
    if (tensor?.shape.length !== 3) return given;
    const [, length, width] = tensor.shape as [number, number, number];
    const rows = (batches[i] as CheckBatch).rows.map(({ ids }, row) =>
      (tensor.data as Float32Array).subarray(row * length * width, (row * length + ids.length) * width),
    );
    const data = joined(rows);
    return { ...given, [name]: { dtype: "float32", shape: [data.length / width, width], data } };
  });

/** One task over the layers under it: nothing here knows of other tasks. */
function aloneEntry(task: MergedTask, head: HeadForward, config: EncoderConfig): EntryPoint {
  return (state, inputs) => {
    const own = unscoped(task.name, state);
    const mask = inputs["attention_mask"] as Tensor2D;
    if (task.fork === null) {
      return { outputs: { logits: branchLogits(own, inputs as unknown as BranchInputs, task, config, head) } };
    }
    const hidden = trunkEntry(config, task.fork)(state, inputs).outputs["hidden"] as Tensor3D;
    return { outputs: { logits: branchLogits(own, { hidden, attention_mask: mask }, task, config, head) } };
  };
}

/** The largest difference of a task's logits over the batches. */
function largest(
  model: CheckedModel,
  { name }: MergedTask,
  found: readonly HostTensors[],
  alone: readonly HostTensors[],
  tolerance: number,
): number {
  let most = 0;
  for (const [i, { logits }] of alone.entries()) {
    const [ours, theirs] = [logits as HostTensors[string], found[i]?.[name]];
    if (`${theirs?.shape}` !== `${ours.shape}`) {
      throw toleranceError(
        `${model.name}: the output ${name} has shape [${theirs?.shape}], its branch alone gives [${ours.shape}]. ${model.advice}`,
      );
    }
    for (const [at, value] of ours.data.entries()) {
      if (!Number.isFinite(value)) {
        throw modelError(`${name}'s branch gives ${value} as a logit. Train it again, and look at its dev score`);
      }
      const difference = Math.abs(value - (theirs?.data[at] as number)) / Math.max(1, Math.abs(value));
      if (!(difference <= tolerance)) {
        throw toleranceError(
          `${model.name}: a logit of ${name} is ${theirs?.data[at]}, its branch alone gives ${value}: they differ by ` +
            `${difference.toExponential(1)}, more than ${tolerance}. ${model.advice}`,
        );
      }
      most = Math.max(most, difference);
    }
  }
  return most;
}

/** Throws toleranceError (5) where too many rows get another label than their branch gives. */
function requireLabels(
  model: CheckedModel,
  task: MergedTask,
  found: readonly HostTensors[],
  alone: readonly HostTensors[],
  least: number,
): void {
  if (least === 0 || task.labels.length === 0) return;
  let [equal, rows] = [0, 0];
  for (const [i, { logits }] of alone.entries()) {
    const [ours, theirs] = [logits, found[i]?.[task.name]] as [HostTensors[string], HostTensors[string]];
    const [count, width] = ours.shape as [number, number];
    const label = ({ data }: HostTensors[string], row: number) =>
      `${task.kind.decide(data.subarray(row * width, (row + 1) * width) as Float32Array, task)}`;
    for (let row = 0; row < count; row++) if (label(ours, row) === label(theirs, row)) equal += 1;
    rows += count;
  }
  if (equal >= least * rows) return;
  throw toleranceError(
    `${model.name}: ${rows - equal} of ${rows} rows get another label of ${task.name} than its branch gives, more than ` +
      `${(100 * (1 - least)).toFixed(1)} %. ${model.advice}`,
  );
}
