// A model to predict with: a merged folder, or one run over its base, in pieces (segments/). Each trunk layer is computed
// once for all tasks that want it, and of each row no layer that its tasks do not need.

import { existsSync } from "node:fs";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import type { ExitRule, TaskExits } from "../exits/exits";
import type { Pace } from "../files/hash";
import { blobsOf, readConfig, readShared, requireShapes } from "../merge/folder/blobs";
import { type Leaving, leavingIn } from "../merge/folder/leaving";
import type { Manifest, MergedTask } from "../merge/folder/manifest";
import { isMergedFolder, readState } from "../merge/folder/pointer";
import { type OpenVersion, openVersion, versionFile } from "../merge/folder/version";
import type { EncoderConfig } from "../model/config";
import type { WeightForm } from "../settings/engine";
import type { Kinds } from "../tasks/kinds/kind";
import type { Task } from "../tasks/task";
import { createTokenizer, type Tokenizer, type TokenizerSettings } from "../tokenizer/tokenizer";
import { int8Pieces } from "./segments/int8-pieces";
import type { PieceSource } from "./segments/pieces";
import { openSegments, type Segments } from "./segments/segments";
import { type PieceKeys, pieceKeys } from "./segments/shared";
import { storedPieces } from "./segments/stored";

/** A task as a model serves it. */
export type ServedTask = Pick<
  MergedTask,
  "name" | "kind" | "inputs" | "labels" | "range" | "threshold" | "tags" | "maxLength" | "fork" | "layers"
> & {
  /** Its ramps; absent where it has none by which its texts could leave: `noExits` says why, where it has some all the same. */
  readonly exits?: TaskExits | undefined;
  readonly noExits?: string | undefined;
};

export interface ServedModel extends Pick<Segments, "run" | "open" | "replace" | "dispose"> {
  readonly folder: string;
  readonly config: EncoderConfig;
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly ServedTask[];
  /** What its products compute with; absent: float32. */
  readonly weights?: WeightForm | undefined;
}

/** What a model is made of. */
interface Parts extends Pick<ServedModel, "folder" | "config" | "tasks" | "weights"> {
  /** null where there will be no texts. */
  readonly tokenizer: TokenizerSettings | null;
  readonly pieces: PieceSource;
  /** Where the trunk is cut beside the forks of the tasks that are loaded. */
  readonly cuts: readonly number[];
}

/** What of a folder is opened. */
export interface ModelSource {
  /** The tasks to load, all by default; layers that only others need are not read. */
  readonly names?: readonly string[];
  /** Finds the task of a run folder, which stores its name alone. */
  readonly taskOf: (name: string) => Task;
  /** Where a run's base lies, if not in the cache under its name. */
  readonly base?: string;
  /** Of a merged folder: hash or tag; the current one by default. */
  readonly version?: string | undefined;
  /** The kinds that tasks of a merged folder may have, flexbert's by default. */
  readonly kinds?: Kinds;
  /** Opens the pieces of tasks that take these; those of others when they are first asked for. */
  readonly inputs?: "single" | "pair";
  /** Of a merged folder; by default int8 where its version has it and the engine runs it. */
  readonly weights?: WeightForm | undefined;
  /** Which tasks leave early: the pieces for that are opened in the place of the others. */
  readonly exits?: (tasks: readonly ServedTask[], folder: string) => Readonly<Record<string, ExitRule>>;
  /** Of a merged folder: puts pieces that others have open in the place of its own. */
  readonly share?: (pieces: PieceSource, keys: PieceKeys) => PieceSource;
  /** Of a merged folder: false for who has rows of ids alone; its tokenizer is not read. */
  readonly texts?: boolean;
  /** Of a merged folder: awaited between the steps in which its stored pieces are opened. */
  readonly pace?: Pace | undefined;
}

/** Opens a merged folder or a run folder. */
export async function openModel(folder: string, engine: Engine, options: ModelSource): Promise<ServedModel> {
  if (isMergedFolder(folder)) return openMerged(folder, engine, options);
  const { runParts } = await import("./run-parts.js");
  return opened(await runParts(folder, engine, options.taskOf, options.base), engine, options);
}

/** A version may be removed while its graphs are opened by their names: then what is current is opened. */
async function openMerged(folder: string, engine: Engine, options: ModelSource): Promise<ServedModel> {
  for (;;) {
    const { kinds, version: wanted, names } = options;
    const version = await openVersion(folder, { version: wanted, kinds }, (manifest) =>
      storedPieces(engine, folder, manifest) ? [] : filesFor(manifest, names),
    );
    try {
      return await opened(await partsOf(version, engine, options), engine, options);
    } catch (error) {
      if (existsSync(versionFile(folder, version.id, ".json"))) throw error;
      if ((await readState(folder, kinds)).single) throw error; // of format 1, which has no versions to remove
    } finally {
      await version.close();
    }
  }
}

