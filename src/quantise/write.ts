// int8 weights of a merged folder: all of them at once, or of the tasks that a merge puts into a folder which has them.

import type { Engine } from "../engines/engine";
import { canonicalJson } from "../files/hash";
import { type OnCreated, readShared, readTensors, requireShapes } from "../merge/folder/blobs";
import {
  type Int8Cost,
  type Int8Exits,
  type Int8Parts,
  type Int8Task,
  weightIsGone,
  weightIsOf,
} from "../merge/folder/int8";
import { type PackedWeights, readInt8Blob, writeInt8Blob } from "../merge/folder/int8-blobs";
import type { Contents, Manifest, MergedTask } from "../merge/folder/manifest";
import type { EncoderConfig } from "../model/config";
import { createTokenizer, type TokenizerSettings } from "../tokenizer/tokenizer";
import { withExits } from "./exits";
import { type Fitted, type FittedTask, fitPlan } from "./fit";
import { packBranch, packTrunk } from "./pack-model";
import { type Int8Plan, plainPlan } from "./packing";
import type { FitModel, TrialOptions } from "./trials";

export interface QuantiseTools extends TrialOptions {
  /** Runs what is measured: one that has openGraph. */
  readonly engine: Engine;
  /** Points that a task's score may lose. */
  readonly maxDrop: number;
}

const layerName = (layer: number) => `trunk-layer-${String(layer).padStart(2, "0")}`;

/** A folder's whole model, with every weight that its tasks can be served with. */
export async function readFitModel(
  folder: string,
  manifest: Pick<Manifest, "base" | "embeddings" | "trunk" | "tasks">,
  engine: Engine,
): Promise<FitModel & { readonly engine: Engine }> {
  const { config, tokenizer } = await readShared(folder, manifest);
  const tensors = requireShapes(folder, await readTensors(folder, manifest, manifest.tasks), config);
  const { tasks } = manifest;
  return { folder, config, tokenizer: createTokenizer(tokenizer, config.vocabSize), tasks, tensors, engine };
}

/** Writes the blobs of a plan for a whole model. */
export async function writeInt8Parts(
  out: string,
  manifest: Pick<Manifest, "embeddings" | "trunk" | "tasks">,
  model: FitModel,
  fitted: Fitted,
  onCreated: OnCreated,
): Promise<Int8Parts> {
  const { plan } = fitted;
  const shared = await writeTrunk(out, model, plan, { embeddings: manifest.embeddings, trunk: [] }, onCreated);
  const written: Record<string, Int8Task> = {};
  for (const task of model.tasks) written[task.name] = await writeBranch(out, task, model, fitted, onCreated);
  return { ...shared, tasks: written, ...namesOf(plan) };
}

/**
 * What the tasks of a model share: its embeddings, and the layers above those that are there already.
 * @param known stays what it is where no task has a trunk under it
 */
async function writeTrunk(
  out: string,
  { config, tensors, tasks }: FitModel,
  plan: Int8Plan,
  known: Pick<Int8Parts, "embeddings" | "trunk">,
  onCreated: OnCreated,
): Promise<Pick<Int8Parts, "embeddings" | "trunk">> {
  const forks = tasks.flatMap(({ fork }) => fork ?? []);
  if (forks.length === 0) return known;
  const packed = packTrunk(config, tensors, plan, [0, Math.max(...forks)]);
  const embeddings = await writeInt8Blob(out, "embeddings", packed.embeddings, onCreated);
  const trunk = [...known.trunk];
  for (const weights of packed.layers.slice(known.trunk.length)) {
    trunk.push(await writeInt8Blob(out, layerName(trunk.length), weights, onCreated));
  }
  return { embeddings, trunk };
}

async function writeBranch(
  out: string,
  task: FitModel["tasks"][number],
  { config, tensors }: FitModel,
  { plan, tasks }: Fitted,
  onCreated: OnCreated,
): Promise<Int8Task> {
  const blob = await writeInt8Blob(out, task.name, await packBranch(config, task, tensors, plan), onCreated);
  const measured = tasks.find((fitted) => fitted.task === task.name) as FittedTask;
  return { ...blob, cost: costOf(measured), ...(measured.exits ? { exits: exitsOf(measured.exits) } : {}) };
}

const costOf = ({ source, rows, before, after, largest }: FittedTask): Int8Cost => ({
  ...{ source, rows, before, after },
  largest: rounded(largest),
});

