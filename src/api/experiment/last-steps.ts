// The steps of an experiment after training: joint models, select, exits, merge and report on what its file says.

import type { BaseDescription } from "../../checkpoints/bases/base";
import { exitOptionsOf, tasksWithExits } from "../../experiment/exits";
import { jointOptionsOf } from "../../experiment/joint";
import type { LastStep } from "../../experiment/plan";
import type { Experiment } from "../../experiment/read";
import type { Resolver } from "../../experiment/resolve";
import type { OutputPaths } from "../../experiment/steps";
import { writeFileAtomic } from "../../files/atomic";
import { settingsFrom } from "../../options/settings";
import { EACH } from "../../settings/joint";
import { selectExtras, selectRules } from "../../settings/selection";
import type { Task } from "../../tasks/task";
import type { Call } from "../caller";
import { exits, type TaskExits } from "../exits";
import { type JointModel, joint } from "../joint";
import { chooseRuns } from "../merge/choose";
import { type MergeResult, merge, removeTasks } from "../merge/merge";
import { type MadeReport, makeReport } from "../report";
import { measure } from "../select/latency";
import { type Chosen, choose } from "../select/select";
import { type EngineValues, openSession } from "../session";

/** Hears what each step made. */
export interface StepListener {
  /** Of one model after the other. */
  readonly onJoint?: (model: JointModel) => Promise<void>;
  readonly onSelect?: (chosen: Chosen) => Promise<void>;
  /** Of one task after the other. */
  readonly onExits?: (decided: TaskExits) => Promise<void>;
  readonly onMerge?: (merged: MergeResult) => Promise<void>;
  readonly onReport?: (made: MadeReport) => Promise<void>;
}

export interface StepContext {
  readonly experiment: Experiment;
  readonly outputs: OutputPaths;
  readonly checkpoints: string;
  readonly glueData: string;
  readonly base: BaseDescription;
  /** Which rows of a task are read, and how work on it is done. */
  readonly workOf: Resolver["run"];
  readonly force: boolean;
  /** What select measures layers on, and merge checks model.onnx against. */
  readonly engine: Pick<EngineValues, "engine" | "device" | "threads">;
  readonly listener: StepListener;
}

export const doStep: Record<LastStep, (context: StepContext, call: Call) => Promise<void>> = {
  /** All tasks together, and where the file asks for it each over a model of the others. */
  async joint(context, call) {
    const { experiment, outputs, workOf, force, engine, listener } = context;
    const [first] = experiment.tasks as [Task, ...Task[]];
    const { training, mixing, headLearningRate, headEpochs, seeds, leaveOneOut } = jointOptionsOf(experiment);
    const { precision } = experiment;
    const settings = { ...training, mixing, headLearningRate, headEpochs, seeds: seeds.length };
    const work = { ...workOf(first), maxTrainSamples: undefined, maxEvalSamples: undefined };
    const options = { ...common(context), ...settings, ...work, force };
    const samplesOf = experiment.samples;
    const hear = async (model: JointModel) => listener.onJoint?.(model);
    const session = await openSession({ ...engine, precision }, call);
    const models: JointModel[] = [];
    try {
      for (const leaveOut of leaveOneOut ? [undefined, EACH] : [undefined]) {
        const asked = { ...options, leaveOut };
        models.push(...(await joint(asked, { ...call, engine: session.engine }, hear, samplesOf)).models);
      }
    } finally {
      session.close();
    }
    await writeFileAtomic(outputs.joint, `${JSON.stringify({ models }, null, 2)}\n`);
  },

  async select(context, call) {
    const { experiment, outputs, glueData, engine, listener } = context;
    const given = { ...experiment.select };
    const rule = settingsFrom({ ...selectRules, ...selectExtras }, given);
    const how = { measure: rule.maxLatency !== undefined, glueData, ...engine, out: outputs.selection };
    const chosen = await choose({ ...common(context), ...rule, ...how }, call);
    await listener.onSelect?.(chosen);
    call.reporter.log(`${outputs.selection}: written; merge takes it with --select`);
  },

  /** Of the very runs that merge takes. */
  async exits(context, call) {
    const { experiment, outputs, base, workOf, force, engine, listener } = context;
    const names = tasksWithExits(experiment).map(({ name }) => name);
    const left = experiment.tasks.filter(({ name }) => !names.includes(name));
    for (const { name, kind } of experiment.exits?.tasks ? [] : left) {
      call.reporter.log(`${name}: no exits, because tasks of ${kind.name} have none`);
    }
    const { task: all, ...where } = common(context);
    const how = { ...where, task: all.join(","), select: selectOf(context), allowUnshared: false };
    const chosen = (await chooseRuns(base, how, call)).filter(({ task }) => names.includes(task.name));
    const session = await openSession({ ...engine, precision: experiment.precision }, call);
    const tasks: TaskExits[] = [];
    try {
      const given = { ...exitOptionsOf(experiment), precision: experiment.precision, base: experiment.base };
      for (const { task, run } of chosen) {
        const work = workOf(experiment.tasks.find(({ name }) => name === task.name) ?? task);
        const options = { ...given, ...work, force, run: run.folder, tasks: where.tasks };
        for (const decided of (await exits(options, { ...call, engine: session.engine })).tasks) {
          tasks.push(decided);
          await listener.onExits?.(decided);
        }
      }
    } finally {
      session.close();
    }
    await writeFileAtomic(outputs.exits, `${JSON.stringify({ tasks }, null, 2)}\n`);
  },

  async merge(context, call) {
    const { experiment, outputs, glueData, engine, listener } = context;
    const select = selectOf(context);
    const merged = await merge({ ...common(context), select, out: outputs.merged, glueData, ...engine }, call);
    await listener.onMerge?.(merged);
    const remove = await strangers(context);
    if (remove.length === 0) return;
    const tasks = experiment.tasksFile ?? undefined;
    const left = await removeTasks({ out: outputs.merged, remove, tasks, glueData, ...engine }, call);
    await listener.onMerge?.(left);
  },

  async report(context, call) {
    const { experiment, outputs, engine, base, listener } = context;
    const merged = experiment.merge ? outputs.merged : undefined;
    const selection = experiment.select ? outputs.selection : undefined;
    const latency = experiment.report?.measure ? outputs.latency : undefined;
    if (latency !== undefined) {
      const batch = { batchSize: undefined, length: undefined };
      await measure({ ...engine, ...batch, base: base.folder || experiment.base, latency, measure: true }, call);
    }
    const made = await makeReport({ ...common(context), merged, selection, latency, out: outputs.report }, call);
    await listener.onReport?.(made);
  },
};

const selectOf = ({ experiment, outputs }: StepContext) =>
  experiment.select ? outputs.selection : experiment.merge?.select;

const common = ({ experiment, checkpoints }: StepContext) => ({
  task: experiment.tasks.map(({ name }) => name),
  tasks: experiment.tasksFile ?? undefined,
  base: experiment.base,
  checkpoints,
  chooseBy: experiment.chooseBy,
});

/** Tasks that an earlier version of the file had merged into the same folder. */
async function strangers({ experiment, outputs }: StepContext): Promise<string[]> {
  const { readManifest } = await import("../../merge/folder/version.js");
  const { tasks } = await readManifest(outputs.merged);
  return tasks.map(({ name }) => name).filter((name) => !experiment.tasks.some((task) => task.name === name));
}
