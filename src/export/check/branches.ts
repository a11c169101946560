// What tasks' branches give alone, each over the base's layers under it, on the rows of a check: what a model's file and a folder's
// pieces are both compared with. A branch is run once, when it is first asked for, by the function with which training scores it.

import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { joined } from "../../batches/row-logits";
import type { Engine } from "../../engines/engine";
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
import { batchTensors, type CheckBatch, type CheckRows, checkRows, type RowOptions } from "./check-rows";

/** What runs branches. */
export interface BranchTools extends RowOptions {
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

export interface BranchModel {
  readonly tasks: readonly MergedTask[];
  readonly config: EncoderConfig;
  readonly tokenizer: TokenizerSettings;
  /** A task's own tensors, scoped, and the shared ones under it: its run's and its base's, or the folder's. */
  tensorsOf(task: MergedTask): Promise<HostTensors>;
}

export interface Branches {
  readonly rows: CheckRows;
  readonly padId: number;
  /**
   * Of each batch of the rows `logits`: [rows, outputs], or where words have labels [tokens of all rows, outputs].
   * Throws Interrupted.
   */
  alone(task: MergedTask): Promise<readonly HostTensors[]>;
}

/** @param tasks whose rows they are; only theirs may be asked for */
export async function openBranches(model: BranchModel, tools: BranchTools): Promise<Branches> {
  const tokenizer = createTokenizer(model.tokenizer, model.config.vocabSize);
  const rows = await checkRows(model.tasks, tokenizer, mostTokens(model.config), tools);
  const { padId } = tokenizer;
  const known = new Map<string, readonly HostTensors[]>();
  return {
    rows,
    padId,
    async alone(task) {
      const logits = known.get(task.name);
      if (logits) return logits;
      const ran = await runAlone(model, task, rows, padId, tools);
      const own = task.kind.perWord ? ofTokens(ran, rows, "logits") : ran;
      known.set(task.name, own);
      return own;
    },
  };
}

/** Without the padding that the file's batches have beyond their longest row: it must not matter. */
const tight = ({ rows }: CheckBatch): CheckBatch => ({
  rows,
  length: Math.max(...rows.map(({ ids }) => ids.length)),
});

async function runAlone(
  { config, tensorsOf }: BranchModel,
  task: MergedTask,
  { batches }: CheckRows,
  padId: number,
  { engine, signal }: BranchTools,
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
export const ofTokens = (outputs: readonly HostTensors[], { batches }: CheckRows, name: string): HostTensors[] =>
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
