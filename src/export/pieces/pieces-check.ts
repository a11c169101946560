// Whether the pieces of a merged folder that predict, eval and serve run say what the branches say: the graphs that lie among its
// blobs, opened as these open them, before the version that lists them counts. What runs them is handed in: it comes after.

import { joined } from "../../batches/row-logits";
import { ExitCode, oneLine, toleranceError, UserError } from "../../errors/errors";
import { canonicalJson } from "../../files/hash";
import { exitsIn } from "../../merge/folder/leaving";
import type { Contents, Manifest, MergedTask } from "../../merge/folder/manifest";
import { piecesOf, type StretchGraph } from "../../merge/folder/pieces";
import { Interrupted } from "../../messages/reporter";
import type { EncoderConfig } from "../../model/config";
import { ownLayers } from "../../model/place";
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
  /** Runs what texts leave early by, none of which leaves: of a task that has a rule all ramps at its stops. */
  readonly leaving?: boolean;
}

/**
 * Logits of every row by task, [outputs] or [tokens of the row, outputs], through a folder's stored pieces; `leaving`, of a task that has
 * a rule what its ramps say, one after the other, before them.
 */
export type RunStored = (run: StoredRun) => Promise<Readonly<Record<string, readonly Float32Array[]>>>;

export interface PieceTools extends BranchTools {
  readonly runStored: RunStored;
}

/** What was found of the pieces of one form of the weights: of the whole ones, or of those by which texts leave early. */
export interface PiecesCheck extends ModelCheck {
  readonly weights: WeightForm;
  readonly leaving?: true;
}

/** Tasks whose pieces are checked in one form of the weights. */
export interface PieceTasks {
  readonly weights: WeightForm;
  readonly leaving?: true;
  readonly tasks: readonly MergedTask[];
}

export const tasksIn = (made: readonly PieceTasks[]): ReadonlySet<MergedTask> =>
  new Set(made.flatMap(({ tasks }) => tasks));

/**
 * The tasks whose pieces a change made, and those that are to be checked anyway. Where the trunk was cut anew above all of them,
 * the shallowest task that runs the highest new stretch stands for it: the branches of the others are as they were. Pieces by which
 * texts leave early are checked apart, of the tasks whose they are.
 * @param before null where there is no version before
 * @param checked names of tasks that count whatever was there
 */
export function tasksOfNewPieces(now: Contents, before: Manifest | null, checked: readonly string[]): PieceTasks[] {
  const found: PieceTasks[] = [];
  for (const weights of weightForms) {
    const [pieces, old] = [piecesOf(now.pieces, weights), piecesOf(before?.pieces, weights)];
    if (!pieces) continue;
    const isNew = ({ name }: MergedTask) => pieces.branches[name]?.sha256 !== old?.branches[name]?.sha256;
    const own = now.tasks.filter((task) => checked.includes(task.name) || isNew(task));
    const tasks = [...own, ...witness(now, own, pieces.stretches, old?.stretches)];
    if (tasks.length > 0) found.push({ weights, tasks });
    const { exits } = pieces;
    if (!exits) continue;
    const isNewExit = ({ name }: MergedTask) =>
      canonicalJson(exits.tasks[name] ?? null) !== canonicalJson(old?.exits?.tasks[name] ?? null);
    const leaving = now.tasks.filter(
      (task) => exits.tasks[task.name] && (checked.includes(task.name) || isNewExit(task)),
    );
    const known = [...pieces.stretches, ...(old?.exits?.stretches ?? [])]; // the whole ones are checked above
    const over = witness(now, leaving, exits.stretches, known);
    // The trunk is cut so while anybody leaves: somebody must.
    const able = now.tasks.filter((task) => exits.tasks[task.name]);
    const first = over.length > 0 && leaving.length === 0 && !over.some((task) => able.includes(task));
    const all = [...leaving, ...over, ...(first ? able.slice(0, 1) : [])];
    if (all.length > 0) found.push({ weights, leaving: true, tasks: all });
  }
  return found;
}

/** The shallowest task above the highest stretch that is new, where none of `own` runs it. */
function witness(
  { tasks }: Contents,
  own: readonly MergedTask[],
  stretches: readonly StretchGraph[],
  known: readonly StretchGraph[] = [],
): MergedTask[] {
  const there = new Set(known.map(({ sha256 }) => sha256));
  const highest = Math.max(-1, ...stretches.filter(({ sha256 }) => !there.has(sha256)).map(({ to }) => to));
  const above = tasks.filter(({ fork }) => fork !== null && fork >= highest);
  if (highest < 0 || above.some((task) => own.includes(task))) return [];
  return above.sort((a, b) => ownLayers(a)[1] - ownLayers(b)[1]).slice(0, 1);
}

/**
 * Compares the logits of tasks' pieces with their branches alone, on all rows of the check.
 * @param branches of all these tasks
 * Throws toleranceError (5) where a piece does not open or a logit differs by too much, modelError (4) where a branch gives no
 * numbers, Interrupted.
 */
export async function checkPieces(
  { folder, model, config }: Pick<StoredRun, "folder" | "model" | "config">,
  made: readonly PieceTasks[],
  branches: Branches,
  tools: PieceTools,
): Promise<PiecesCheck[]> {
  const checks: PiecesCheck[] = [];
  for (const { weights, leaving, tasks } of made) {
    if (tools.signal.aborted) throw new Interrupted(null);
    const compared = {
      name: `the pieces of ${folder}${leaving ? " by which texts leave early," : ""} in ${weights}`,
      advice: "The folder is as it was. Please report it",
    };
    const tolerance = weights === "int8" ? int8Tolerance(model.int8 ?? { tasks: {} }, leaving) : STRICT;
    const run = { folder, model, config, weights, tasks, ...(leaving ? { leaving } : {}) };
    const found = await runPieces(run, compared, branches, tools);
    const differences = new Map<string, number>();
    for (const task of tasks) {
      const exits = leaving && exitsIn(model, task, weights);
      const alone = await (exits ? branches.leaving({ ...task, exits }) : branches.alone(task));
      differences.set(
        task.name,
        compareTask(compared, task, batchesOf(found, task, branches, alone), alone, tolerance),
      );
    }
    checks.push({ weights, ...(leaving ? { leaving } : {}), ...checkOf(branches, differences, tolerance, tools) });
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