async function opened(parts: Parts, { device }: Engine, { inputs: only, exits }: ModelSource): Promise<ServedModel> {
  const { folder, config, tokenizer, tasks, weights, cuts, pieces } = parts;
  const rules = exits?.(tasks, folder) ?? {};
  const segments = openSegments(config, tasks, pieces, cuts, device);
  try {
    const first = tasks.filter(({ inputs }) => inputs === (only ?? inputs)).map(({ name }) => name);
    await segments.open(first, rules);
  } catch (error) {
    segments.dispose();
    throw error;
  }
  let built: Tokenizer | undefined;
  return {
    folder,
    config,
    // Once a model, and only for who has texts: to build it takes as long as to read a thousand of them with it.
    get tokenizer() {
      if (!tokenizer) throw new Error("the model was opened without its tokenizer");
      built ??= createTokenizer(tokenizer, config.vocabSize);
      return built;
    },
    tasks,
    weights,
    ...segments,
  };
}

/** The blobs of the tasks that are loaded: another's may be missing. */
function filesFor(manifest: Manifest, names: readonly string[] | undefined): string[] {
  const tasks = servedTasks(manifest, names);
  const { shared, own } = blobsOf(manifest, tasks);
  const ramps = tasks.flatMap(({ exits }) => exits?.ramps ?? []);
  return [...shared, ...own, ...ramps].map(({ file }) => file);
}

const servedTasks = ({ tasks }: Manifest, names: readonly string[] | undefined) =>
  tasks.filter(({ name }) => !names || names.includes(name));

async function partsOf(
  version: OpenVersion,
  engine: Engine,
  { names, weights, share, texts = true, pace }: ModelSource,
): Promise<Parts> {
  const { folder, manifest } = version;
  const missing = names?.find((name) => !manifest.tasks.some((task) => task.name === name));
  if (missing !== undefined) {
    throw modelError(
      `${folder} has no task ${missing}. It has ${manifest.tasks.map(({ name }) => name).join(", ") || "none"}`,
    );
  }
  const tasks = servedTasks(manifest, names);
  const { config, tokenizer } = texts
    ? await readShared(folder, manifest)
    : { config: await readConfig(folder, manifest), tokenizer: null };
  requireCriteria(folder, tasks);
  // Stored ones are cut at the forks of all tasks, whichever are loaded.
  const cuts = manifest.tasks.flatMap(({ fork }) => fork ?? []);
  const parts = { folder, config, tokenizer, tasks, cuts };
  const madeOf = (pieces: PieceSource, form: WeightForm) => ({
    ...parts,
    pieces: share ? share(pieces, pieceKeys(manifest, form)) : pieces,
    tasks: tasks.map((task) => servedAs(task, leavingIn(manifest, task, form))),
    weights: form,
  });
  const int8 = await int8Pieces(engine, folder, manifest, { config, tasks, pace }, weights);
  if (int8) return madeOf(int8, "int8");
  const stored = storedPieces(engine, folder, manifest, "float32", pace);
  if (stored) return madeOf(stored, "float32");
  const { tracedPieces } = await import("./segments/traced.js"); // loads tfjs
  const leaving = tasks.filter((task) => leavingIn(manifest, task, "float32").exits);
  const own = { ...(await version.readTensors(tasks)), ...(await version.readRamps(leaving)) };
  const tensors = requireShapes(folder, own, config);
  return madeOf(tracedPieces(engine, config, tasks, tensors), "float32");
}

const servedAs = ({ exits: _, ...task }: MergedTask, leaving: Leaving): ServedTask => ({ ...task, ...leaving });

/** Throws modelError (4) for a rule by what the task's kind does not have: the manifest of another flexbert, or a damaged one. */
function requireCriteria(folder: string, tasks: readonly MergedTask[]): void {
  for (const { name, kind, exits } of tasks) {
    const criterion = exits?.rule?.criterion;
    if (criterion === undefined || (kind.leaving && Object.hasOwn(kind.leaving.criteria, criterion))) continue;
    throw modelError(
      `${folder}: texts of ${name} leave by ${JSON.stringify(criterion)}, which this flexbert does not know of ${kind.name}. ` +
        "Use a newer one, or merge again",
    );
  }
}
