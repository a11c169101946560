// Partial fine-tuning (paper, section 2.1): for each k, the top k layers, pooler and head of one task are trained
// over the frozen trunk. A sweep goes from the largest k, the shallowest fork, to the smallest: each frozen layer
// runs once per split for all of it.

import type { Tensor } from "@tensorflow/tfjs-core";
import type { Base } from "../checkpoints/bases/base";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import type { Head } from "../model/heads";
import { kOf, type Place } from "../model/place";
import type { Search } from "../settings/finetuning";
import type { ChooseBy } from "../settings/selection";
import type { RunOptions, TrainingOptions } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import { type Loss, rowWeights } from "../training/step/step";
import type { RunContext } from "../training/tracking/tracker";
import { searchByHalving } from "./halving/halving";
import { branchOfBase } from "./trial/initial-branch";
import { readTaskData, type TaskData } from "./trial/task-data";
import {
  describeTrial,
  finishedRun,
  runTrial,
  type SweepTrial,
  type TrialSettings,
  type TrialWork,
} from "./trial/trial";
import { openTrunks, type Trunks } from "./trial/trunks";

export interface FinetuneRequest {
  readonly task: Task;
  readonly base: Base;
  /** Of its branches, deepest first: the order that computes no trunk layer twice. */
  readonly places: readonly Place[];
  readonly seeds: readonly number[];
  readonly training: TrainingOptions;
  readonly run: RunOptions;
  /** Absent: full. Halving compares the k over their seeds by `by`. */
  readonly search?: { readonly method: Search; readonly by: ChooseBy };
}

/**
 * Trains every (k, seed) of one task; with halving, those that it does not stop. Finished trials are returned as they
 * are; an unfinished one goes on where it stopped. Throws Interrupted when the context's signal is aborted, with the
 * state saved.
 * @returns one run a trial, from the largest k to the smallest; those that halving stopped are marked so
 */
export async function finetune(request: FinetuneRequest, context: RunContext<Engine>): Promise<StoredRun[]> {
  const { task, base, training, run } = request;
  const data = await readTaskData(task, base, training.maxLength, run);
  const sweep = sweepOf(request, data);
  const halving = request.search?.method === "halving";
  const forks = sweep.flatMap(({ settings: { place } }) => place.fork ?? []);
  const trunks = openTrunks(task, base, data, run, context, halving ? [...new Set(forks)] : []);
  const train = async ({ trial, settings }: SweepTrial, force: boolean, until?: number) => {
    const work = await finetuneWork(settings, trunks);
    return runTrial({ trial, settings, run: { ...run, force }, work, until }, context);
  };
  try {
    if (request.search && halving) return await searchByHalving(sweep, train, request, request.search.by, context);
    const runs: StoredRun[] = [];
    for (const planned of sweep) {
      runs.push((await finishedRun(planned.trial, run.force)) ?? (await train(planned, run.force)));
    }
    return runs;
  } finally {
    await trunks.dispose();
  }
}

/** Every (k, seed) of a request. */
export function sweepOf({ task, base, places, seeds, training, run }: FinetuneRequest, data: TaskData): SweepTrial[] {
  return places.flatMap((place) =>
    seeds.map((seed) => {
      const settings: TrialSettings = { method: "finetune", task, base, place, seed, data, training };
      return { trial: describeTrial(settings, run.checkpoints), settings };
    }),
  );
}

/** Where a fine-tuning trial begins, what it is trained on and towards. */
export async function finetuneWork({ task, base, place, seed }: TrialSettings, trunks: Trunks): Promise<TrialWork> {
  return {
    label: `${task.name} k=${kOf(place)} seed ${seed}`,
    initial: branchOfBase(base, place, headOf(task, base.config.hiddenSize), seed),
    loss: labelLoss(await task.kind.head()),
    ...(await trunks.under(place)),
  };
}

/** What the labels say, as the kind of the task measures it: cross-entropy, or the squared error of a regression. */
export const labelLoss =
  (head: Head): Loss =>
  ({ logits }, inputs) =>
    head.loss(logits, inputs["labels"] as Tensor, rowWeights(inputs));
