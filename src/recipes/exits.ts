// Early exits (Xin et al. 2020, DeeBERT): ramps on every layer under the top of a finished run's way, its trunk's layers and its own,
// so that a text can leave before its own branch begins. The paper trains in two stages, and this is the second: the first is
// the run itself, `finetune` or `distill`, and all of it is frozen here. The loss is the sum of the ramps', over what each reads of
// the frozen model, computed once. They have weights of their own and change nothing of the model's (Rotem et al. 2023, SWEET).

import path from "node:path";
import type { BaseDescription } from "../checkpoints/bases/base";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { modelError, usageError } from "../errors/errors";
import { ownLayers } from "../model/place";
import { rampLayers, rampsOf } from "../model/ramp-names";
import type { ExecutionOptions, TrainingOptions } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import { EXITS, rampsFolder } from "./ramps/decision";
import { openRampRows, type RampRows } from "./ramps/rows";
import { rampsTask } from "./ramps/task";
import type { NamedTrial } from "./recipe";
import { readTaskData, type TaskData } from "./trial/task-data";
import { checkTeacher } from "./trial/teacher";
import { describeTrial, finishedRun, referenceTo, runTrial, type TrialTraining } from "./trial/trial";

export interface RampsRequest {
  /** The finished run that they are ramps of. */
  readonly model: StoredRun;
  /** With its labels. */
  readonly task: Task;
  readonly base: BaseDescription;
  /** The maximum length is the run's own. */
  readonly training: TrainingOptions;
  readonly run: ExecutionOptions;
  readonly seeds: readonly number[];
}

/** The ramps of one run, one trial a seed, before they are trained. */
export interface PlannedRamps {
  readonly request: RampsRequest;
  readonly data: TaskData;
  /** Encoder layers that they stand on. */
  readonly layers: readonly number[];
  readonly trials: readonly { readonly trial: StoredRun; readonly settings: NamedTrial }[];
}

/** Reads and encodes the data; computes nothing. Throws usageError (2) for a run that can have no ramps. */
export async function planRamps(request: RampsRequest): Promise<PlannedRamps> {
  const { model, task, base, training, run, seeds } = request;
  const { record, folder } = model;
  checkTeacher(model, task, base);
  const [, top] = ownLayers(record);
  const layers = rampLayers(top);
  if (layers.length === 0) throw usageError(`${folder} is one layer: no text can leave below it. Name another --run`);
  if (training.maxLength !== record.options.maxLength) {
    throw usageError(
      `--max-length ${training.maxLength}: ${folder} cuts rows to ${record.options.maxLength} tokens, and its ramps read what it reads. ` +
        "Leave it out",
    );
  }
  const data = await readTaskData(task, base, training.maxLength, run);
  const place = { fork: record.fork, layers: record.layers };
  const trials = seeds.map((seed) => {
    const settings: NamedTrial = {
      ...{ recipe: namedBy(model), task, base, place, asked: place, seed, data, training },
      ...{ teacher: referenceTo(model), options: {} },
    };
    const { folder: named, record: unscored } = describeTrial(settings, run.checkpoints);
    // They are looked for beside their run, wherever other runs are.
    return { settings, trial: { folder: path.join(rampsFolder(model), path.basename(named)), record: unscored } };
  });
  return { request, data, layers, trials };
}

/** Folders begin as their run's does: "k03-seed1", "l2-teacher-seed1-of-..."; config.yaml names the run. */
const namedBy = ({ folder, record }: StoredRun): NamedTrial["recipe"] => ({
  method: EXITS,
  describe: () => ({
    name: `of-${record.id}`,
    label: `ramps of ${record.method} ${record.id}`,
    config: { run: folder },
  }),
});

/**
 * Trains the ramps that are not finished, each seed in a run folder of its own: what was stopped goes on. Throws Interrupted with the
 * state saved.
 * @param onRamps hears of each finished run of ramps, with the rows that they read: computed when they are first asked for
 */
export async function trainRamps(
  { request, data, layers, trials }: PlannedRamps,
  context: RunContext<Engine>,
  onRamps: (ramps: StoredRun, rows: RampRows) => Promise<void>,
): Promise<StoredRun[]> {
  const { task, run } = request;
  for (const note of data.notes) context.reporter.warn(note);
  const rows = openRampRows({ ...request, data, layers }, context);
  const runs: StoredRun[] = [];
  try {
    for (const { trial, settings } of trials) {
      const finished = await finishedRun(trial, run.force);
      const ramps = finished ?? (await trainOne({ request, layers, rows, trial, settings }, context));
      runs.push(ramps);
      await onRamps(ramps, rows);
    }
  } finally {
    await rows.dispose();
  }
  if (runs.length === 0) throw modelError(`no seed of the ramps of ${task.name} was asked for`);
  return runs;
}

interface OneTraining {
  readonly request: RampsRequest;
  readonly layers: readonly number[];
  readonly rows: RampRows;
  readonly trial: StoredRun;
  readonly settings: NamedTrial;
}

/** Each ramp begins as the run's own head: it reads another layer of the same space. */
async function trainOne(
  { request, layers, rows, trial, settings }: OneTraining,
  context: RunContext<Engine>,
): Promise<StoredRun> {
  const { task, run } = request;
  const { labelLoss } = await import("./losses.js");
  const { model, train, dev } = await rows.states();
  const names = headOf(task, model.config).map(({ name }) => name);
  const head = Object.fromEntries(names.map((name) => [name, model.tensors[name] as (typeof model.tensors)[string]]));
  const ramps = rampsTask(task, layers);
  const training: TrialTraining = {
    trial,
    settings: { ...settings, task: ramps },
    run,
    label: `${task.name} ${settings.recipe.describe({ ...settings, place: settings.asked }).label} seed ${settings.seed}`,
    sources: { train: train.source, dev: dev.source },
    work: { initial: rampsOf(head, layers), loss: labelLoss(await ramps.kind.head(model.config)) },
    /** No encoder layer is trained: the ramps stand above all of those that are read. */
    place: { fork: layers.length + 1, layers: 0 },
  };
  return runTrial(training, context);
}
