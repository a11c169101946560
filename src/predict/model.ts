// A model to predict with: a merged folder, or one run over its base, in pieces (segments/). Each trunk layer is computed
// once for all tasks that want it, and of each row no layer that its tasks do not need.

import { existsSync } from "node:fs";
import path from "node:path";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import { readShared, readTensors } from "../merge/folder/blobs";
import { MANIFEST, type MergedTask, readManifest } from "../merge/folder/manifest";
import type { BertConfig } from "../model/config";
import type { Kinds } from "../tasks/kinds/kind";
import type { Task } from "../tasks/task";
import { createTokenizer, type Tokenizer, type TokenizerSettings } from "../tokenizer/tokenizer";
import { openSegments, type PieceSource, type Segments } from "./segments/segments";
import { storedPieces } from "./segments/stored";

/** A task as a model serves it. */
export type ServedTask = Pick<
  MergedTask,
  "name" | "kind" | "inputs" | "labels" | "range" | "threshold" | "maxLength" | "fork" | "layers"
>;

export interface ServedModel extends Pick<Segments, "run" | "open" | "replace" | "dispose"> {
  readonly folder: string;
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly ServedTask[];
}

/** What a model is made of. */
interface Parts extends Pick<ServedModel, "folder" | "config" | "tasks"> {
  readonly tokenizer: TokenizerSettings;
  readonly pieces: PieceSource;
  /** Where the trunk is cut beside the forks of the tasks that are loaded. */
  readonly cuts: readonly number[];
}

/**
 * Opens a merged folder or a run folder.
 * @param options.names the tasks to load, all by default; layers that only others need are not read
 * @param options.taskOf finds the task of a run folder, which stores its name alone
 * @param options.base where a run's base lies, if not in the cache under its name
 * @param options.kinds the kinds that tasks of a merged folder may have, flexbert's by default
 * @param options.inputs opens the pieces of tasks that take these; those of others when they are first asked for
 */
export async function openModel(
  folder: string,
  engine: Engine,
  options: {
    readonly names?: readonly string[];
    readonly taskOf: (name: string) => Task;
    readonly base?: string;
    readonly kinds?: Kinds;
    readonly inputs?: "single" | "pair";
  },
): Promise<ServedModel> {
  const merged = existsSync(path.join(folder, MANIFEST));
  const parts: Parts = merged
    ? await mergedParts(folder, engine, options)
    : await (await import("./run-parts.js")).runParts(folder, engine, options.taskOf, options.base);
  const { config, tokenizer, tasks, cuts, pieces } = parts;
  const segments = openSegments(config, tasks, pieces, cuts);
  try {
    await segments.open(tasks.filter(({ inputs }) => inputs === (options.inputs ?? inputs)).map(({ name }) => name));
  } catch (error) {
    segments.dispose();
    throw error;
  }
  return {
    folder,
    config,
    // Once a model: to build it takes as long as to read a thousand texts with it.
    tokenizer: createTokenizer(tokenizer, config.vocabSize),
    tasks,
    ...segments,
  };
}

async function mergedParts(
  folder: string,
  engine: Engine,
  { names, kinds }: { readonly names?: readonly string[]; readonly kinds?: Kinds },
): Promise<Parts> {
  const manifest = await readManifest(folder, kinds);
  const missing = names?.find((name) => !manifest.tasks.some((task) => task.name === name));
  if (missing !== undefined) {
    throw modelError(
      `${folder} has no task ${missing}. It has ${manifest.tasks.map(({ name }) => name).join(", ") || "none"}`,
    );
  }
  const tasks = manifest.tasks.filter(({ name }) => !names || names.includes(name));
  const { config, tokenizer } = await readShared(folder, manifest);
  // Stored ones are cut at the forks of all tasks, whichever are loaded.
  const cuts = manifest.tasks.flatMap(({ fork }) => fork ?? []);
  const stored = storedPieces(engine, folder, manifest);
  if (stored) return { folder, config, tokenizer, tasks, cuts, pieces: stored };
  const { tracedPieces } = await import("./segments/traced.js"); // loads tfjs
  const tensors = await readTensors(folder, manifest, tasks);
  return { folder, config, tokenizer, tasks, cuts, pieces: tracedPieces(engine, config, tasks, tensors) };
}
