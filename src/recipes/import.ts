// Import of a branch that somebody else fine-tuned: a Hugging Face folder whose embeddings and lower layers equal
// the base's bit for bit. The first layer that differs is the branch's first.

import path from "node:path";
import { type Base, openBase } from "../checkpoints/bases/base";
import {
  createRun,
  finishRun,
  methodFolder,
  RUN_FORMAT,
  type RunRecord,
  type StoredRun,
} from "../checkpoints/runs/run-folder";
import { IMPORTED } from "../checkpoints/runs/run-record";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import { id8 } from "../files/hash";
import { branchAxes } from "../model/branch";
import { branchTensors, embeddingTensors, layerTensors } from "../model/parameters";
import { kName, type Place } from "../model/place";
import type { HostTensor, HostTensors } from "../model/tensors";
import type { RunOptions } from "../settings/training";
import { headOf, outputSize, type Task } from "../tasks/task";
import { scoreLogits, splitLogits } from "../training/loop/branch-source";
import { logitsStep } from "../training/step/step";
import type { RunContext } from "../training/tracking/tracker";
import { finetune } from "./finetune";
import { readTaskData, type TaskData } from "./trial/task-data";
import { openTrunks } from "./trial/trunks";

export interface ImportRequest {
  readonly task: Task;
  readonly base: Base;
  /** A Hugging Face folder with encoder, pooler and classifier. */
  readonly folder: string;
  /** Label names of the folder's outputs, in its order; null takes its config's names, else the task's own order. */
  readonly labels: readonly string[] | null;
  readonly maxLength: number;
  readonly run: RunOptions;
}

/**
 * Stores the foreign branch as a finished run, scored on the task's dev rows, so that it can be chosen as a teacher.
 * Throws modelError (4) where the shapes, the labels or the frozen part do not fit.
 */
export async function importBranch(request: ImportRequest, context: RunContext<Engine>): Promise<StoredRun> {
  const { task, base, folder, maxLength, run } = request;
  const foreign = await openBase(folder, {});
  const place = findPlace(base, foreign);
  const labels = request.labels ?? foreign.labels ?? null;
  const names = headOf(task, base.config.hiddenSize).map(({ name }) => name);
  const branch = mapLabels(branchTensors(foreign.tensors, place, names), task, labels, folder);
  const data = await readTaskData(task, base, maxLength, run);
  const trunks = openTrunks(task, base, data, run, context);
  const entries = { logits: logitsStep(place, base.config, await task.kind.head()) };
  const program = await context.engine.load(branch, entries, { logits: branchAxes });
  try {
    const { dev } = await trunks.under(place);
    const logits = await splitLogits(program, "logits", dev, outputSize(task), context.signal);
    const record: RunRecord = {
      ...importRecord(request, place, foreign, data),
      ...scoreLogits(task, logits, dev.rows.labels),
      engine: context.engine.summary,
      threads: context.engine.threads,
    };
    const name = `${kName(place)}-import-${record.id}`;
    const target = path.join(methodFolder(run.checkpoints, base.name, task.name, finetune.method), name);
    await createRun(target, record, { task: task.name, base: base.name, max_length: maxLength, import: folder });
    return { folder: target, record: await finishRun(target, record, branch) };
  } finally {
    program.dispose();
    await trunks.dispose();
  }
}

function importRecord(
  { task, base, maxLength }: ImportRequest,
  place: Place,
  foreign: Base,
  data: TaskData,
): RunRecord {
  const { trainData, devData } = data;
  return {
    format: RUN_FORMAT,
    id: id8({
      format: RUN_FORMAT,
      method: IMPORTED,
      base: base.sha256,
      branch: foreign.sha256,
      task: task.name,
      devData,
    }),
    state: "running",
    method: IMPORTED,
    task: task.name,
    base: { name: base.name, sha256: base.sha256, layers: base.config.numHiddenLayers },
    layers: place.layers,
    fork: place.fork,
    full: false,
    seed: 0,
    trainData,
    devData,
    labels: task.labels,
    metric: task.metric,
    score: null,
    metrics: {},
    bestEpoch: null,
    steps: 0,
    options: { maxLength },
    engine: "",
    threads: 0,
    seconds: 0,
    tokensPerSecond: null,
    startedAt: new Date().toISOString(),
  };
}

function findPlace(base: Base, foreign: Base): Place {
  const layers = base.config.numHiddenLayers;
  if (foreign.config.numHiddenLayers !== layers || foreign.config.hiddenSize !== base.config.hiddenSize) {
    throw modelError(
      `${foreign.folder} has ${foreign.config.numHiddenLayers} layers of ${foreign.config.hiddenSize}, ` +
        `the base ${base.name} ${layers} of ${base.config.hiddenSize}. Give the --base that it was fine-tuned from`,
    );
  }
  const changed = firstDifference(embeddingTensors(base.tensors), foreign.tensors);
  if (changed) {
    throw modelError(
      `${foreign.folder}: ${changed} differs from the base ${base.name}: its embeddings were trained, so it shares no trunk`,
    );
  }
  let fork = 0;
  while (fork < layers && !firstDifference(layerTensors(base.tensors, fork, fork + 1), foreign.tensors)) fork++;
  if (fork === layers) {
    throw modelError(
      `${foreign.folder}: every layer equals the base ${base.name}: there is no fine-tuned branch in it`,
    );
  }
  return { fork, layers: layers - fork };
}

function firstDifference(expected: HostTensors, actual: HostTensors): string | null {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = actual[name];
    if (!other || !sameBytes(tensor, other)) return name;
  }
  return null;
}

function sameBytes(a: HostTensor, b: HostTensor): boolean {
  const bytes = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return bytes(a).equals(bytes(b));
}

/** The branch with its classifier's rows in the task's order of labels. */
function mapLabels(branch: HostTensors, task: Task, labels: readonly string[] | null, folder: string): HostTensors {
  const outputs = outputSize(task);
  const weight = branch["classifier.weight"];
  const bias = branch["classifier.bias"];
  if (!weight || !bias) throw modelError(`${folder} has no classifier: it is no fine-tuned classifier or regression`);
  const [rows = 0, hidden = 0] = weight.shape;
  if (rows !== outputs) throw modelError(`${folder} has ${rows} outputs, ${task.name} has ${outputs}`);
  if (task.labels.length === 0 || !labels) return branch;
  const names = task.kind.outputs(task);
  const order = names.map((name) => labels.indexOf(name));
  const missing = names.find((_, i) => (order[i] as number) < 0);
  if (missing !== undefined) {
    throw modelError(
      `${folder} has labels ${labels.join(", ")}; ${task.name} needs ${missing}. Give --labels in the folder's order`,
    );
  }
  const mapped = { weight: new Float32Array(rows * hidden), bias: new Float32Array(rows) };
  for (const [to, from] of order.entries()) {
    mapped.weight.set((weight.data as Float32Array).subarray(from * hidden, (from + 1) * hidden), to * hidden);
    mapped.bias[to] = bias.data[from] as number;
  }
  return {
    ...branch,
    "classifier.weight": { dtype: "float32", shape: weight.shape, data: mapped.weight },
    "classifier.bias": { dtype: "float32", shape: bias.shape, data: mapped.bias },
  };
}
