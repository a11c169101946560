// Runs into one multi-head model; tasks are added, replaced and removed alone, and each change is a version of the folder.

import path from "node:path";
import type { Base, BaseDescription } from "../../checkpoints/bases/base";
import type { RunRecord } from "../../checkpoints/runs/run-folder";
import { usageError } from "../../errors/errors";
import type { OnnxReport } from "../../export/onnx/onnx";
import type { PiecesCheck } from "../../export/pieces/pieces-check";
import type { MergedTask } from "../../merge/folder/manifest";
import { isMergedFolder, POINTER } from "../../merge/folder/pointer";
import type { Merged, MergeMode } from "../../merge/merge";
import { type Savings, savings } from "../../merge/savings";
import { overhead } from "../../model/overhead";
import { type Given, readGiven } from "../../options/given";
import { option, optional, toggle, type Values } from "../../options/option";
import { names, text } from "../../options/readers";
import { baseOptions, DEFAULT_BASE } from "../../settings/base";
import { engineOptions } from "../../settings/engine";
import { mergedOption } from "../../settings/model";
import { chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import type { Task } from "../../tasks/task";
import { type Call, type Caller, callOf } from "../caller";
import { describeBaseOf, openBaseOf } from "../session";
import { chooseRuns } from "./choose";
import { withChecks } from "./onnx";
import { withRamps } from "./ramps";

const out = {
  out: option(text, { flag: "--out", short: "-o", value: "<folder>", help: "the merged folder", fallback: "merged" }),
};

const noOnnx = {
  noOnnx: toggle({ flag: "--no-onnx", help: "leave model.onnx out, and remove one that is there" }),
};

export const noteOption = {
  note: optional(text, { flag: "--note", value: "<text>", help: "a line for the folder's history", inConfig: false }),
};

const choice = {
  ...taskOptions,
  select: optional(text, {
    flag: "--select",
    value: "<choice>",
    help: "teacher, best, kd-2, kd-2@same, lora, rte=teacher,cola=kd-2@3, or select's file",
  }),
  allowUnshared: toggle({ flag: "--allow-unshared", help: "take branches of k = full, which share no layer" }),
};

export const mergeOptions = {
  ...out,
  ...choice,
  ...baseOptions,
  ...checkpointOptions,
  ...chooseBy,
  ...noOnnx,
  ...noteOption,
  ...engineOptions,
};

/** Of update and add, whose folder knows its base. */
export const updateOptions = {
  ...mergedOption,
  ...choice,
  ...baseOptions,
  base: optional(text, {
    ...baseOptions.base,
    fallback: undefined,
    help: `${baseOptions.base.help} (default the merged folder's)`,
  }),
  ...checkpointOptions,
  ...chooseBy,
  ...noOnnx,
  ...noteOption,
  ...engineOptions,
};

const { tasks, glueData } = taskOptions;

export const removeOptions = {
  ...out,
  remove: optional(names, { flag: "--remove", value: "<names>", help: "take these tasks out of the folder" }),
  tasks,
  glueData,
  ...noOnnx,
  ...noteOption,
  ...engineOptions,
};

export type MergeOptions = Given<typeof mergeOptions>;
export type UpdateOptions = Given<typeof updateOptions>;
export type RemoveOptions = Omit<Given<typeof removeOptions>, "remove"> & {
  /** Names of tasks in the folder. */
  readonly remove: string | readonly string[];
};

/** A task's run that a merge takes. */
export interface ChosenRun extends Pick<RunRecord, "method" | "fork" | "layers" | "score"> {
  readonly task: string;
  readonly folder: string;
}

export interface MergeResult {
  readonly out: string;
  /** Where flexbert.json lies. */
  readonly manifest: string;
  /** The folder's version now: the first digits of its manifest's hash. */
  readonly version: string;
  /** Whether it is a new one: where nothing is new, there is none. */
  readonly isNew: boolean;
  /** Every task of the folder; scores are fractions. */
  readonly tasks: readonly MergedTask[];
  /** Encoder layers of the base. */
  readonly baseLayers: number;
  /** Encoder layers that inference over all tasks runs, how many of them are shared, and their share of one BERT a task. */
  readonly overhead: ReturnType<typeof overhead>;
  /** Absent after tasks were removed. */
  readonly saved?: Savings;
  /** null where model.onnx was left out, or no task is left. */
  readonly onnx: OnnxReport | null;
  /** What was found of the stored pieces that are new, for each form of the weights; null where onnxruntime is absent. */
  readonly pieces: readonly PiecesCheck[] | null;
}

/** What a merge would take. Throws as {@link merge} does before it writes anything. */
export async function planMerge(options: MergeOptions = {}, caller: Caller = {}): Promise<ChosenRun[]> {
  const call = callOf(caller);
  return (await planned(mergeValues(readGiven(mergeOptions, options)), call)).map(chosenRun);
}

/**
 * Merges each task's chosen run into the folder: those named are added or replaced, the others stay as they are.
 * Throws UserError (4) for a task without a run and for runs of another base, (5) where model.onnx or a stored piece
 * differs from a branch.
 */
export function merge(options: MergeOptions = {}, caller: Caller = {}): Promise<MergeResult> {
  return merging(mergeValues(readGiven(mergeOptions, options)), callOf(caller));
}

/** What an update would take. Throws as {@link updateTasks} does before it writes anything. */
export async function planUpdate(options: UpdateOptions = {}, caller: Caller = {}): Promise<ChosenRun[]> {
  return (await planned(folderValues("update", readGiven(updateOptions, options)), callOf(caller))).map(chosenRun);
}

/**
 * As {@link merge}, of tasks that are in the folder already: those named, or all that have runs.
 * Throws UserError (2) for one that is not.
 */
export function updateTasks(options: UpdateOptions = {}, caller: Caller = {}): Promise<MergeResult> {
  return merging(folderValues("update", readGiven(updateOptions, options)), callOf(caller));
}

/** What an addition would take. Throws as {@link addTasks} does before it writes anything. */
export async function planAdd(options: UpdateOptions = {}, caller: Caller = {}): Promise<ChosenRun[]> {
  return (await planned(folderValues("add", readGiven(updateOptions, options)), callOf(caller))).map(chosenRun);
}

/**
 * As {@link merge}, of tasks that the folder does not have: those named, or all that have runs.
 * Throws UserError (2) for one that is there.
 */
export function addTasks(options: UpdateOptions = {}, caller: Caller = {}): Promise<MergeResult> {
  return merging(folderValues("add", readGiven(updateOptions, options)), callOf(caller));
}

/** The folder's tasks that stay where some are taken out. Throws as {@link removeTasks} does before it writes anything. */
export async function planRemove(options: RemoveOptions, caller: Caller = {}): Promise<readonly MergedTask[]> {
  callOf(caller);
  const values = readGiven(removeOptions, options);
  const { requireMode } = await import("../../merge/merge.js");
  const { readManifest } = await import("../../merge/folder/version.js");
  const { tasks } = await readManifest(values.out);
  const removed = removedNames(values);
  requireMode(values.out, tasks, removed, "update");
  return tasks.filter(({ name }) => !removed.includes(name));
}

const removedNames = ({ remove }: { readonly remove?: string | undefined }): string[] =>
  (remove ?? "").split(",").map((name) => name.trim());

/** Takes tasks out of a merged folder. Throws UserError (2) for one that is not in it. */
export async function removeTasks(options: RemoveOptions, caller: Caller = {}): Promise<MergeResult> {
  const call = callOf(caller);
  const values = readGiven(removeOptions, options);
  const { removeTasks: remove } = await import("../../merge/merge.js");
  const { out, note = null } = values;
  const merged = await withChecks(values, call, ({ onnx, pieces }) =>
    remove(out, removedNames(values), onnx, undefined, note, pieces),
  );
  return describe(merged, null, out, call);
}

interface MergeValues extends Omit<Values<typeof mergeOptions>, "base"> {
  readonly mode: MergeMode;
  /** undefined: the folder's. */
  readonly base: string | undefined;
}

const mergeValues = (values: Values<typeof mergeOptions>): MergeValues => ({ ...values, mode: "merge" });

const folderValues = (mode: MergeMode, { merged, ...values }: Values<typeof updateOptions>): MergeValues => {
  if (!isMergedFolder(merged)) {
    throw usageError(
      `${merged} is no merged model, so there is nothing to ${mode}. Run: flexbert merge --out ${merged}`,
    );
  }
  return { ...values, out: merged, mode };
};

async function merging(values: MergeValues, call: Call): Promise<MergeResult> {
  const { out, mode, allowUnshared, note = null } = values;
  const base = await baseOf(values, call);
  const selections = await withRamps(await selectionsFor(values, base, call), out, call);
  const { merge: into } = await import("../../merge/merge.js");
  const { int8Maker } = await import("./int8.js");
  const request = { out, mode, base, selections, allowUnshared, note, int8: int8Maker(values, call) };
  const merged = await withChecks(values, call, (checks) => into({ ...request, ...checks }));
  return describe(merged, base, out, call);
}

async function planned(values: MergeValues, call: Call) {
  const base = isMergedFolder(values.out) ? await baseOf(values, call) : await describeBaseOf(withBase(values), call);
  return selectionsFor(values, base, call);
}

const chosenRun = ({ task, run: { folder, record } }: Awaited<ReturnType<typeof chooseRuns>>[number]): ChosenRun => {
  const { method, fork, layers, score } = record;
  return { task: task.name, folder, method, fork, layers, score };
};

const withBase = (values: MergeValues) => ({ ...values, base: values.base ?? DEFAULT_BASE });

/**
 * The base of the folder where that is the one that is named, by its hash, unread: a branch on top of it needs no more.
 * Else the base itself, with its weights.
 */
async function baseOf(values: MergeValues, call: Call): Promise<Base | BaseDescription> {
  const { out, lowerCase } = values;
  if (!isMergedFolder(out)) return openBaseOf(withBase(values), call);
  const { readManifest } = await import("../../merge/folder/version.js");
  const { readShared } = await import("../../merge/folder/blobs.js");
  const manifest = await readManifest(out);
  const { name, sha256 } = manifest.base;
  if ((values.base ?? name) !== name) return describeBaseOf(withBase(values), call);
  const { config, tokenizer } = await readShared(out, manifest);
  return { name, folder: name, sha256, config, tokenizer, ...(lowerCase === undefined ? {} : { lowerCase }) };
}

async function selectionsFor(values: MergeValues, base: BaseDescription, call: Call) {
  const { mode, out } = values;
  if (mode === "merge") return chooseRuns(base, values, call);
  const { readManifest } = await import("../../merge/folder/version.js");
  const { tasks } = await readManifest(out);
  const isThere = ({ name }: Task) => tasks.some((task) => task.name === name);
  const named = values.task !== undefined && values.task !== "all";
  if (named) await requireTasks(values, mode, tasks);
  return chooseRuns(base, values, call, (task) => isThere(task) === (mode === "update"));
}

/** Before runs are looked for: that a task is not there is the first thing to say of it. */
async function requireTasks({ task, tasks, out }: MergeValues, mode: MergeMode, there: readonly MergedTask[]) {
  const { chosenTasks } = await import("../session.js");
  const { requireMode } = await import("../../merge/merge.js");
  const chosen = await chosenTasks({ task, tasks }, () => true);
  const names = chosen.map(({ name }) => name);
  requireMode(out, there, names, mode);
}

async function describe(
  { manifest, version, isNew, converted, onnx, pieces }: Merged,
  base: BaseDescription | null,
  out: string,
  call: Call,
): Promise<MergeResult> {
  const { CARD, hasCard } = await import("../../merge/card.js");
  if (!(await hasCard(out))) {
    call.reporter.warn(
      `${path.join(out, CARD)} is not flexbert's model card and was left as it is: move it away and merge again`,
    );
  }
  tellConverted(converted, out, call);
  call.reporter.log(isNew ? `${out}: version ${version}` : `${out}: nothing is new, version ${version} stays`);
  return {
    out,
    manifest: path.join(out, POINTER),
    version,
    isNew,
    tasks: manifest.tasks,
    baseLayers: manifest.base.layers,
    overhead: overhead(manifest),
    ...(base ? { saved: savings(manifest, base.config) } : {}),
    onnx,
    pieces,
  };
}

/** Not hidden by --quiet: who reads the folder with flexbert 0.1.0 can no longer. */
export function tellConverted(converted: boolean, out: string, { reporter }: Call): void {
  if (!converted) return;
  reporter.warn(
    `${out} was of format 1 and is of format 2 now, which flexbert 0.1.0 does not read. What it held is a version of it: ` +
      `flexbert history --merged ${out}`,
  );
}
