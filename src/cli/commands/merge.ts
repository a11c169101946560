// flexbert merge: one multi-head model of each task's chosen run; tasks are added, replaced and removed alone.

import { existsSync } from "node:fs";
import path from "node:path";
import { describeOnnx, withOnnx } from "../../api/merge/onnx";
import { selectedRuns } from "../../api/merge/selection";
import { chosenTasks, openBaseOf } from "../../api/session";
import { noRuns } from "../../api/stored-runs";
import type { Base } from "../../checkpoints/bases/base";
import { listRuns, methodFolder } from "../../checkpoints/runs/run-folder";
import { formatBytes } from "../../files/atomic";
import { CARD, hasCard } from "../../merge/card";
import { MANIFEST, type Manifest, overhead } from "../../merge/folder/manifest";
import { type Merged, merge, removeTasks, type Selection } from "../../merge/merge";
import { formatCount, formatScore } from "../../messages/quantities";
import { embeddingParameterCount, headParameterCount, layerParameterCount } from "../../model/parameters";
import { option, optional, toggle } from "../../options/option";
import { names, text } from "../../options/readers";
import { leftOut, parseSelect, requireKnown, selectRun } from "../../selection/candidates";
import { namesFile } from "../../selection/selection-file";
import { baseOptions } from "../../settings/base";
import { configOption, dryRun } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { type ChooseBy, chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import type { Task } from "../../tasks/task";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const mergeCommand = defineCommand({
  summary: "merge tasks into one multi-head model",
  description:
    "Takes each task's best student if it has one, else its teacher, and writes one folder that holds the shared frozen " +
    "layers once. In a folder that exists, the tasks named are added or replaced and the others stay as they are. " +
    "The folder's model.onnx is the whole model as one graph for onnxruntime and others; it is compared with each branch " +
    "run alone (by --engine) on a few dev rows before anything counts.",
  options: {
    out: option(text, { flag: "--out", short: "-o", value: "<folder>", help: "the merged folder", fallback: "merged" }),
    ...taskOptions,
    select: optional(text, {
      flag: "--select",
      value: "<choice>",
      help: "teacher, best, kd-2, rte=teacher,cola=kd-2, or select's file",
    }),
    remove: optional(names, { flag: "--remove", value: "<names>", help: "take these tasks out of the folder" }),
    allowUnshared: toggle({ flag: "--allow-unshared", help: "take branches of k = full, which share no layer" }),
    ...baseOptions,
    ...checkpointOptions,
    ...chooseBy,
    noOnnx: toggle({ flag: "--no-onnx", help: "leave model.onnx out, and remove one that is there" }),
    ...engineOptions,
    ...configOption,
    ...dryRun,
  },
  examples: [
    "merge --out merged/",
    "merge --out merged/ --task rte,mrpc --select kd-2",
    "merge --out merged/ --select rte=teacher,cola=kd-2 --dry-run",
    "merge --out merged/ --select mixed.json",
    "merge --out merged/ --remove rte",
    "merge --out merged/ --no-onnx",
  ],
  async run(values, terminal) {
    if (values.remove !== undefined) {
      const removed = values.remove.split(",").map((name) => name.trim());
      const merged = await withOnnx(values, terminal, (onnx) => removeTasks(values.out, removed, onnx));
      report(merged, null, values.out, terminal);
      await sayCard(values.out, terminal);
      return;
    }
    const base = await openBaseOf(values, terminal);
    const selections = await chooseRuns(base, values, terminal);
    if (values.dryRun) {
      printChoice(selections, terminal);
      return;
    }
    const { out, allowUnshared } = values;
    const merged = await withOnnx(values, terminal, (onnx) => merge({ out, base, selections, allowUnshared, onnx }));
    report(merged, base, out, terminal);
    await sayCard(out, terminal);
  },
});

async function sayCard(out: string, { reporter }: Terminal): Promise<void> {
  if (await hasCard(out)) return;
  reporter.warn(
    `${path.join(out, CARD)} is not flexbert's model card and was left as it is: move it away and merge again`,
  );
}

interface ChoiceValues {
  readonly task: string | undefined;
  readonly tasks: string | undefined;
  readonly checkpoints: string;
  readonly select: string | undefined;
  readonly chooseBy: ChooseBy;
  readonly allowUnshared: boolean;
}

async function chooseRuns(base: Base, values: ChoiceValues, terminal: Terminal): Promise<Selection[]> {
  if (values.select !== undefined && namesFile(values.select)) {
    const selections = await selectedRuns(values.select, base, values, terminal);
    for (const selection of selections) logChoice(selection, terminal);
    return selections;
  }
  const choose = values.select === undefined ? () => "student" as const : parseSelect(values.select);
  const runsOf = (task: Task, method: string) => methodFolder(values.checkpoints, base.name, task.name, method);
  const tasks = await chosenTasks(values, (task) => existsSync(runsOf(task, "finetune")));
  if (tasks.length === 0) {
    throw await noRuns(base, values.checkpoints);
  }
  if (values.select !== undefined) {
    requireKnown(
      values.select,
      tasks.map(({ name }) => name),
    );
  }
  const selections: Selection[] = [];
  for (const task of tasks) {
    const candidates = {
      task: task.name,
      finetuned: await listRuns(runsOf(task, "finetune")),
      students: await listRuns(runsOf(task, "distill")),
    };
    const run = selectRun(candidates, choose(task.name), values.chooseBy);
    for (const line of leftOut(candidates, values.chooseBy)) terminal.reporter.log(`${task.name}: ${line}`);
    logChoice({ task, run }, terminal);
    if (values.select === undefined) warnOfLoss({ task, run }, terminal);
    selections.push({ task, run });
  }
  return selections;
}

function logChoice({ task, run }: Selection, terminal: Terminal): void {
  const { method, layers, score, fork, teacher } = run.record;
  const counted = `${layers} ${layers === 1 ? "layer" : "layers"}`;
  const what = method === "distill" ? `student of ${counted}` : `teacher of ${counted}`;
  const beside = teacher ? ` (its teacher: ${formatScore(teacher.score)})` : "";
  terminal.reporter.log(`${task.name}: ${what} above fork ${fork ?? "none"}, ${formatScore(score)} points${beside}`);
}

/** A student that loses so much of its teacher's score is not taken without a warning, unless it was asked for. */
const MUCH = 0.05;

function warnOfLoss({ task, run }: Selection, { reporter }: Terminal): void {
  const { score, teacher } = run.record;
  if (!teacher || teacher.score === null || teacher.score - (score ?? Number.NEGATIVE_INFINITY) < MUCH) return;
  reporter.warn(
    `${task.name}: its best student has ${formatScore(score)} points, its teacher ${formatScore(teacher.score)}. ` +
      `Give --select ${task.name}=teacher, or let flexbert select --threshold 1 choose`,
  );
}

function printChoice(selections: readonly Selection[], terminal: Terminal): void {
  const chosen = selections.map(({ task, run }) => ({ task: task.name, folder: run.folder, ...pickOf(run.record) }));
  if (terminal.json) terminal.printJson(chosen);
  else {
    const rows = chosen.map(({ task, method, fork, layers, score }) => [
      task,
      method,
      fork ?? "none",
      layers,
      formatScore(score),
    ]);
    terminal.print(table(["task", "method", "fork", "layers", "score"], rows));
  }
}

const pickOf = ({ method, fork, layers, score }: Selection["run"]["record"]) => ({ method, fork, layers, score });

function report({ manifest, onnx }: Merged, base: Base | null, out: string, terminal: Terminal): void {
  const cost = overhead(manifest);
  const saved = base ? savings(manifest, base) : null;
  if (terminal.json) {
    terminal.printJson({
      out,
      manifest: path.join(out, MANIFEST),
      tasks: manifest.tasks,
      overhead: cost,
      ...(saved ? { saved } : {}),
      onnx,
    });
    return;
  }
  if (manifest.tasks.length === 0) {
    terminal.print(`${out}: no task is left`);
    return;
  }
  const rows = manifest.tasks.map((task) => [
    task.name,
    task.fork ?? "none",
    task.layers,
    formatScore(task.score),
    task.run,
  ]);
  terminal.print(table(["task", "fork", "layers", "dev score", "run"], rows));
  const tasks = manifest.tasks.length;
  terminal.print(
    `\n${out}: ${tasks} ${tasks === 1 ? "task" : "tasks"}, ${cost.shared} shared + ${cost.layers - cost.shared} task layers = ${cost.layers} of ` +
      `${tasks} x ${manifest.base.layers} (${(100 * cost.share).toFixed(0)} %)`,
  );
  if (saved) {
    terminal.print(
      `${formatCount(saved.parameters)} parameters (${formatBytes(4 * saved.parameters)}) instead of ` +
        `${formatCount(saved.separateParameters)} (${formatBytes(4 * saved.separateParameters)}) in ${tasks} separate ${tasks === 1 ? "model" : "models"}`,
    );
  }
  if (onnx) terminal.print(describeOnnx(onnx, manifest.tasks));
}

/** Parameters of the merged model, and of one whole BERT a task. */
export function savings(manifest: Manifest, { config }: Pick<Base, "config">) {
  const layer = layerParameterCount(config);
  const embeddings = embeddingParameterCount(config);
  const heads = manifest.tasks.reduce(
    (sum, task) => sum + headParameterCount(config, Math.max(1, task.labels.length)),
    0,
  );
  const unshared = manifest.tasks.filter(({ fork }) => fork === null).length;
  const separateParameters = manifest.tasks.length * (embeddings + config.numHiddenLayers * layer) + heads;
  return { parameters: (1 + unshared) * embeddings + overhead(manifest).layers * layer + heads, separateParameters };
}
