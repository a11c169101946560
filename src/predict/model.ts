// A model to predict with: a merged folder, or one run over its base. Each trunk layer is computed once for all tasks
// that a call asks for, and no layer that they do not need.

import { openBase } from "../checkpoints/bases/base";
import { loadBranch, readRecord } from "../checkpoints/runs/run-folder";
import type { Engine, Program } from "../engines/engine";
import { modelError } from "../errors/errors";
import { blobsOf, readShared } from "../merge/folder/blobs";
import type { Manifest, MergedTask } from "../merge/folder/manifest";
import { isMergedFolder } from "../merge/folder/pointer";
import { type OpenVersion, openVersion } from "../merge/folder/version";
import { branchAxes } from "../model/branch";
import type { BertConfig } from "../model/config";
import type { EntryPoint } from "../model/entry-point";
import { multiHeadLogits, type TaskHead, type TokenInputs } from "../model/multi-head";
import { embeddingTensors, layerTensors, scoped } from "../model/parameters";
import { float32, type HostTensors } from "../model/tensors";
import type { Kinds } from "../tasks/kinds/kind";
import { type Task, thresholdOf, withHeads } from "../tasks/task";
import { createTokenizer, type Tokenizer, type TokenizerSettings } from "../tokenizer/tokenizer";

/** A task as a model serves it. */
export type ServedTask = Pick<
  MergedTask,
  "name" | "kind" | "inputs" | "labels" | "range" | "threshold" | "maxLength" | "fork" | "layers"
>;

export interface ServedModel {
  readonly folder: string;
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly ServedTask[];
  /**
   * Logits of one batch for some of the tasks. Inputs: input_ids, token_type_ids, attention_mask, all
   * [batch, length]. Outputs: [batch, labels] or [batch, 1] by task name.
   */
  run(inputs: HostTensors, tasks: readonly string[]): Promise<HostTensors>;
  dispose(): void;
}

/** What a model is made of before it is loaded into an engine. */
interface Parts extends Pick<ServedModel, "folder" | "config" | "tasks"> {
  readonly tokenizer: TokenizerSettings;
  /** Embeddings and trunk layers under their own names, branches under `task/<name>/`. */
  readonly tensors: HostTensors;
}

export const wanted = (task: string) => `want/${task}`;

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
}

/** Opens a merged folder or a run folder. */
export async function openModel(folder: string, engine: Engine, options: ModelSource): Promise<ServedModel> {
  const merged = isMergedFolder(folder);
  const parts = merged ? await mergedParts(folder, options) : await runParts(folder, options.taskOf, options.base);
  const entries = { predict: predictEntry(parts.config, await withHeads(parts.tasks)) };
  const program: Program<"predict"> = await engine.load(parts.tensors, entries, { predict: branchAxes });
  const { config, tokenizer, tasks } = parts;
  return {
    folder,
    config,
    // Once a model: to build it takes as long as to read a thousand texts with it.
    tokenizer: createTokenizer(tokenizer, config.vocabSize),
    tasks,
    run(inputs, names) {
      const wants = names.map((name) => [wanted(name), float32([], Float32Array.of(1))] as const);
      return program.run("predict", { ...inputs, ...Object.fromEntries(wants) });
    },
    dispose: () => program.dispose(),
  };
}

/**
 * The multi-head graph for the tasks that are wanted. An input `want/<task>` asks for a task, so what runs is known
 * from the names of the inputs alone.
 */
export function predictEntry(config: BertConfig, tasks: readonly TaskHead[]): EntryPoint {
  return (state, inputs) => {
    const asked = tasks.filter(({ name }) => wanted(name) in inputs);
    return { outputs: multiHeadLogits(state, inputs as unknown as TokenInputs, asked, config) };
  };
}

async function mergedParts(
  folder: string,
  { names, kinds, version: wanted }: Pick<ModelSource, "names" | "kinds" | "version">,
): Promise<Parts> {
  const version = await openVersion(folder, { version: wanted, kinds }, (manifest) => filesFor(manifest, names));
  try {
    return await partsOf(version, names);
  } finally {
    await version.close();
  }
}

/** The blobs of the tasks that are loaded: another's may be missing. */
function filesFor(manifest: Manifest, names: readonly string[] | undefined): string[] {
  const { shared, own } = blobsOf(manifest, servedTasks(manifest, names));
  return [...shared, ...own].map(({ file }) => file);
}

const servedTasks = ({ tasks }: Manifest, names: readonly string[] | undefined) =>
  tasks.filter(({ name }) => !names || names.includes(name));

async function partsOf(version: OpenVersion, names: readonly string[] | undefined): Promise<Parts> {
  const { folder, manifest } = version;
  const missing = names?.find((name) => !manifest.tasks.some((task) => task.name === name));
  if (missing !== undefined) {
    throw modelError(
      `${folder} has no task ${missing}. It has ${manifest.tasks.map(({ name }) => name).join(", ") || "none"}`,
    );
  }
  const tasks = servedTasks(manifest, names);
  const { config, tokenizer } = await readShared(folder, manifest);
  const tensors = await version.readTensors(tasks);
  return { folder, config, tokenizer, tasks, tensors };
}

async function runParts(folder: string, taskOf: (name: string) => Task, baseName?: string): Promise<Parts> {
  const record = await readRecord(folder);
  if (!record) throw modelError(`${folder} is neither a merged model nor a run folder. Give --model with one of them`);
  if (record.state !== "finished") throw modelError(`${folder} is not finished. Repeat the command that began it`);
  const base = await openBase(baseName ?? record.base.name, { lowerCase: record.base.lowerCase });
  if (base.sha256 !== record.base.sha256) {
    throw modelError(
      `${folder} was trained on ${record.base.name} with sha256 ${record.base.sha256.slice(0, 8)}; ` +
        `the one that is here has ${base.sha256.slice(0, 8)}. Run: flexbert pull ${record.base.name}`,
    );
  }
  const definition = taskOf(record.task);
  const { kind, inputs, range } = definition;
  const { fork, layers, labels, options } = record;
  const { maxLength } = options;
  const decided = { labels, range: range ?? null, ...thresholdOf(definition) };
  const task: ServedTask = { name: record.task, kind, inputs, ...decided, maxLength, fork, layers };
  const shared = fork === null ? {} : { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, fork) };
  const tensors = { ...shared, ...scoped(task.name, await loadBranch({ folder, record })) };
  return { folder, config: base.config, tokenizer: base.tokenizer, tasks: [task], tensors };
}
