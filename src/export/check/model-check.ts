// Whether a model's file says what the branches say: model.onnx, or a SavedModel, run by its own runtime as any user
// would, against each branch run alone over the base's layers on the engine, by the function with which training scores it.

import type { ModelFile, OpenModelFile } from "../../engines/model-file";
import { modelError } from "../../errors/errors";
import { Interrupted } from "../../messages/reporter";
import type { HostTensors } from "../../model/tensors";
import { type Branches, type BranchModel, type BranchTools, ofTokens, openBranches } from "./branches";
import { batchTensors, type RowSource } from "./check-rows";
import { type Compared, compareTask, STRICT, type Tolerance } from "./compare";

/** What the check needs beside the folder. */
export interface CheckTools extends BranchTools {
  readonly open: OpenModelFile;
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

export interface CheckedModel extends BranchModel, Compared {
  /** The file that is checked. */
  readonly path: string;
  /** What opens it, for errors: "onnxruntime". */
  readonly runtime: string;
  /** Where weights are of fewer bits than the branches': what may differ. By default {@link STRICT}, and every row counts. */
  readonly tolerance?: Tolerance;
  /** Whether a task's output is as `leaving` of {@link Branches} has it: what its ramps say, and then its branch. */
  readonly leaving?: true;
  /** Where others are compared with the branches too: of these tasks at least. */
  readonly branches?: Branches;
}

/**
 * Compares every task's output on all rows of both batches.
 * @throws toleranceError (5) naming the task where a difference is above the tolerance, modelError (4) where a branch
 *   gives no numbers or the runtime refuses the file
 */
export async function checkModel(model: CheckedModel, tools: CheckTools): Promise<ModelCheck> {
  const { tolerance = STRICT } = model;
  const more = model.tolerance !== undefined;
  const branches = model.branches ?? (await openBranches(model, { ...tools, more }));
  const found = await runFile(model, branches, tools);
  const differences = new Map<string, number>();
  for (const task of model.tasks) {
    const alone = await (model.leaving ? branches.leaving(task) : branches.alone(task));
    const theirs = task.kind.perWord ? ofTokens(found, branches.rows, task.name) : found;
    differences.set(task.name, compareTask(model, task, theirs, alone, tolerance));
  }
  return checkOf(branches, differences, tolerance, tools);
}

/** What a check found. @param differences by task */
export function checkOf(
  { rows: { batches, sources } }: Branches,
  differences: ReadonlyMap<string, number>,
  tolerance: Tolerance,
  { engine }: BranchTools,
): ModelCheck {
  const allowed = Math.max(...[...differences.keys()].map((name) => tolerance.difference(name)));
  return {
    largestDifference: Math.max(...differences.values()),
    tolerance: Number.isFinite(allowed) ? allowed : null,
    batches: batches.map((batch) => ({ rows: batch.rows.length, length: batch.length })),
    tasks: sources.flatMap((source) => {
      const difference = differences.get(source.task);
      return difference === undefined ? [] : [{ ...source, difference }];
    }),
    engine: engine.summary,
  };
}

async function runFile(model: CheckedModel, { rows: { batches }, padId }: Branches, { open, signal }: CheckTools) {
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
