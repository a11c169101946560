// A model to predict with: a merged folder, or one run over its base. Each trunk layer is computed once for all tasks
// that a call asks for, and no layer that they do not need.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { openBase } from "../checkpoints/base";
import { readBaseTokenizer } from "../checkpoints/base-tokenizer";
import { loadBranch, readRecord } from "../checkpoints/run-folder";
import { readSafetensors } from "../checkpoints/safetensors";
import type { Engine, EntryPoint, Program, Tensors } from "../engines/engine";
import { modelError } from "../errors/errors";
import { sha256File } from "../files/hash";
import { type Blob, MANIFEST, readManifest } from "../merge/manifest";
import { branchAxes } from "../model/branch";
import { type BertConfig, parseBertConfig } from "../model/config";
import { attentionBias, embed, encoderLayer } from "../model/encoder";
import { classify } from "../model/heads";
import { embeddingParameters, embeddingTensors, layerParameters, layerTensors } from "../model/parameters";
import { float32, type HostTensors } from "../model/tensors";
import type { Task } from "../tasks/task";
import type { TokenizerSettings } from "../tokenizer/tokenizer";

/** A task as a model serves it. */
export interface ServedTask {
  readonly name: string;
  readonly kind: "classification" | "regression";
  readonly inputs: "single" | "pair";
  readonly labels: readonly string[];
  readonly range: readonly [number, number] | null;
  readonly maxLength: number;
  /** null: the branch has embeddings of its own. */
  readonly fork: number | null;
  readonly layers: number;
}

export interface ServedModel {
  readonly folder: string;
  readonly config: BertConfig;
  readonly tokenizer: TokenizerSettings;
  readonly tasks: readonly ServedTask[];
  /**
   * Logits of one batch for some of the tasks. Inputs: input_ids, token_type_ids, attention_mask, all
   * [batch, length]. Outputs: [batch, labels] or [batch, 1] by task name.
   */
  run(inputs: HostTensors, tasks: readonly string[]): Promise<HostTensors>;
  dispose(): void;
}

/** What a model is made of before it is loaded into an engine. */
interface Parts {
  readonly folder: string;
  readonly config: BertConfig;
  readonly tokenizer: TokenizerSettings;
  readonly tasks: readonly ServedTask[];
  /** Embeddings and trunk layers under their own names, branches under `task/<name>/`. */
  readonly tensors: HostTensors;
}

export const scope = (task: string) => `task/${task}/`;
export const wanted = (task: string) => `want/${task}`;

/**
 * Opens a merged folder or a run folder.
 * @param options.names the tasks to load, all by default; layers that only others need are not read
 * @param options.taskOf finds the task of a run folder, which stores its name alone
 * @param options.base where a run's base lies, if not in the cache under its name
 */
export async function openModel(
  folder: string,
  engine: Engine,
  options: { readonly names?: readonly string[]; readonly taskOf: (name: string) => Task; readonly base?: string },
): Promise<ServedModel> {
  const merged = existsSync(path.join(folder, MANIFEST));
  const parts = merged
    ? await mergedParts(folder, options.names)
    : await runParts(folder, options.taskOf, options.base);
  const entries = { predict: predictEntry(parts.config, parts.tasks) };
  const program: Program<"predict"> = await engine.load(parts.tensors, entries, { predict: branchAxes });
  const { config, tokenizer, tasks } = parts;
  return {
    folder,
    config,
    tokenizer,
    tasks,
    run(inputs, names) {
      const wants = names.map((name) => [wanted(name), float32([], Float32Array.of(1))] as const);
      return program.run("predict", { ...inputs, ...Object.fromEntries(wants) });
    },
    dispose: () => program.dispose(),
  };
}

/**
 * The multi-head graph: the trunk from the embeddings up, and off it at each fork the branches that are wanted. An
 * input `want/<task>` asks for a task, so what runs is known from the names of the inputs alone.
 */
