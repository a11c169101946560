// flexbert quantize: a version of a merged folder that has int8 weights beside those of float32. Measured without the folder's
// lock, which others may want meanwhile; written and committed under it.

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { failure, modelError } from "../errors/errors";
import { openBranches } from "../export/check/branches";
import { ONNX, type StagedOnnx } from "../export/onnx/onnx";
import { checkPieces, type PiecesCheck, tasksIn, tasksOfNewPieces } from "../export/pieces/pieces-check";
import { changeFolder, commitVersion } from "../merge/change";
import { folderWeights, readShared } from "../merge/folder/blobs";
import { type Int8Parts, int8Files } from "../merge/folder/int8";
import type { Blob, Contents, Manifest } from "../merge/folder/manifest";
import { type FoundVersion, readVersion, versionFile } from "../merge/folder/version";
import { writeAllPieces } from "../merge/pieces";
import { storedRunner } from "../predict/segments/run-stored";
import type { Kinds } from "../tasks/kinds/kind";
import type { Task } from "../tasks/task";
import { withExits } from "./exits";
import { type FittedTask, fitPlan } from "./fit";
import { type QuantiseTools, readFitModel, writeInt8Parts } from "./write";

export interface QuantiseRequest extends QuantiseTools {
  readonly folder: string;
  /** Hash or tag of the version to begin with; the current one by default. */
  readonly version?: string | undefined;
  readonly note: string | null;
  readonly kinds?: Kinds;
}

export interface Quantised {
  /** The folder's version now. */
  readonly version: string;
  /** Whether it is a new one: where nothing is new, there is none. */
  readonly isNew: boolean;
  readonly converted: boolean;
  readonly tasks: readonly FittedTask[];
  /** Weights that stay float32, by their names in the model. */
  readonly float32: readonly string[];
  /** Products into whose matrices outliers were moved. */
  readonly moved: readonly string[];
  /** Of the weights in either form. */
  readonly bytes: { readonly float32: number; readonly int8: number };
  /** What was found of the stored pieces, as merge finds it; of those in int8, against what float32's branches give. */
  readonly pieces: readonly PiecesCheck[];
}

/** What would be made int8. Throws modelError (4) for what is no merged folder, or has no task. */
export async function quantisable({ folder, version, kinds }: Pick<QuantiseRequest, "folder" | "version" | "kinds">) {
  const found = await readVersion(folder, { version, kinds });
  if (found.manifest.tasks.length === 0) {
    throw modelError(`${folder} has no task. Run: flexbert merge --out ${folder}`);
  }
  return found;
}

/**
 * Makes the version and commits it. Whatever it throws, and wherever it is killed, the folder is as it was.
 * Throws as {@link quantisable}, failure (1) where the folder changed meanwhile, toleranceError (5) where a stored piece does not
 * give what was measured, Interrupted.
 */
export async function quantiseFolder(request: QuantiseRequest): Promise<Quantised> {
  const { folder, kinds, note, engine } = request;
  const { id, manifest } = await quantisable(request);
  const current = (await readVersion(folder, { kinds })).id;
  const model = await readFitModel(folder, manifest, engine);
  const fitted = await withExits(model, manifest.tasks, await fitPlan(model, request), request);
  return changeFolder(folder, "quantizing", kinds, async (change) => {
    if (change.old?.id !== current) {
      throw failure(`${folder} became version ${change.old?.id} while ${id} was measured. Run flexbert quantize again`);
    }
    const int8 = await writeInt8Parts(folder, manifest, model, fitted, change.onCreated);
    const contents = { ...manifest, int8 };
    const pieces = await writeAllPieces(folder, contents, model.config, manifest, change.onCreated);
    const checks = await checked(request, { ...contents, pieces }, manifest);
    const graph = await keptGraph(folder, { id, manifest });
    const logged = { command: "quantize", note };
    const committed = await commitVersion(change, { ...contents, pieces }, graph, logged);
    const { isNew, converted } = committed;
    const { float32, moved } = int8;
    const bytes = await sizes(folder, manifest, int8);
    return { version: committed.id, isNew, converted, tasks: fitted.tasks, float32, moved, bytes, pieces: checks };
  });
}

/** Runs the pieces that are new on a few of the rows that were measured. */
async function checked(
  { folder, engine, signal, glueData, rowsOf, reporter }: QuantiseRequest,
  contents: Contents,
  before: Manifest,
): Promise<PiecesCheck[]> {
  const made = tasksOfNewPieces(contents, before, []);
  if (made.length === 0) return [];
  const wanted = tasksIn(made);
  const tasks = contents.tasks.filter((task) => wanted.has(task));
  const definitions = new Map<string, Task | null>();
  for (const task of tasks) definitions.set(task.name, (await rowsOf(task)).definition);
  const { config, tokenizer } = await readShared(folder, contents);
  const taskOf = (name: string) => definitions.get(name) ?? undefined;
  const tools = { engine, signal, glueData, taskOf, warn: reporter.warn, runStored: storedRunner(engine) };
  const source = { tasks, config, tokenizer, ...folderWeights(folder, contents) };
  return checkPieces({ folder, model: contents, config }, made, await openBranches(source, tools), tools);
}

/** The version's own model.onnx, as if it had just been made: its weights are float32, and stay. */
async function keptGraph(folder: string, { id, manifest }: FoundVersion): Promise<StagedOnnx | null> {
  if (!manifest.onnx) return null;
  const own = versionFile(folder, id, ".onnx");
  const place = existsSync(own) ? own : path.join(folder, ONNX); // of a folder of format 1
  const unchanged = manifest.tasks.map(({ name }) => name);
  const report = { ...manifest.onnx, bytes: 0, weights: "blobs" as const, unchanged, check: null };
  return { report, path: place, discard: async () => undefined };
}

async function sizes(folder: string, manifest: FoundVersion["manifest"], int8: Int8Parts) {
  const sum = async (blobs: readonly Blob[]) => {
    let bytes = 0;
    for (const { file } of blobs) bytes += (await stat(path.join(folder, file))).size;
    return bytes;
  };
  const { embeddings, trunk, tasks } = manifest;
  return { float32: await sum([embeddings, ...trunk, ...tasks]), int8: await sum(int8Files(int8)) };
}
