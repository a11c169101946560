// Import of a branch that somebody else fine-tuned: a Hugging Face folder whose embeddings and lower layers equal
// the base's bit for bit. The first layer that differs is the branch's first.

import path from "node:path";
import { type Base, openBase } from "../checkpoints/bases/base";
import { compareTensors } from "../checkpoints/bases/compare";
import {
  createRun,
  finishRun,
  loadBranch,
  methodFolder,
  RUN_FORMAT,
  type RunRecord,
  readRecord,
  type StoredRun,
} from "../checkpoints/runs/run-folder";
import { IMPORTED } from "../checkpoints/runs/run-record";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import { id8, sha256Hex } from "../files/hash";
import type { Reporter } from "../messages/reporter";
import { branchAxes } from "../model/branch";
import { headUnder } from "../model/families/head";
import { branchTensors, embeddingTensors, layerTensors, withShared } from "../model/parameters";
import { kName, type Place } from "../model/place";
import type { HostTensor, HostTensors } from "../model/tensors";
import type { ExecutionOptions } from "../settings/training";
import { headOf, outputSize, type Task } from "../tasks/task";
import { scoreTuned, splitLogits } from "../training/loop/branch-source";
import { logitsStep } from "../training/step/step";
import type { RunContext } from "../training/tracking/tracker";
import { configFile } from "./config-file";
import { finetune } from "./finetune";
import { labelOrder, mapLabels, requireHead, requireSameModel, tellThresholds, tellUnknown } from "./foreign";
import { unscoredRecord } from "./trial/record";
import { readTaskData, type TaskData } from "./trial/task-data";
import { openTrunks } from "./trial/trunks";

export interface ImportRequest {
  readonly task: Task;
  readonly base: Base;
  /** A Hugging Face folder with encoder, pooler and classifier. */
  readonly folder: string;
  /** Label names of the folder's outputs, in its order; null takes its config's names. */
  readonly labels: readonly string[] | null;
  readonly maxLength: number;
  readonly run: ExecutionOptions;
}

/**
 * Stores the foreign branch as a finished run, scored on the task's dev rows, so that it can be chosen as a teacher.
 * Throws modelError (4) where anything in the folder that its outputs rest on does not fit.
 */
export async function importBranch(request: ImportRequest, context: RunContext<Engine>): Promise<StoredRun> {
  const { task, base, folder, maxLength, run } = request;
  const foreign = await openBase(folder, { lowerCase: base.lowerCase });
  const { place, branch, labels } = await readBranch(request, foreign, context);
  const data = await readTaskData(task, base, maxLength, run);
  for (const note of data.notes) context.reporter.warn(note);
  const trunks = openTrunks(task, base, data, run, context);
  const entries = { logits: logitsStep(place, base.config, await task.kind.head(base.config)) };
  const program = await context.engine.load(withShared(base.tensors, branch), entries, { logits: branchAxes });
  try {
    const { dev } = await trunks.under(place);
    const logits = await splitLogits(program, "logits", dev, task, context.signal);
    const trial = await describeImport(request, place, foreign, branch, data);
    const record: RunRecord = {
      ...trial.record,
      ...scoreTuned(task, logits, dev.rows.labels),
      engine: context.engine.summary,
      threads: context.engine.threads,
    };
    const own = { maxLength, import: path.resolve(folder), labels };
    await createRun(trial.folder, record, configFile(task, base, run, own));
    return { folder: trial.folder, record: await finishRun(trial.folder, record, branch) };
  } finally {
    program.dispose();
    await trunks.dispose();
  }
}

/** The folder's own layers and head, its outputs in the task's order, where everything else in it is the base's. */
async function readBranch(
  { task, base, labels: given }: ImportRequest,
  foreign: Base,
  { reporter }: RunContext<Engine>,
): Promise<{ readonly place: Place; readonly branch: HostTensors; readonly labels: readonly string[] | null }> {
  const head = headOf(task, base.config).map(({ name }) => name);
  requireSameModel(base, foreign);
  requireHead(foreign, task, head);
  const place = findPlace(base, foreign);
  const branch = branchTensors(foreign.tensors, place, head);
  const outputs = outputsOf(branch, task, foreign);
  const labels = labelOrder(foreign, task, given, outputs, reporter);
  tellHalfPrecision(base, foreign, reporter);
  tellUnknown(foreign, reporter);
  tellThresholds(foreign, task, reporter);
  return { place, branch: mapLabels(branch, task, labels, foreign), labels };
}

