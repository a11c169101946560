// Runs into one multi-head model; tasks are added, replaced and removed alone.

import path from "node:path";
import type { BaseDescription } from "../../checkpoints/bases/base";
import type { RunRecord } from "../../checkpoints/runs/run-folder";
import type { OnnxReport } from "../../export/onnx/onnx";
import type { MergedTask } from "../../merge/folder/manifest";
import { POINTER } from "../../merge/folder/pointer";
import type { Merged } from "../../merge/merge";
import { type Savings, savings } from "../../merge/savings";
import { overhead } from "../../model/overhead";
import { type Given, readGiven } from "../../options/given";
import { option, optional, toggle } from "../../options/option";
import { names, text } from "../../options/readers";
import { baseOptions } from "../../settings/base";
import { engineOptions } from "../../settings/engine";
import { chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { type Call, type Caller, callOf } from "../caller";
import { describeBaseOf, openBaseOf } from "../session";
import { chooseRuns } from "./choose";
import { withOnnx } from "./onnx";

const out = {
  out: option(text, { flag: "--out", short: "-o", value: "<folder>", help: "the merged folder", fallback: "merged" }),
};

const noOnnx = {
  noOnnx: toggle({ flag: "--no-onnx", help: "leave model.onnx out, and remove one that is there" }),
};

export const mergeOptions = {
  ...out,
  ...taskOptions,
  select: optional(text, {
    flag: "--select",
    value: "<choice>",
    help: "teacher, best, kd-2, rte=teacher,cola=kd-2, or select's file",
  }),
  allowUnshared: toggle({ flag: "--allow-unshared", help: "take branches of k = full, which share no layer" }),
  ...baseOptions,
  ...checkpointOptions,
  ...chooseBy,
  ...noOnnx,
  ...engineOptions,
};

const { tasks, glueData } = taskOptions;

export const removeOptions = {
  ...out,
  remove: optional(names, { flag: "--remove", value: "<names>", help: "take these tasks out of the folder" }),
  tasks,
  glueData,
  ...noOnnx,
  ...engineOptions,
};

export type MergeOptions = Given<typeof mergeOptions>;
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
  /** Where the manifest lies. */
  readonly manifest: string;
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
}

/** What a merge would take. Throws as {@link merge} does before it writes anything. */
export async function planMerge(options: MergeOptions = {}, caller: Caller = {}): Promise<ChosenRun[]> {
  const call = callOf(caller);
  const values = readGiven(mergeOptions, options);
  const selections = await chooseRuns(await describeBaseOf(values, call), values, call);
  return selections.map(({ task, run: { folder, record } }) => {
    const { method, fork, layers, score } = record;
    return { task: task.name, folder, method, fork, layers, score };
  });
}

/**
 * Merges each task's chosen run into the folder: those named are added or replaced, the others stay as they are.
 * Throws UserError (4) for a task without a run and for runs of another base, (5) where model.onnx differs from a branch.
 */
export async function merge(options: MergeOptions = {}, caller: Caller = {}): Promise<MergeResult> {
  const call = callOf(caller);
  const values = readGiven(mergeOptions, options);
  const base = await openBaseOf(values, call);
  const selections = await chooseRuns(base, values, call);
  const { out, allowUnshared } = values;
  const merging = await import("../../merge/merge.js");
  const merged = await withOnnx(values, call, (onnx) => merging.merge({ out, base, selections, allowUnshared, onnx }));
  return describe(merged, base, out, call);
}

/** Takes tasks out of a merged folder. Throws UserError (2) for one that is not in it. */
export async function removeTasks(options: RemoveOptions, caller: Caller = {}): Promise<MergeResult> {
  const call = callOf(caller);
  const values = readGiven(removeOptions, options);
  const removed = (values.remove ?? "").split(",").map((name) => name.trim());
  const merging = await import("../../merge/merge.js");
  const merged = await withOnnx(values, call, (onnx) => merging.removeTasks(values.out, removed, onnx));
  return describe(merged, null, values.out, call);
}

async function describe(
  { manifest, onnx }: Merged,
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
  return {
    out,
    manifest: path.join(out, POINTER),
    tasks: manifest.tasks,
    baseLayers: manifest.base.layers,
    overhead: overhead(manifest),
    ...(base ? { saved: savings(manifest, base.config) } : {}),
    onnx,
  };
}
