// A run folder: one trial's config.yaml, metrics.jsonl, model.safetensors (the branch alone) and run.json, and
// while it is unfinished state.safetensors. Contracts: docs/files.md. Holds no training logic.

import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import { ExitCode, modelError, oneLine, UserError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { formatProblem, stamped } from "../../files/format";
import { sha256File } from "../../files/hash";
import { parseJson } from "../../files/json";
import type { EncoderConfig } from "../../model/config";
import type { Place } from "../../model/place";
import type { HostTensors } from "../../model/tensors";
import type { Definitions } from "../../options/option";
import { fromRecorded, type Recorded, recordedProblem, type SettingsOf } from "../../options/settings";
import { nestsTooDeep } from "../../options/yaml-nesting";
import type { maxLength } from "../../settings/training";
import type { OfKind } from "../../tasks/task";
import type { RecordedBase } from "../bases/base";
import { requireFinite } from "../formats/finite";
import { readSafetensors, writeSafetensors } from "../formats/safetensors";
import { branchProblem } from "./branch-shape";
import { parseMetricsLine } from "./metrics-line";
import { recordProblem } from "./run-record";
import type { Tuned } from "./tuned";

export const RUN_FORMAT = 1;

export interface RecordedTeacher {
  readonly id: string;
  readonly folder: string;
  readonly sha256: string;
  readonly score: number | null;
}

/** run.json: what a trial is, how far it came and what it scored. Scores are fractions; null is NaN. */
export interface RunRecord extends Place {
  readonly format: typeof RUN_FORMAT;
  /** The version that wrote it last, put there by writeRecord; absent where 0.1.0 did. */
  readonly flexbert?: string;
  readonly id: string;
  /** "stopped" by a search that needs no more of it; its state is kept, and it can go on. */
  readonly state: "running" | "stopped" | "finished";
  /** The recipe that trained it, by its name, or "import". */
  readonly method: string;
  readonly task: string;
  readonly base: RecordedBase;
  /** Whether its fork is null, as files have always said it beside the fork. */
  readonly full: boolean;
  readonly seed: number;
  /** Students only. */
  readonly teacher?: RecordedTeacher;
  /** Of students that the mean of several seeds taught: all of them, the teacher first. */
  readonly taughtBy?: readonly RecordedTeacher[];
  readonly init?: "teacher" | "pretrained";
  /** Of a student that began as layers of its teacher's other than those at its own depth. */
  readonly initLayers?: "bottom" | "top" | "spread";
  /** Texts without labels that its teacher labelled: the hash of all of them, how many were taken, and what they are of. */
  readonly transfer?: { readonly sha256: string; readonly rows: number; readonly from: readonly string[] };
  readonly trainData: { readonly sha256: string; readonly rows: number; readonly skipped: number };
  readonly devData: {
    readonly sha256: string;
    readonly rows: number;
    readonly skipped: number;
    /** Where only so many rows were asked for: the scores are a quick look. */
    readonly limit?: number;
  };
  /** Label names by class id; [] for regression. */
  readonly labels: readonly string[];
  /** What the score is, by its name in `metrics`. Absent in runs of 0.1.0: there it is the first of them. */
  readonly metric?: string;
  /** Where a search stopped it the last time: epochs that it had run, and its best dev score in them. */
  readonly stopped?: { readonly search: "halving" | "auto"; readonly epoch: number; readonly score: number | null };
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Of a task whose thresholds are tuned, once finished: its score and metrics are with these. */
  readonly tuned?: Tuned;
  readonly bestEpoch: number | null;
  readonly steps: number;
  /** Of a branch whose layers stayed frozen beside small tensors: numbers that are its own. The rest of what it stores is the base's. */
  readonly trained?: number;
  readonly options: RecordedOptions;
  /** sha256 of model.safetensors, once finished. */
  readonly sha256?: string;
  /** Recorded, no part of the id. */
  readonly engine: string;
  readonly threads: number;
  /** Seconds of training and evaluation in all processes; the shared trunk is not counted. */
  readonly seconds: number;
  /** Of `seconds`: how often a process compiled the steps, and what that took in all; absent where nothing compiles. */
  readonly compiled?: { readonly times: number; readonly seconds: number };
  readonly tokensPerSecond: number | null;
  /** Absent in runs that were imported, or trained before this was recorded. */
  readonly cost?: TrialCost;
  readonly startedAt: string;
  readonly finishedAt?: string;
}

/**
 * What the id hashes of a trial's settings: {@link optionsOf} has their types. Imported branches have the length alone;
 * recipes add options of their own.
 */
export type RecordedOptions = Recorded<typeof maxLength> & Readonly<Record<string, unknown>>;

/** What a trial's batches, frozen layers and machine took. The engine and the machine decide it, so it is no part of the id. */
export interface TrialCost {
  /** Token positions of one pass over the train rows. */
  readonly trainTokens: {
    readonly own: number;
    /** As length buckets pad them, filler rows included: what an epoch computes. */
    readonly bucketed: number;
    /** With every row padded to the longest one, and to the maximum length. */
    readonly longest: number;
    readonly maxLength: number;
  };
  readonly devTokens: number;
  readonly buckets: readonly number[];
  /**
   * What frozen layers took since the trial before it, so that a sweep's trials add up to the sweep: token positions
   * times layers, and seconds. null for k = full, which has none.
   */
  readonly trunk: { readonly layerTokens: number; readonly seconds: number } | null;
  /** Of the whole machine while the trial ran; null where the machine does not say. */
  readonly joules: number | null;
}

/** A saved state: tensors by name and where the run stood. */
export interface SavedState {
  readonly tensors: HostTensors;
  readonly position: Readonly<Record<string, string>>;
}

/** A run and where it lies. */
export interface StoredRun {
  readonly folder: string;
  readonly record: RunRecord;
}

const files = {
  config: "config.yaml",
  metrics: "metrics.jsonl",
  model: "model.safetensors",
  record: "run.json",
  state: "state.safetensors",
};

export const modelFile = (folder: string) => path.join(folder, files.model);
export const metricsFile = (folder: string) => path.join(folder, files.metrics);

/** checkpoints/<base>, with `/` in the base's name as `--`. */
export const baseFolder = (checkpoints: string, base: string): string =>
  path.join(checkpoints, base.replaceAll("/", "--"));

/** checkpoints/<base>/<task>/<method>. */
export const methodFolder = (checkpoints: string, base: string, task: string, method: string): string =>
  path.join(baseFolder(checkpoints, base), task, method);

/** The record of a run folder, or null where there is none. Throws modelError (4) for one that cannot be read. */
export async function readRecord(folder: string): Promise<RunRecord | null> {
  const file = path.join(folder, files.record);
  if (!existsSync(file)) return null;
  let record: unknown;
  try {
    record = parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(file, oneLine(error), error);
  }
  const foreign = formatProblem(record, RUN_FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const problem = recordProblem(record);
  if (problem !== null) throw damaged(file, problem);
  return record as RunRecord;
}

const damaged = (file: string, problem: string, cause?: unknown) =>
  modelError(`${file} is damaged (${problem}). Remove the folder and run again`, cause);

/**
 * A run's settings by the definitions of what trained it. Throws modelError (4) where the record lacks one, as that of an
 * imported branch lacks those of training.
 */
export function optionsOf<D extends Definitions>(definitions: D, { folder, record }: StoredRun): SettingsOf<D> {
  const problem = recordedProblem(definitions, record.options);
  if (problem !== null) throw damaged(path.join(folder, files.record), problem);
  return fromRecorded(definitions, record.options);
}

/** The tasks file that a run's config.yaml names; null for GLUE's tasks, and where either file is gone or damaged. */
export async function recordedTasksFile(folder: string): Promise<string | null> {
  try {
    const text = await readFile(path.join(folder, files.config), "utf8");
    if (nestsTooDeep(text)) return null;
    const { parse } = await import("yaml"); // late: it takes longer to load than a status takes
    const config: unknown = parse(text, { logLevel: "error" });
    const { tasks } = Object(config) as { tasks?: unknown };
    return typeof tasks === "string" && existsSync(tasks) ? tasks : null;
  } catch {
    return null; // what it would have said is asked of the user instead
  }
}

export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeFileAtomic(path.join(folder, files.record), `${JSON.stringify(stamped(record), null, 2)}\n`);
}

/** Creates the folder with its resolved config. */
export async function createRun(folder: string, record: RunRecord, config: unknown): Promise<void> {
  const { stringify } = await import("yaml");
  await makeFolder(folder);
  await writeFileAtomic(path.join(folder, files.config), stringify(config));
  await rm(path.join(folder, files.metrics), { force: true });
  await rm(path.join(folder, files.state), { force: true });
  await writeRecord(folder, record);
}

/** Writes the branch and marks the run finished: the record is the commit, the state goes last. */
export async function finishRun(folder: string, record: RunRecord, branch: HostTensors): Promise<RunRecord> {
  const model = modelFile(folder);
  await writeSafetensors(model, branch, {
    task: record.task,
    base_sha256: record.base.sha256,
    fork: String(record.fork),
  });
  const finished: RunRecord = {
    ...record,
    state: "finished",
    sha256: await sha256File(model),
    finishedAt: new Date().toISOString(),
  };
  await writeRecord(folder, finished);
  await rm(path.join(folder, files.state), { force: true });
  return finished;
}

export async function saveState(folder: string, state: SavedState): Promise<void> {
  await writeSafetensors(path.join(folder, files.state), state.tensors, state.position);
}

/** The saved state, or null where a run never came so far. */
export async function loadState(folder: string): Promise<SavedState | null> {
  const file = path.join(folder, files.state);
  if (!existsSync(file)) return null;
  const { tensors, metadata } = await readSafetensors(file).catch((error) => {
    if (!(error instanceof UserError) || error.exitCode !== ExitCode.model) throw error;
    throw modelError(`${error.message}, or remove it: the run then begins anew`, error);
  });
  return { tensors, position: metadata };
}

/** Cuts metrics.jsonl back to the length that it had when the state was saved; one that is shorter stays as it is. */
export async function cutMetrics(folder: string, bytes: number): Promise<void> {
  const file = metricsFile(folder);
  if (existsSync(file) && (await stat(file)).size > bytes) await truncate(file, bytes);
}

/**
 * The dev scores that metrics.jsonl holds, by epoch, of the first `steps` steps. Its last line may be cut off in a run that was
 * killed, and of an unfinished one it may hold more than the saved state has behind it.
 */
export async function readDevScores(
  folder: string,
  metric: string,
  steps = Number.POSITIVE_INFINITY,
): Promise<(number | null)[]> {
  if (!existsSync(metricsFile(folder))) return [];
  const scores: (number | null)[] = [];
  for (const text of (await readFile(metricsFile(folder), "utf8")).split("\n")) {
    const line = parseMetricsLine(text);
    if (!line?.dev || line.epoch !== scores.length || line.step > steps) continue;
    scores.push(line.dev[metric] ?? null);
  }
  return scores;
}

/**
 * The branch of a finished run, checked against the hash in its record, and as a branch there with the task's head. Throws
 * modelError (4).
 * @param task with the labels that its outputs are read by
 */
export async function loadBranch(run: StoredRun, task: OfKind, config: EncoderConfig): Promise<HostTensors> {
  const file = modelFile(run.folder);
  // Whatever trained it, a sweep or an experiment, does so again where the folder is gone, and that run alone.
  const advice = `Remove ${run.folder} and repeat the command that trained it`;
  if (!existsSync(file)) throw modelError(`${file} is missing. ${advice}`);
  const sha256 = await sha256File(file);
  if (sha256 !== run.record.sha256) {
    throw modelError(`${file} has sha256 ${sha256}, its run.json says ${run.record.sha256}. ${advice}`);
  }
  const { tensors } = await readSafetensors(file);
  requireFinite(tensors, file);
  const problem = branchProblem(run.record, tensors, task, config);
  if (problem !== null) throw modelError(`${file} ${problem}. ${advice}`);
  return tensors;
}

/** Every run under checkpoints/<base>/<task>/<method>, by folder name. */
export async function listRuns(folder: string): Promise<StoredRun[]> {
  if (!existsSync(folder)) return [];
  const runs: StoredRun[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const record = await readRecord(path.join(folder, name));
    if (record) runs.push({ folder: path.join(folder, name), record });
  }
  return runs;
}
