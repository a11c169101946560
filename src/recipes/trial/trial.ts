// A trial: one branch to train, its identity, its run folder, and what is left to do in it.

import path from "node:path";
import type { BaseDescription } from "../../checkpoints/bases/base";
import {
  createRun,
  finishRun,
  loadState,
  methodFolder,
  RUN_FORMAT,
  type RunRecord,
  readRecord,
  type StoredRun,
  writeRecord,
} from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import { requireFreeSpace } from "../../files/atomic";
import { canonicalJson, id8, sha256Hex } from "../../files/hash";
import { lockFolder } from "../../files/lock";
import { adapterOf } from "../../model/adapters/adapters";
import type { EncoderConfig } from "../../model/config";
import type { Place } from "../../model/place";
import type { HostTensors } from "../../model/tensors";
import { recorded } from "../../options/settings";
import { type ExecutionOptions, trainingSettings } from "../../settings/training";
import { decidedBy, type Task } from "../../tasks/task";
import { type BranchTraining, trainBranch } from "../../training/loop/train-branch";
import type { RunContext } from "../../training/tracking/tracker";
import { configFile } from "../config-file";
import { describeSettings, type NamedTrial, type TrialSettings, type TrialWork } from "../recipe";
import { trialParameters } from "./parameters";
import { unscoredRecord } from "./record";
import type { TaskData } from "./task-data";

/** A trial of a sweep, before it is trained. */
export interface SweepTrial {
  readonly trial: StoredRun;
  readonly settings: TrialSettings;
}

/**
 * The folder name and record of a trial that has not begun. The id hashes everything that can change the weights,
 * and nothing else: not the engine, threads or paths.
 */
export function describeTrial(settings: NamedTrial, checkpoints: string): StoredRun {
  const { recipe, task, base, place, init, initLayers, seed, data, training, teacher, taughtBy, transfer } = settings;
  const { method } = recipe;
  const full = place.fork === null;
  const options = { ...recorded(trainingSettings, training), ...settings.options };
  const id = id8({
    format: RUN_FORMAT,
    method,
    base: base.sha256,
    // The base's hash is over weights alone; cased and uncased input give other features.
    tokenizer: tokenizerSha256Of(base),
    ...identityOf(task, data),
    // As ids have hashed it from the first, whatever the code calls it: a full branch says fork 0 here.
    shape: { fork: place.fork ?? 0, layers: place.layers, full },
    seed,
    options,
    ...(teacher ? { teacher: teacher.sha256 } : {}),
    ...(taughtBy ? { teachers: taughtBy.map(({ record }) => record.sha256) } : {}),
    ...(transfer ? { transfer: { sha256: transfer.sha256, rows: transfer.rows } } : {}),
    ...(init ? { init } : {}),
    ...(initLayers ? { initLayers } : {}),
  });
  const taught = taughtBy?.map(referenceTo);
  const start = { init, initLayers };
  const run = { id, method, task, base, ...place, seed, teacher, taughtBy: taught, ...start, transfer, data, options };
  const trained = adapterOf(options) ? trialParameters(base.config, place, task, options).trained : undefined;
  const record = unscoredRecord({ ...run, trained });
  const name = `${describeSettings(settings).name}-seed${seed}-${id}`;
  return { folder: path.join(methodFolder(checkpoints, base.name, task.name, method), name), record };
}

/** What of a task and its rows can change weights. */
export const identityOf = (task: Task, { trainData, devData }: Pick<TaskData, "trainData" | "devData">) => ({
  task: { name: task.name, kind: task.kind.name, labels: task.labels, metric: task.metric, ...decidedBy(task) },
  train: trainData.sha256,
  dev: devData.sha256,
});

/** A teacher as records of its students name it. */
export const referenceTo = ({ folder, record: { id, sha256, score } }: StoredRun) => {
  return { id, folder, sha256: sha256 as string, score };
};

const tokenizerHashes = new WeakMap<object, string>();

/** Kept per base: a vocabulary of 30,000 words takes longer to hash than the rest of a plan of 840 trials. */
export function tokenizerSha256Of({ tokenizer }: BaseDescription): string {
  const sha256 = tokenizerHashes.get(tokenizer) ?? sha256Hex(canonicalJson(tokenizer));
  tokenizerHashes.set(tokenizer, sha256);
  return sha256;
}

/** The finished run of a trial, or null where there is work left. */
export async function finishedRun(trial: StoredRun, force: boolean): Promise<StoredRun | null> {
  const stored = force ? null : await storedRun(trial);
  return stored?.record.state === "finished" ? stored : null;
}

/** A trial's run as it stands, whatever its state; null where it never began. */
export async function storedRun({ folder }: StoredRun): Promise<StoredRun | null> {
  const record = await readRecord(folder);
  return record ? { folder, record } : null;
}

