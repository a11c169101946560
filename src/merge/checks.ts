// What is made and checked of a change before it is committed: model.onnx, and the stored pieces that predict, eval and serve run.
// Both are compared with the same branches alone, each of which runs once for both.

import { type Branches, type BranchModel, openBranches } from "../export/check/branches";
import { type OnnxRequest, type StagedOnnx, stageOnnx } from "../export/onnx/onnx";
import {
  checkPieces,
  type PiecesCheck,
  type PieceTools,
  tasksIn,
  tasksOfNewPieces,
} from "../export/pieces/pieces-check";
import type { Change } from "./change";
import { readShared } from "./folder/blobs";
import type { Contents, MergedTask } from "./folder/manifest";
import { versionFile } from "./folder/version";

export interface CheckRequest {
  /** Writes model.onnx too; null leaves it out, and removes one that is there. */
  readonly onnx: OnnxRequest | null;
  /** Checks the stored pieces; null where onnxruntime-node is absent, which alone runs them. */
  readonly pieces?: PieceTools | null;
}

export interface Staged {
  /** null where it was not asked for, or no task is left. */
  readonly graph: StagedOnnx | null;
  /** null where nothing checks them. */
  readonly pieces: readonly PiecesCheck[] | null;
}

/**
 * @param checked names of tasks whose outputs are compared whatever is there
 * @param source where weights are read that are compared with what is written
 * Throws toleranceError (5) where a graph or a piece differs from a branch.
 */
export async function stageChecked(
  { out, old }: Change,
  contents: Contents,
  { onnx, pieces: tools }: CheckRequest,
  checked: readonly string[],
  { tensorsOf, ...ramps }: Pick<BranchModel, "tensorsOf" | "rampsOf">,
): Promise<Staged> {
  if (contents.tasks.length === 0) return { graph: null, pieces: null };
  const made = tools ? tasksOfNewPieces(contents, old?.manifest ?? null, checked) : [];
  const { config, tokenizer } = await readShared(out, contents);
  let branches: Promise<Branches> | undefined;
  const branchesOf = (compared: readonly MergedTask[]) => {
    const wanted = new Set([...compared, ...tasksIn(made)]);
    const tasks = contents.tasks.filter((task) => wanted.has(task));
    if (!tools) throw new Error("nothing runs the branches");
    branches ??= openBranches({ tasks, config, tokenizer, tensorsOf, ...ramps }, tools);
    return branches;
  };
  const before = old?.manifest.onnx ? versionFile(out, old.id, ".onnx") : null;
  const options = { checked, before, tensorsOf, ...(tools ? { branchesOf } : {}) };
  const graph = onnx && (await stageOnnx(out, contents, onnx, options));
  if (!tools) return { graph, pieces: null };
  try {
    const model = { folder: out, model: contents, config };
    return { graph, pieces: made.length > 0 ? await checkPieces(model, made, await branchesOf([]), tools) : [] };
  } catch (error) {
    await graph?.discard();
    throw error;
  }
}