export function predictEntry(config: BertConfig, tasks: readonly ServedTask[]): EntryPoint {
  return (state, inputs) => {
    const ids = inputs["input_ids"] as Tensor2D;
    const types = inputs["token_type_ids"] as Tensor2D;
    const bias = attentionBias(inputs["attention_mask"] as Tensor2D);
    const asked = tasks.filter(({ name }) => wanted(name) in inputs);
    const sharing = asked.filter(({ fork }) => fork !== null).sort((a, b) => (a.fork as number) - (b.fork as number));
    const outputs: Tensors = {};
    const branch = (task: ServedTask, fork: number, from: Tensor3D) => {
      const own = unscoped(state, task.name);
      let hidden = from;
      for (let index = fork; index < fork + task.layers; index++) {
        hidden = encoderLayer(layerParameters(own, index), hidden, bias, config, index);
      }
      outputs[task.name] = classify(own, hidden);
    };
    if (sharing.length > 0) {
      let trunk = embed(embeddingParameters(state), ids, types, config);
      let depth = 0;
      for (const task of sharing) {
        for (; depth < (task.fork as number); depth++) {
          trunk = encoderLayer(layerParameters(state, depth), trunk, bias, config, depth);
        }
        branch(task, depth, trunk);
      }
    }
    for (const task of asked.filter(({ fork }) => fork === null)) {
      branch(task, 0, embed(embeddingParameters(unscoped(state, task.name)), ids, types, config));
    }
    return { outputs };
  };
}

function unscoped(state: Tensors, task: string): Tensors {
  const prefix = scope(task);
  const own = Object.entries(state).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

const scoped = (task: string, tensors: HostTensors): HostTensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [scope(task) + name, tensor]));

async function mergedParts(folder: string, names?: readonly string[]): Promise<Parts> {
  const manifest = await readManifest(folder);
  const missing = names?.find((name) => !manifest.tasks.some((task) => task.name === name));
  if (missing !== undefined) {
    throw modelError(
      `${folder} has no task ${missing}. It has ${manifest.tasks.map(({ name }) => name).join(", ") || "none"}`,
    );
  }
  const tasks = manifest.tasks.filter(({ name }) => !names || names.includes(name));
  const configFile = path.join(folder, "config.json");
  const config = parseBertConfig(await readJson(configFile), configFile);
  const { settings: tokenizer } = await readBaseTokenizer(folder, manifest.base.name, config);
  const tensors: HostTensors = {};
  if (tasks.some(({ fork }) => fork !== null)) Object.assign(tensors, await readBlob(folder, manifest.embeddings));
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  for (const blob of manifest.trunk.slice(0, depth)) Object.assign(tensors, await readBlob(folder, blob));
  for (const task of tasks) Object.assign(tensors, scoped(task.name, await readBlob(folder, task)));
  return { folder, config, tokenizer, tasks, tensors };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(
      `${file} is missing or damaged (${(error as Error).message}). Merge again into a new folder`,
      error,
    );
  }
}

async function readBlob(folder: string, { file, sha256 }: Blob): Promise<HostTensors> {
  const target = path.join(folder, file);
  if (!existsSync(target)) throw modelError(`${target} is missing, which ${MANIFEST} names. Merge again`);
  const found = await sha256File(target);
  if (found !== sha256)
    throw modelError(`${target} has sha256 ${found.slice(0, 8)}, ${MANIFEST} says ${sha256.slice(0, 8)}. Merge again`);
  return (await readSafetensors(target)).tensors;
}

async function runParts(folder: string, taskOf: (name: string) => Task, baseName?: string): Promise<Parts> {
  const record = await readRecord(folder);
  if (!record) throw modelError(`${folder} is neither a merged model nor a run folder. Give --model with one of them`);
  if (record.state !== "finished") throw modelError(`${folder} is not finished. Repeat the command that began it`);
  const base = await openBase(baseName ?? record.base.name);
  if (base.sha256 !== record.base.sha256) {
    throw modelError(
      `${folder} was trained on ${record.base.name} with sha256 ${record.base.sha256.slice(0, 8)}; ` +
        `the one that is here has ${base.sha256.slice(0, 8)}. Run: flexbert pull ${record.base.name}`,
    );
  }
  const { kind, inputs, range } = taskOf(record.task);
  const { fork, layers, labels, options } = record;
  const maxLength = typeof options["maxLength"] === "number" ? options["maxLength"] : 128;
  const task: ServedTask = { name: record.task, kind, inputs, labels, range: range ?? null, maxLength, fork, layers };
  const shared = fork === null ? {} : { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, fork) };
  const tensors = { ...shared, ...scoped(task.name, await loadBranch({ folder, record })) };
  return { folder, config: base.config, tokenizer: base.tokenizer, tasks: [task], tensors };
}