/** A trial with all that its training takes. */
export interface TrialTraining {
  readonly trial: StoredRun;
  readonly settings: NamedTrial;
  readonly run: ExecutionOptions;
  /** How logs name it. */
  readonly label: string;
  /** Both splits as its branch reads them. */
  readonly sources: Pick<BranchTraining, "train" | "dev" | "extra">;
  readonly work: Omit<TrialWork, "extra">;
  /** Where what is trained stands, if that is not where its record says: ramps stand on a run's layers. */
  readonly place?: Place | undefined;
  /** Leaves the run after so many epochs, unfinished with its state saved; undefined: finishes it. */
  readonly until?: number | undefined;
}

/**
 * Trains one trial in its locked run folder: goes on from a saved state unless `force`, writes the branch of the
 * best epoch and marks the run finished. Throws Interrupted with the state saved.
 */
export async function runTrial(training: TrialTraining, context: RunContext<Engine>): Promise<StoredRun> {
  const { trial, settings, run } = training;
  const unlock = await lockFolder(trial.folder, `training ${settings.task.name}`);
  try {
    // Another process may have finished it since the caller looked.
    const finished = await finishedRun(trial, run.force);
    return finished ?? (await runLockedTrial(training, context));
  } finally {
    await unlock();
  }
}

/** As runTrial, for a caller that holds the lock of the trial's folder. */
export async function runLockedTrial(
  { trial, settings, run, label, sources, work, until, place = settings.place }: TrialTraining,
  context: RunContext<Engine>,
): Promise<StoredRun> {
  const { task, base, seed, training } = settings;
  const { folder } = trial;
  const { stored, ...working } = work;
  await requireFreeSpace(folder, stateBytes({ ...work.initial, ...work.beside?.loss }), `the state of ${folder}`);
  const record = await beginTrial(trial, resolvedConfig(settings, run), context.engine, run.force);
  const config = trainingConfig(base.config, training.dropout);
  const end = until === undefined ? {} : { until };
  const trained = await trainBranch(
    {
      ...sources,
      ...working,
      label,
      folder,
      task,
      place,
      config,
      settings: { ...training, seed, saveEvery: run.saveEvery, ...end },
    },
    context,
  );
  const { branch, complete, compileSeconds, ...outcome } = trained;
  const { times, seconds: before } = record.compiled ?? { times: 0, seconds: 0 };
  const compiled = { times: times + 1, seconds: before + compileSeconds };
  const compiling = compileSeconds > 0 ? { compiled } : {};
  if (!complete) {
    // The score and metrics of a run are those of its whole training: an unfinished one has none.
    const { steps, seconds, tokensPerSecond } = outcome;
    const left: RunRecord = { ...record, steps, seconds, tokensPerSecond, ...compiling };
    await writeRecord(folder, left);
    return { folder, record: left };
  }
  const finished = { ...record, ...outcome, ...compiling };
  return { folder, record: await finishRun(folder, finished, stored?.(branch) ?? branch) };
}

/** Marks an unfinished trial as stopped by a search. Its state stays, and whatever trains it again goes on from there. */
export async function stopTrial(trial: StoredRun, stopped: NonNullable<RunRecord["stopped"]>): Promise<StoredRun> {
  const unlock = await lockFolder(trial.folder, `stopping k=${trial.record.layers}`);
  try {
    const found = (await readRecord(trial.folder)) ?? trial.record;
    if (found.state === "finished") return { folder: trial.folder, record: found };
    const record: RunRecord = { ...found, state: "stopped", stopped };
    await writeRecord(trial.folder, record);
    return { folder: trial.folder, record };
  } finally {
    await unlock();
  }
}

/** Makes the run folder ready: a saved state is left to go on from, unless `force`; anything else begins anew. */
export async function beginTrial(trial: StoredRun, config: object, engine: Engine, force: boolean): Promise<RunRecord> {
  const found = await readRecord(trial.folder);
  if (!force && found && found.state !== "finished" && (await loadState(trial.folder))) {
    if (found.state === "running") return found;
    const resumed: RunRecord = { ...found, state: "running" };
    await writeRecord(trial.folder, resumed);
    return resumed;
  }
  const startedAt = new Date().toISOString();
  const record = { ...trial.record, engine: engine.summary, threads: engine.threads, startedAt };
  await createRun(trial.folder, record, config);
  return record;
}

/** What repeats this one trial. */
function resolvedConfig(settings: NamedTrial, run: ExecutionOptions): object {
  const { task, base, seed, training, transfer } = settings;
  return configFile(task, base, run, {
    ...describeSettings(settings).config,
    ...(transfer ? { transfer: transfer.from } : {}),
    ...recorded(trainingSettings, training),
    ...settings.options,
    seed,
  });
}

/** The base's config with the dropout rates that training uses. */
export function trainingConfig(config: EncoderConfig, dropout: number | null): EncoderConfig {
  if (dropout === null) return config;
  const rates = Object.keys(config).filter((key) => key.endsWith("DropoutProb"));
  return { ...config, ...Object.fromEntries(rates.map((key) => [key, dropout])) };
}

/** Bytes of an unfinished trial: branch, two moments and the best branch, twice while one file replaces the other. */
export function stateBytes(branch: HostTensors): number {
  return Object.values(branch).reduce((sum, { data }) => sum + 2 * 4 * data.byteLength, 0);
}
