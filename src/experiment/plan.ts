// The trials of an experiment in one total order, which the file and the base's layers alone decide: fine-tuning task
// by task, each from the largest k to the smallest, then distillation task by task. A trial's index never depends on
// what is trained already, nor on data. A student's teacher is not known before fine-tuning is done, so a
// distillation trial has an index from the start and an id once its teacher is chosen (resolve.ts).

import { usageError } from "../errors/errors";
import { canonicalJson } from "../files/hash";
import { kOf, type PlaceRequest, placesOf } from "../model/place";
import { fitLayers, type LayerRange } from "../options/layers";
import type { DistillationOptions } from "../settings/distillation";
import type { TrainingOptions } from "../settings/training";
import type { Task } from "../tasks/task";
import type { Experiment } from "./read";

export const stepNames = ["finetune", "distill", "select", "merge", "report"] as const;
export type StepName = (typeof stepNames)[number];
/** The steps that are made of trials. */
export type TrialStep = "finetune" | "distill";

export interface TrialSpec {
  /** From 0, in the plan's order. */
  readonly index: number;
  readonly step: TrialStep;
  readonly task: Task;
  readonly place: PlaceRequest;
  readonly seed: number;
  readonly training: TrainingOptions;
  /** Students only. */
  readonly distillation?: DistillationOptions;
}

/** The trials of one task in one step: they share data, trunk and teacher. */
export interface TrialGroup {
  readonly step: TrialStep;
  readonly task: Task;
  readonly trials: readonly TrialSpec[];
}

export interface TrialList {
  readonly trials: readonly TrialSpec[];
  /** What was cut from ranges, for the log. */
  readonly notes: readonly string[];
}

/** The steps that the file asks for, in their order. */
export function stepsOf(experiment: Experiment): StepName[] {
  const asked: Record<StepName, boolean> = {
    finetune: true,
    distill: experiment.distill.length > 0,
    select: experiment.select !== null,
    merge: experiment.merge !== null,
    report: experiment.report !== null,
  };
  return stepNames.filter((name) => asked[name]);
}

/**
 * Every trial, each once.
 * @param layers of the base
 * @throws UserError (exit code 2) where the file names a k or l that the base does not have
 */
export function listTrials(experiment: Experiment, layers: number): TrialList {
  const notes: string[] = [];
  const layersOf = (key: string, range: LayerRange) => fitted(experiment, key, range, layers, notes);
  const specs: Omit<TrialSpec, "index">[] = [];
  const { finetune } = experiment;
  const places = placesOf(layers, layersOf("k", finetune.layers));
  for (const task of experiment.tasks) {
    for (const place of places) {
      for (const training of finetune.trainings) {
        for (const seed of finetune.seeds) {
          specs.push({ step: "finetune", task, place, seed, training });
        }
      }
    }
  }
  const blocks = experiment.distill.map((block) => ({
    ...block,
    counts: (layersOf("student_layers", block.layers) as number[]).sort((a, b) => b - a),
  }));
  for (const task of experiment.tasks) {
    for (const { inits, counts, trainings, seeds, temperature, alpha } of blocks.filter(hasTask(task))) {
      for (const init of inits) {
        for (const count of counts) {
          for (const training of trainings) {
            for (const seed of seeds) {
              const distillation = { temperature, alpha, init };
              const place = { fork: "teacher", layers: count } as const;
              specs.push({ step: "distill", task, place, seed, training, distillation });
            }
          }
        }
      }
    }
  }
  // Two blocks may ask for the same student.
  const unique = [...new Map(specs.map((spec) => [keyOf(spec), spec])).values()];
  return { trials: unique.map((spec, index) => ({ index, ...spec })), notes: [...new Set(notes)] };
}

const hasTask = (task: Task) => (block: { readonly tasks: readonly Task[] }) => block.tasks.includes(task);

const keyOf = ({ task, ...rest }: Omit<TrialSpec, "index">) => canonicalJson({ ...rest, task: task.name });

function fitted({ file }: Experiment, key: string, range: LayerRange, layers: number, notes: string[]) {
  try {
    const { values, note } = fitLayers(key, range, layers);
    if (note) notes.push(note);
    return values;
  } catch (error) {
    throw usageError(`${file}: ${(error as Error).message.replace(/^--/, "")}`, error);
  }
}

/** Consecutive trials of one step and task. */
export function groupTrials(trials: readonly TrialSpec[]): TrialGroup[] {
  const groups: { step: TrialStep; task: Task; trials: TrialSpec[] }[] = [];
  for (const spec of trials) {
    const last = groups.at(-1);
    if (last && last.step === spec.step && last.task === spec.task) last.trials.push(spec);
    else groups.push({ step: spec.step, task: spec.task, trials: [spec] });
  }
  return groups;
}

/** One of `count` equal shares of the plan, numbered from 0 as indexed jobs are. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Every count-th trial: shares hold the same mix of tasks and of k, so they take about the same time. */
export function inShard({ index, count }: Shard, trial: Pick<TrialSpec, "index">): boolean {
  return trial.index % count === index;
}

/** "rte k=5 seed 1, 4 epochs at 2e-5": one trial in the log. */
export function describeSpec({ step, task, place, seed, training, distillation }: TrialSpec): string {
  const what = step === "finetune" ? `k=${kOf(place)}` : `l=${place.layers} from ${distillation?.init}`;
  const { epochs, learningRate } = training;
  return `${task.name} ${what} seed ${seed}, ${epochs} ${epochs === 1 ? "epoch" : "epochs"} at ${learningRate}`;
}
