// Whether the pieces of a merged folder that predict, eval and serve run say what the branches say: the graphs that lie among its
// blobs, opened as these open them, before the version that lists them counts. What runs them is handed in: it comes after.

import { joined } from "../../batches/row-logits";
import { ExitCode, oneLine, toleranceError, UserError } from "../../errors/errors";
import type { Contents, Manifest, MergedTask } from "../../merge/folder/manifest";
import { piecesOf } from "../../merge/folder/pieces";
import { Interrupted } from "../../messages/reporter";
import type { EncoderConfig } from "../../model/config";
import { float32, type HostTensors } from "../../model/tensors";
import { type WeightForm, weightForms } from "../../settings/engine";
import type { Encoding } from "../../tokenizer/tokenizer";
import type { Branches, BranchTools } from "../check/branches";
import { compareTask, int8Tolerance, STRICT } from "../check/compare";
import { checkOf, type ModelCheck } from "../check/model-check";

export interface StoredRun {
  readonly folder: string;
  readonly model: Contents;
  readonly config: EncoderConfig;
  readonly weights: WeightForm;
  /** The tasks that are run; pieces that only others need are not opened. */
  readonly tasks: readonly MergedTask[];
  readonly rows: readonly Encoding[];
  readonly padId: number;
}

/** Logits of every row by task, [outputs] or [tokens of the row, outputs], through a folder's stored pieces. */
export type RunStored = (run: StoredRun) => Promise<Readonly<Record<string, readonly Float32Array[]>>>;

export interface PieceTools extends BranchTools {
  readonly runStored: RunStored;
}

/** What was found of the pieces of one form of the weights. */
export interface PiecesCheck extends ModelCheck {
  readonly weights: WeightForm;
}

/** Tasks by the form of weights whose pieces are checked. */
export type PieceTasks = ReadonlyMap<WeightForm, readonly MergedTask[]>;

/**
 * The tasks whose pieces a change made, and those that are to be checked anyway. Where the trunk was cut anew above all of them,
 * the shallowest task that runs the highest new stretch stands for it: the branches of the others are as they were.
 * @param before null where there is no version before
 * @param checked names of tasks that count whatever was there
 */
export function tasksOfNewPieces(now: Contents, before: Manifest | null, checked: readonly string[]): PieceTasks {
  const found = new Map<WeightForm, readonly MergedTask[]>();
  for (const form of weightForms) {
    const [pieces, old] = [piecesOf(now.pieces, form), piecesOf(before?.pieces, form)];
    if (!pieces) continue;
    const isNew = ({ name }: MergedTask) => pieces.branches[name]?.sha256 !== old?.branches[name]?.sha256;
    const own = now.tasks.filter((task) => checked.includes(task.name) || isNew(task));
    const known = new Set(old?.stretches.map(({ sha256 }) => sha256));
    const highest = Math.max(-1, ...pieces.stretches.filter(({ sha256 }) => !known.has(sha256)).map(({ to }) => to));
    const above = now.tasks.filter(({ fork }) => fork !== null && fork >= highest);
    const covered = highest < 0 || above.some((task) => own.includes(task));
    const layers = ({ fork, layers }: MergedTask) => (fork ?? 0) + layers;
    const witness = covered ? [] : above.sort((a, b) => layers(a) - layers(b)).slice(0, 1);
    if (own.length + witness.length > 0) found.set(form, [...own, ...witness]);
  }
  return found;
}

/**
 * Compares the logits of tasks' pieces with their branches alone, on all rows of the check.
 * @param branches of all these tasks
 * Throws toleranceError (5) where a piece does not open or a logit differs by too much, modelError (4) where a branch gives no
 * numbers, Interrupted.
 */
export async function checkPieces(
  { folder, model, config }: Pick<StoredRun, "folder" | "model" | "config">,
  tasks: PieceTasks,
  branches: Branches,
  tools: PieceTools,
): Promise<PiecesCheck[]> {
  const checks: PiecesCheck[] = [];
  for (const [weights, own] of tasks) {
    if (tools.signal.aborted) throw new Interrupted(null);
    const compared = {
      name: `the pieces of ${folder} in ${weights}`,
      advice: "The folder is as it was. Please report it",
    };
    const tolerance = weights === "int8" ? int8Tolerance(model.int8 ?? { tasks: {} }) : STRICT;
    const found = await runPieces({ folder, model, config, weights, tasks: own }, compared, branches, tools);
    const differences = new Map<string, number>();
    for (const task of own) {
      const alone = await branches.alone(task);
      differences.set(
        task.name,
        compareTask(compared, task, batchesOf(found, task, branches, alone), alone, tolerance),
      );
    }
    checks.push({ weights, ...checkOf(branches, differences, tolerance, tools) });
  }
  return checks;
}

async function runPieces(
  run: Omit<StoredRun, "rows" | "padId">,
  { name, advice }: { readonly name: string; readonly advice: string },
  { rows, padId }: Branches,
  { runStored }: PieceTools,
) {
  try {
    return await runStored({ ...run, rows: rows.batches.flatMap((batch) => batch.rows), padId });
  } catch (error) {
    const isOther = error instanceof UserError && error.exitCode === ExitCode.failure; // the machine's, and no piece's
    if (error instanceof Interrupted || isOther) throw error;
    throw toleranceError(`${name} do not run (${oneLine(error)}). ${advice}`, error);
  }
}

/** A task's logits of all rows as those of the batches, in the form of its branch's. */
function batchesOf(
  found: Readonly<Record<string, readonly Float32Array[]>>,
  { name }: MergedTask,
  { rows: { batches } }: Branches,
  alone: readonly HostTensors[],
): HostTensors[] {
  let next = 0;
  return batches.map(({ rows }, i) => {
    const own = (found[name] ?? []).slice(next, next + rows.length);
    next += rows.length;
    const data = joined(own);
    const width = alone[i]?.["logits"]?.shape[1] as number;
    return { [name]: float32([data.length / width, width], data) };
  });
}
