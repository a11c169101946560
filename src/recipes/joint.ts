// MT-DNN (Liu et al. 2019, sections 3 and 4; the paper's Table 2 cites it): one whole encoder, embeddings and all, trained on several
// tasks together. A step takes a batch of one task, in an order shuffled over all of them (its algorithm 1), through the shared
// layers and pooler and that task's own output layer, as the authors' code has it (namisan/mt-dnn, tasks/__init__.py: a linear layer
// a task over BERT's pooled output). What is left: the joint encoder as a base, and of each task a branch of no layers above it, so
// that k = 0 of the same base is MT-DNN's "leave-one-out": an output layer, here with its pooler, over the frozen joint encoder.
// Left out: the stochastic answer network (a task's output is one linear layer, which is what the paper's row has), Adamax (AdamW
// as everywhere here), ranking (QNLI is a classification), and its fine-tuning of each task afterwards.

import { type Base, type BaseDescription, withWeights } from "../checkpoints/bases/base";
import { baseFolder, RUN_FORMAT, type RunRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { JOINT } from "../checkpoints/runs/run-record";
import type { Engine } from "../engines/engine";
import { requireFreeSpace } from "../files/atomic";
import { id8, sha256Hex } from "../files/hash";
import { lockFolder } from "../files/lock";
import { scoped } from "../model/parameters";
import type { Place } from "../model/place";
import type { HostTensors } from "../model/tensors";
import { recorded } from "../options/settings";
import { type ExecutionOptions, type TrainingOptions, trainingSettings } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import { AVERAGE, type Mixing, trainJoint } from "../training/loop/train-joint";
import type { RunContext } from "../training/tracking/tracker";
import { configFile } from "./config-file";
import { finishJoint } from "./joint-model";
import { branchOfBase } from "./trial/initial-branch";
import { unscoredRecord } from "./trial/record";
import { readTaskData, type TaskData } from "./trial/task-data";
import { beginTrial, finishedRun, identityOf, stateBytes, tokenizerSha256Of, trainingConfig } from "./trial/trial";

export interface JointRequest {
  /** At least two, in the order in which the model lists them. */
  readonly tasks: readonly Task[];
  readonly base: BaseDescription;
  readonly mixing: Mixing;
  readonly training: TrainingOptions;
  readonly run: ExecutionOptions;
  /** How many rows of a task are read, where that differs by task. */
  readonly samplesOf?: ((task: Task) => Samples) | undefined;
  readonly seed: number;
}

/** Limits of the rows of both splits. */
export type Samples = Pick<ExecutionOptions, "maxTrainSamples" | "maxEvalSamples">;

/** A joint model before it is trained: its folder is a base's when it is done, and holds the runs of that base. */
export interface PlannedJoint {
  readonly request: JointRequest;
  readonly tasks: readonly { readonly task: Task; readonly data: TaskData }[];
  readonly trial: StoredRun;
}

/** Reads and encodes the data; computes nothing. */
export async function planJoint(request: JointRequest): Promise<PlannedJoint> {
  const { base, training, run, samplesOf, seed, mixing } = request;
  const tasks: { task: Task; data: TaskData }[] = [];
  for (const task of request.tasks)
    tasks.push({ task, data: await readTaskData(task, base, training.maxLength, { ...run, ...samplesOf?.(task) }) });
  const names = tasks.map(({ task }) => task.name);
  const options = { ...recorded(trainingSettings, training), mixing, tasks: names };
  const identities = tasks.map(({ task, data }) => identityOf(task, data));
  const id = id8({
    ...{ format: RUN_FORMAT, method: JOINT, base: base.sha256, tokenizer: tokenizerSha256Of(base) },
    ...{ tasks: identities, seed, options },
  });
  const whole = { fork: null, layers: base.config.numHiddenLayers };
  const together = { name: names.join("+"), labels: [], metric: AVERAGE };
  const data = { trainData: rowsOfAll(tasks, "trainData"), devData: rowsOfAll(tasks, "devData") };
  const record = unscoredRecord({ id, method: JOINT, task: together, base, ...whole, seed, data, options });
  const name = names.length > 4 ? `${names.length}-tasks` : names.join("+");
  const folder = baseFolder(run.checkpoints, `joint-${name}-seed${seed}-${id}`);
  return { request, tasks, trial: { folder, record } };
}

/** The rows of all tasks together, as records name a split. */
function rowsOfAll(tasks: PlannedJoint["tasks"], split: "trainData" | "devData"): RunRecord["devData"] {
  const all = tasks.map(({ data }) => data[split] as RunRecord["devData"]);
  const sum = (of: "rows" | "skipped") => all.reduce((total, one) => total + one[of], 0);
  const limit = all.find((one) => one.limit !== undefined)?.limit;
  return {
    sha256: sha256Hex(...all.map(({ sha256 }) => `${sha256}\n`)),
    ...{ rows: sum("rows"), skipped: sum("skipped") },
    ...(limit === undefined ? {} : { limit }),
  };
}

/**
 * Trains a joint model that is not finished: what was stopped goes on. Throws Interrupted with the state saved.
 * @returns its run, whose folder `--base` takes, beside those of its tasks' heads
 */
export async function runJoint(planned: PlannedJoint, context: RunContext<Engine>): Promise<StoredRun> {
  const { trial, request, tasks } = planned;
  const unlock = await lockFolder(trial.folder, `training ${trial.record.task} together`);
  try {
    const finished = await finishedRun(trial, request.run.force);
    if (finished) return finished;
    for (const { data } of tasks) for (const note of data.notes) context.reporter.warn(note);
    const base = await withWeights(request.base);
    const { labelLoss } = await import("./losses.js");
    const { training, run, seed, mixing } = request;
    const initial = beginning(tasks, base, seed);
    await requireFreeSpace(trial.folder, stateBytes(initial), `the state of ${trial.folder}`);
    const record = await beginTrial(trial, configOf(planned), context.engine, run.force);
    const trained = await trainJoint(
      {
        ...{ label: `${trial.record.task} together, seed ${seed}`, folder: trial.folder, mixing, initial },
        config: trainingConfig(base.config, training.dropout),
        tasks: tasks.map(({ task, data }) => {
          const source = { activations: null, config: base.config };
          return {
            ...{ task, loss: labelLoss },
            ...{ train: { ...source, rows: data.train }, dev: { ...source, rows: data.dev } },
          };
        }),
        settings: { ...training, seed, saveEvery: run.saveEvery },
      },
      context,
    );
    return await finishJoint(planned, record, trained);
  } finally {
    await unlock();
  }
}

/** The base under one pooler for all, and an output layer a task. */
function beginning(tasks: PlannedJoint["tasks"], base: Base, seed: number): HostTensors {
  const place: Place = { fork: null, layers: base.config.numHiddenLayers };
  const state: HostTensors = {};
  for (const { task } of tasks) {
    const head = headOf(task, base.config);
    const branch = Object.entries(branchOfBase(base, place, head, seed));
    const isOwn = (name: string) => head.some((parameter) => parameter.name === name && !parameter.ofBase);
    const own = Object.fromEntries(branch.filter(([name]) => isOwn(name)));
    const shared = Object.fromEntries(branch.filter(([name]) => !isOwn(name)));
    Object.assign(state, { ...shared, ...state }, scoped(task.name, own));
  }
  return state;
}

/** What repeats it: `joint --config` takes it. */
function configOf({ request, tasks }: PlannedJoint): object {
  const [first] = request.tasks as [Task, ...Task[]];
  const { labelsFrom: _, ...named } = request.tasks.find(({ definedIn }) => definedIn !== undefined) ?? first;
  const names = tasks.map(({ task }) => task.name).join(",");
  const { mixing, training, seed } = request;
  const own = { mixing, ...recorded(trainingSettings, training), seed };
  return configFile({ ...named, name: names }, request.base, request.run, own);
}
