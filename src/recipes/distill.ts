// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels.
// The teacher's logits are computed once for all students, like the trunk's activations.

import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Base } from "../checkpoints/bases/base";
import { loadBranch, type StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import { branchAxes } from "../model/branch";
import type { Head } from "../model/heads";
import type { Place } from "../model/place";
import type { HostTensors } from "../model/tensors";
import type { DistillationOptions } from "../settings/distillation";
import type { RunOptions, TrainingOptions } from "../settings/training";
import { headOf, outputSize, type Task } from "../tasks/task";
import { perRow } from "../training/loop/batch-inputs";
import { type BranchSource, computeLogits } from "../training/loop/branch-source";
import { type Loss, logitsStep, rowWeights } from "../training/step/step";
import type { RunContext } from "../training/tracking/tracker";
import { branchOfBase, branchOfTeacher } from "./trial/initial-branch";
import { readTaskData, type TaskData } from "./trial/task-data";
import { describeTrial, finishedRun, runTrial, type TrialSettings, type TrialWork } from "./trial/trial";
import { openTrunks } from "./trial/trunks";

export interface DistillRequest {
  readonly task: Task;
  readonly base: Base;
  /** A finished fine-tuning run of this task on this base, not full. */
  readonly teacher: StoredRun;
  /** Values of l; those that are not smaller than the teacher are left out, and the log says so. */
  readonly studentLayers: readonly number[];
  readonly seeds: readonly number[];
  readonly training: TrainingOptions;
  readonly distillation: DistillationOptions;
  readonly run: RunOptions;
}

/**
 * Trains every (l, seed) of one task's students. Finished ones are returned as they are; an unfinished one goes on.
 * Throws Interrupted when the context's signal is aborted, with the state saved.
 */
export async function distill(request: DistillRequest, context: RunContext<Engine>): Promise<StoredRun[]> {
  const { task, base, training, distillation, run } = request;
  const { teacherPlace, studentLayers } = checkTeacher(request, context);
  if (studentLayers.length === 0) return [];
  const data = await readTaskData(task, base, training.maxLength, run);
  const trunks = openTrunks(task, base, data, run, context);
  let prepared: PreparedTeacher | null = null;
  const runs: StoredRun[] = [];
  try {
    for (const layers of studentLayers) {
      for (const seed of request.seeds) {
        const settings = studentSettings(request, layers, seed, data);
        const trial = describeTrial(settings, run.checkpoints);
        const finished = await finishedRun(trial, run.force);
        if (finished) {
          runs.push(finished);
          continue;
        }
        prepared ??= await prepareTeacher(request, teacherPlace, await trunks.under(teacherPlace), context);
        const work = studentWork(settings, distillation, prepared);
        runs.push(await runTrial({ trial, settings, run, work }, context));
      }
    }
  } finally {
    await trunks.dispose();
  }
  return runs;
}

/** The trial of one student: on its teacher's fork, and known by its teacher. */
export function studentSettings(
  { task, base, teacher, training, distillation }: Omit<DistillRequest, "studentLayers" | "seeds" | "run">,
  layers: number,
  seed: number,
  data: TaskData,
): TrialSettings {
  const { id, sha256, score, fork } = teacher.record;
  const { init, ...options } = distillation;
  const reference = { id, folder: teacher.folder, sha256: sha256 as string, score };
  const how = { options, teacher: reference, init };
  return { method: "distill", task, base, place: { fork, layers }, seed, data, training, distillation: how };
}

/** A teacher's branch and its outputs on the train rows, with the rows as its students read them. */
export interface PreparedTeacher {
  readonly branch: HostTensors;
  readonly head: Head;
  readonly teacherLogits: Float32Array;
  readonly train: BranchSource;
  readonly dev: BranchSource;
}

/** The teacher's branch and its logits on every train row, without dropout. */
export async function prepareTeacher(
  { task, base, teacher }: Pick<DistillRequest, "task" | "base" | "teacher">,
  place: Place,
  sources: { train: BranchSource; dev: BranchSource },
  context: RunContext<Engine>,
): Promise<PreparedTeacher> {
  const branch = await loadBranch(teacher);
  const head = await task.kind.head();
  const entries = { logits: logitsStep(place, base.config, head) };
  const program = await context.engine.load(branch, entries, { logits: branchAxes });
  try {
    context.reporter.log(`${task.name}: computing the teacher's outputs on ${sources.train.rows.ids.length} rows`);
    const teacherLogits = await computeLogits(program, "logits", sources.train, outputSize(task), context.signal);
    return { branch, head, teacherLogits, ...sources };
  } finally {
    program.dispose();
  }
}

/** Where a student begins, what it is trained on and towards. */
export function studentWork(
  { task, base, place, seed }: TrialSettings,
  distillation: DistillationOptions,
  { branch, head, teacherLogits, train, dev }: PreparedTeacher,
): TrialWork {
  const parameters = headOf(task, base.config.hiddenSize);
  const ofTeacher = distillation.init === "teacher";
  return {
    label: `${task.name} l=${place.layers} seed ${seed}`,
    initial: ofTeacher
      ? branchOfTeacher(branch, place, base.config, parameters)
      : branchOfBase(base, place, parameters, seed),
    loss: distillationLoss(head, distillation),
    train,
    dev,
    inputs: { teacher_logits: perRow(teacherLogits, [outputSize(task)]) },
  };
}

function checkTeacher({ task, base, teacher, studentLayers }: DistillRequest, { reporter }: RunContext<Engine>) {
  const { record, folder } = teacher;
  if (record.base.sha256 !== base.sha256) {
    throw modelError(
      `the teacher ${folder} was trained on ${record.base.name} (sha256 ${record.base.sha256.slice(0, 8)}), ` +
        `the base is ${base.name} (${base.sha256.slice(0, 8)}). Give --base ${record.base.name}`,
    );
  }
  if (record.fork === null) {
    throw modelError(
      `the teacher ${folder} trained its embeddings (k = full): it shares no trunk. Fine-tune with a --k`,
    );
  }
  if (record.labels.join("\n") !== task.labels.join("\n")) {
    throw modelError(
      `the teacher ${folder} has labels ${record.labels.join(", ")}; ${task.name} has ${task.labels.join(", ")}`,
    );
  }
  const smaller = [...new Set(studentLayers)].sort((a, b) => b - a).filter((layers) => layers < record.layers);
  for (const layers of studentLayers) {
    if (layers >= record.layers) {
      reporter.log(
        `${task.name}: its teacher has ${record.layers} layers, no more than a student of ${layers}: it keeps its teacher`,
      );
    }
  }
  return { teacherPlace: { fork: record.fork, layers: record.layers }, studentLayers: smaller };
}

/**
 * alpha T^2 KL + (1 - alpha) cross-entropy, or alpha MSE(student, teacher) + (1 - alpha) MSE(student, label), or what
 * else the kind of the task measures. Reads teacher_logits and labels from the step's inputs.
 */
export function distillationLoss(head: Head, options: Pick<DistillationOptions, "alpha" | "temperature">): Loss {
  const { alpha, temperature } = options;
  return ({ logits }, inputs) => {
    const weights = rowWeights(inputs);
    const soft = head.distillationLoss(logits, inputs["teacher_logits"] as Tensor2D, weights, temperature);
    const hard = head.loss(logits, inputs["labels"] as Tensor, weights);
    return tf.add(tf.mul(soft, alpha), tf.mul(hard, 1 - alpha));
  };
}
