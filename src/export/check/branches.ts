// What tasks' branches give alone, each over the base's layers under it, on the rows of a check: what a model's file and a folder's
// pieces are both compared with. A branch is run once, when it is first asked for, by the function with which training scores it;
// the layers under it once for all branches of its fork.

import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { joined } from "../../batches/row-logits";
import type { Engine } from "../../engines/engine";
import type { MergedTask } from "../../merge/folder/manifest";
import { stopsOf } from "../../merge/folder/pieces";
import { Interrupted } from "../../messages/reporter";
import { type BranchInputs, branchAxes, branchLogits } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import { mostTokens } from "../../model/families/families";
import { sideBySide } from "../../model/ops";
import { scoped, stretchTensors, unscoped } from "../../model/parameters";
import { ownLayers } from "../../model/place";
import { isRamp, isRampOf } from "../../model/ramp-names";
import { rampStatesEntry, rampsHead } from "../../model/ramps";
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
  /** The ramps of a task that has some, scoped; absent where nobody asks for them. */
  rampsOf?(task: MergedTask): Promise<HostTensors>;
}

export interface Branches {
  readonly rows: CheckRows;
  readonly padId: number;
  /**
   * Of each batch of the rows `logits`: [rows, outputs], or where words have labels [tokens of all rows, outputs].
   * Throws Interrupted.
   */
  alone(task: MergedTask): Promise<readonly HostTensors[]>;
  /**
   * The same of a task whose texts leave early: of each row what the ramps at its stops say, one after the other, and then the branch.
   * Computed as ramps are trained: the whole way at once, over padded rows, and all ramps as one head.
   */
  leaving(task: MergedTask): Promise<readonly HostTensors[]>;
}

/** @param tasks whose rows they are; only theirs may be asked for */
export async function openBranches(model: BranchModel, tools: BranchTools): Promise<Branches> {
  const tokenizer = createTokenizer(model.tokenizer, model.config.vocabSize);
  const rows = await checkRows(model.tasks, tokenizer, mostTokens(model.config), tools);
  const { padId } = tokenizer;
  const known = new Map<string, readonly HostTensors[]>();
  const trunks = new Map<number, readonly HostTensors[]>();
  return {
    rows,
    padId,
    async alone(task) {
      const logits = known.get(task.name);
      if (logits) return logits;
      const ran = await runAlone(model, task, trunks, runRows(model, rows, padId, tools));
      const own = task.kind.perWord ? ofTokens(ran, rows, "logits") : ran;
      known.set(task.name, own);
      return own;
    },
    leaving: (task) => runLeaving(model, task, runRows(model, rows, padId, tools)),
  };
}

/** Without the padding that the file's batches have beyond their longest row: it must not matter. */
const tight = ({ rows }: CheckBatch): CheckBatch => ({
  rows,
  length: Math.max(...rows.map(({ ids }) => ids.length)),
});

/** What runs an entry point on every batch of the rows, with what the batch has there beside its tokens. */
type RunRows = (state: HostTensors, entry: EntryPoint, beside?: readonly HostTensors[]) => Promise<HostTensors[]>;

const runRows =
  ({ config }: BranchModel, { batches }: CheckRows, padId: number, { engine, signal }: BranchTools): RunRows =>
  async (state, entry, beside) => {
    if (signal.aborted) throw new Interrupted(null);
    const { hidden, ...tokens } = branchAxes;
    const alone = beside ? { ...tokens, hidden } : tokens;
    const program = await engine.load(state, { alone: entry }, { alone });
    try {
      const outputs: HostTensors[] = [];
      for (const [i, batch] of batches.entries()) {
        if (signal.aborted) throw new Interrupted(null);
        outputs.push(await program.run("alone", { ...batchTensors(tight(batch), padId, config), ...beside?.[i] }));
      }
      return outputs;
    } finally {
      program.dispose();
    }
  };

/**
 * One task over the layers under it: nothing here knows of other tasks.
 * @param trunks what leaves the layers under a fork, once it was computed
 */
async function runAlone(
  { config, tensorsOf }: BranchModel,
  task: MergedTask,
  trunks: Map<number, readonly HostTensors[]>,
  run: RunRows,
): Promise<HostTensors[]> {
  const { fork } = task;
  const tensors = await tensorsOf(task);
  const head = await task.kind.head(config);
  const alone: EntryPoint = (state, inputs) => ({
    outputs: {
      logits: branchLogits(unscoped(task.name, state), inputs as unknown as BranchInputs, task, config, head),
    },
  });
  const own = scoped(task.name, unscoped(task.name, tensors));
  if (fork === null) return run(own, alone);
  const stretch = { from: 0, to: fork, bottom: true };
  const hidden = trunks.get(fork) ?? (await run(stretchTensors(tensors, stretch), trunkEntry(config, fork)));
  trunks.set(fork, hidden);
  return run(own, alone, hidden);
}

async function runLeaving(model: BranchModel, task: MergedTask, run: RunRows): Promise<HostTensors[]> {
  const { config, tensorsOf, rampsOf } = model;
  if (!rampsOf) throw new Error(`nobody reads the ramps of ${task.name}`);
  const [tensors, ramps] = [await tensorsOf(task), await rampsOf(task)];
  const stops = stopsOf(task.exits);
  const head = await task.kind.head(config);
  const asked = rampsHead(head, stops);
  const states = rampStatesEntry(config, ownLayers(task)[1], head, stops);
  const whole: EntryPoint = (state, inputs) => {
    const { outputs } = states(state, inputs);
    const said = asked.logits(state, outputs["states"] as Tensor3D);
    return { outputs: { logits: sideBySide([said, outputs["logits"] as Tensor2D]) } };
  };
  const under = task.fork === null ? {} : stretchTensors(tensors, { from: 0, to: task.fork, bottom: true });
  const own = unscoped(task.name, { ...tensors, ...ramps });
  const read = Object.entries(own).filter(([name]) => !isRamp(name) || stops.some((stop) => isRampOf(name, stop)));
  return run({ ...under, ...Object.fromEntries(read) }, whole);
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