const exitsOf = ({ rule, why, largest }: Int8Exits): Int8Exits => ({
  rule,
  ...(why === undefined ? {} : { why }),
  largest: rounded(largest),
});

/** More digits than threads agree on would make versions of nothing. */
const rounded = (value: number): number => Number(value.toPrecision(3));

const namesOf = ({ float32, moved }: Int8Plan): Pick<Int8Parts, "float32" | "moved"> => ({
  float32: [...float32].sort(),
  moved: [...moved.keys()].sort(),
});

export interface Requantise {
  readonly out: string;
  /** What the folder will hold; its float32 blobs are written. */
  readonly contents: Contents;
  /** What the version before has. */
  readonly before: Pick<Manifest, "tasks"> & { readonly int8: Int8Parts };
  readonly config: EncoderConfig;
  readonly tokenizer: TokenizerSettings;
  readonly onCreated: OnCreated;
}

/**
 * The int8 parts of a folder whose tasks changed: the trunk's stay, layers above it and branches that are new are made int8
 * and measured over it, the others are taken as they are.
 * @param tools null where nothing can be measured here: the branches are int8 all the same
 */
export async function requantise(
  { out, contents, before, config, tokenizer, onCreated }: Requantise,
  tools: QuantiseTools | null,
): Promise<{ readonly int8: Int8Parts; readonly tasks: readonly FittedTask[] }> {
  const { int8 } = before;
  const changed = contents.tasks.filter((task) => isChanged(task, before));
  const tensors = requireShapes(out, await readTensors(out, contents, changed), config);
  const upTo = Math.max(0, ...changed.map(({ fork }) => fork ?? 0));
  const known = Math.min(contents.trunk.length, int8.trunk.length);
  const given = { ...plainPlan, made: await madeTrunk(out, int8, contents, Math.min(known, upTo)) };
  const served = { tokenizer: createTokenizer(tokenizer, config.vocabSize), tasks: changed };
  const model: FitModel = { folder: out, config, ...served, tensors };
  const measure = async (tools: QuantiseTools): Promise<Fitted> => {
    const measured = { ...model, engine: tools.engine };
    return withExits(measured, changed, await fitPlan(measured, { ...tools, given, keepTrunk: true }), tools);
  };
  const fitted = tools ? await measure(tools) : { plan: given, tasks: changed.map(unmeasured) };
  const under = { embeddings: int8.embeddings, trunk: int8.trunk.slice(0, known) };
  const shared = await writeTrunk(out, model, fitted.plan, under, onCreated);
  const tasks: Record<string, Int8Task> = {};
  for (const task of contents.tasks) {
    const old = int8.tasks[task.name];
    tasks[task.name] = isChanged(task, before) || !old ? await writeBranch(out, task, model, fitted, onCreated) : old;
  }
  const names = namesOf(fitted.plan);
  const kept = (list: readonly string[]) =>
    list.filter((weight) => !weightIsOf(weight, changed) && !weightIsGone(weight, contents));
  return {
    int8: {
      ...shared,
      tasks,
      float32: [...kept(int8.float32), ...names.float32].sort(),
      moved: [...kept(int8.moved), ...names.moved].sort(),
    },
    tasks: fitted.tasks,
  };
}

/** The trunk's int8 weights under their own names; the words too, unless no task has shared them until now. */
async function madeTrunk(
  out: string,
  { embeddings, trunk }: Int8Parts,
  contents: Pick<Manifest, "embeddings">,
  depth: number,
): Promise<PackedWeights> {
  const blobs = [...(embeddings.sha256 === contents.embeddings.sha256 ? [] : [embeddings]), ...trunk.slice(0, depth)];
  const made: PackedWeights = {};
  for (const blob of blobs) Object.assign(made, await readInt8Blob(out, blob));
  return made;
}

const unmeasured = ({ name, exits }: MergedTask): FittedTask => ({
  ...{ task: name, source: "not measured", rows: 0, before: null, after: null },
  ...{ largest: 0, mean: 0, equalLabels: null },
  ...(exits?.rule ? { exits: { float32: exits.rule, rule: null, why: NOT_MEASURED, largest: 0 } } : {}),
});

const NOT_MEASURED = "onnxruntime, which measures it, was not there";

function isChanged(task: MergedTask, { tasks, int8 }: Requantise["before"]): boolean {
  const before = tasks.find(({ name }) => name === task.name);
  const decided = ({ sha256, exits }: MergedTask) => canonicalJson({ sha256, exits: exits ?? null });
  return !int8.tasks[task.name] || !before || decided(before) !== decided(task);
}