/** Outputs of the folder's classifier: as many as the task has. */
function outputsOf(branch: HostTensors, task: Task, { folder, config }: Base): number {
  const { output } = headUnder(config, task.kind);
  const weight = branch[`${output}.weight`];
  if (!weight || !branch[`${output}.bias`]) {
    throw modelError(`${folder} has no classifier: it is no fine-tuned classifier or regression`);
  }
  const [rows = 0] = weight.shape;
  const outputs = outputSize(task);
  if (rows !== outputs) throw modelError(`${folder} has ${rows} outputs, ${task.name} has ${outputs}`);
  return rows;
}

/**
 * The run's folder and record. Another head or another order of labels is another id. An import from before the id hashed
 * the head keeps its own, where it is this head that lies there.
 */
async function describeImport(
  request: ImportRequest,
  place: Place,
  foreign: Base,
  branch: HostTensors,
  data: TaskData,
): Promise<StoredRun> {
  const { task, base, maxLength, run } = request;
  const earlier = {
    format: RUN_FORMAT,
    method: IMPORTED,
    base: base.sha256,
    branch: foreign.sha256,
    task: task.name,
    devData: data.devData,
  };
  const options = { maxLength };
  const recordOf = (id: string): RunRecord => ({
    ...unscoredRecord({ id, method: IMPORTED, task, base, ...place, seed: 0, data, options }),
    startedAt: new Date().toISOString(),
  });
  const at = (id: string) =>
    path.join(methodFolder(run.checkpoints, base.name, task.name, finetune.method), `${kName(place)}-import-${id}`);
  const id = id8(earlier);
  const kept = await readRecord(at(id));
  if (kept?.state === "finished" && kept.options.maxLength === maxLength) {
    const stored = await loadBranch({ folder: at(id), record: kept }, { ...task, labels: kept.labels }, base.config);
    if (hashHead(stored, task, base) === hashHead(branch, task, base)) {
      return { folder: at(id), record: recordOf(id) };
    }
  }
  const own = id8({ ...earlier, head: hashHead(branch, task, base), options });
  return { folder: at(own), record: recordOf(own) };
}

function hashHead(branch: HostTensors, task: Task, base: Base): string {
  const names = headOf(task, base.config).map(({ name }) => name);
  return sha256Hex(...names.flatMap((name) => [`\n${name}\n`, bytesOf(branch[name] as HostTensor)]));
}

function findPlace(base: Base, foreign: Base): Place {
  const layers = base.config.numHiddenLayers;
  if (foreign.config.numHiddenLayers !== layers || foreign.config.hiddenSize !== base.config.hiddenSize) {
    throw modelError(
      `${foreign.folder} has ${foreign.config.numHiddenLayers} layers of ${foreign.config.hiddenSize}, ` +
        `the base ${base.name} ${layers} of ${base.config.hiddenSize}. Give the --base that it was fine-tuned from`,
    );
  }
  const changed = firstDifference(embeddingTensors(base.tensors), base, foreign);
  if (changed) {
    const reason = changed.includes("has the shape")
      ? "it was fine-tuned from another base"
      : "its embeddings were trained, so it shares no trunk";
    throw modelError(`${foreign.folder}: ${changed}; against the base ${base.name}, ${reason}`);
  }
  let fork = 0;
  while (fork < layers && !firstDifference(layerTensors(base.tensors, fork, fork + 1), base, foreign)) fork++;
  if (fork === layers) {
    throw modelError(
      `${foreign.folder}: every layer equals the base ${base.name}: there is no fine-tuned branch in it`,
    );
  }
  return { fork, layers: layers - fork };
}

/** The first of the base's tensors that the folder has otherwise, and how. */
function firstDifference(expected: HostTensors, base: Base, foreign: Base): string | null {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = foreign.tensors[name];
    const theirs = other ? { tensor: other, dtype: foreign.dtypes?.get(name) } : null;
    const difference = compareTensors(name, { tensor, dtype: base.dtypes?.get(name) }, theirs);
    if (difference !== null) return `${name} ${difference}`;
  }
  return null;
}

/** Layers below the branch are the base's, whose digits the folder has lost. */
function tellHalfPrecision(base: Base, foreign: Base, { log }: Pick<Reporter, "log">): void {
  const formats = new Set([...(foreign.dtypes?.values() ?? [])].filter((dtype) => dtype === "F16" || dtype === "BF16"));
  if (formats.size === 0) return;
  log(
    `${foreign.folder} holds ${[...formats].join(" and ")}: its lower layers equal ${base.name} at that precision, and the base's own are used`,
  );
}

const bytesOf = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
