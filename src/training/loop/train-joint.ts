// The training of one whole encoder on several tasks together: each step takes a batch of one task, through the layers that all
// share and that task's own head. A train step and an evaluation a task are entry points over one state.

import type { Batch } from "../../batches/batches";
import type { Engine, Program } from "../../engines/engine";
import { formatMetrics } from "../../messages/quantities";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { Tensors } from "../../model/entry-point";
import type { Head } from "../../model/heads";
import { scope, unscoped } from "../../model/parameters";
import type { Place } from "../../model/place";
import type { HostTensors } from "../../model/tensors";
import { permutation } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";
import type { Task } from "../../tasks/task";
import { initialState } from "../step/state";
import { type Loss, logitsStep, stepAxes, trainStep } from "../step/step";
import { dropoutInputs, scalarInputs } from "../step/step-inputs";
import type { RunContext } from "../tracking/tracker";
import { type BranchSource, scoreTuned, splitLogits } from "./branch-source";
import { type EpochSettings, runEpochs, type Scored, type Trained } from "./epochs";
import { labelInputs } from "./label-inputs";
import { openStepRows, type StepRows } from "./step-rows";

/** How often each task has its turn: its batches once an epoch, or as many of all as the root of that gives it a share of. */
export type Mixing = "size" | "sqrt";

/** One of the tasks, its rows read as ids. */
export interface JointTask {
  readonly task: Task;
  readonly loss: (head: Head) => Loss;
  readonly train: BranchSource;
  readonly dev: BranchSource;
}

export interface JointTraining {
  readonly label: string;
  readonly folder: string;
  /** Its dropout rates are those that training uses. */
  readonly config: EncoderConfig;
  readonly tasks: readonly JointTask[];
  readonly mixing: Mixing;
  /** The encoder and what its head shares, under their own names, and each task's own under its scope. */
  readonly initial: HostTensors;
  readonly settings: EpochSettings;
}

/** A batch of one of the tasks. */
export interface JointBatch extends Batch {
  /** Which task, by its place in the list. */
  readonly of: number;
  /** The step of its head, from 1. */
  readonly own: number;
}

/** The batches of one task that an epoch takes. @param steps of one pass over each task's rows */
export function turnsOf(steps: readonly number[], mixing: Mixing): number[] {
  if (mixing === "size") return [...steps];
  const total = steps.reduce((sum, count) => sum + count, 0);
  const roots = steps.reduce((sum, count) => sum + Math.sqrt(count), 0);
  return steps.map((count) => Math.max(1, Math.round((total * Math.sqrt(count)) / roots)));
}

/**
 * The batches of an epoch in an order of (seed, epoch) alone. A task goes on through its own passes where the epoch before stopped.
 * @param turns as {@link turnsOf} gives them
 */
export function jointBatches(
  tasks: readonly Pick<StepRows, "perEpoch" | "batches">[],
  turns: readonly number[],
  seed: number,
  epoch: number,
): JointBatch[] {
  const slots = turns.flatMap((count, of) => Array.from({ length: count }, () => of));
  const order = permutation(streamKey(seed, Purpose.shuffle, epoch, 2), slots.length);
  const passes = new Map<string, readonly Batch[]>();
  const taken = turns.map((count) => epoch * count);
  return Array.from(order, (slot): JointBatch => {
    const of = slots[slot] as number;
    const { perEpoch, batches } = tasks[of] as StepRows;
    const at = (taken[of] as number)++;
    const pass = Math.floor(at / perEpoch);
    const rows = passes.get(`${of} ${pass}`) ?? batches(pass);
    passes.set(`${of} ${pass}`, rows);
    return { ...(rows[at % perEpoch] as Batch), of, own: at + 1 };
  });
}

/** Inputs of the step with AdamW's scalars of a head, which has taken no step of other tasks. */
const OF_HEAD = "head_";

/** The scalars of the step, or for what is a task's own those of its head. */
export const jointScalars = (name: string, inputs: Tensors): Tensors =>
  name.startsWith("task/")
    ? { ...inputs, ...named(inputs, (input) => (input.startsWith(OF_HEAD) ? input.slice(OF_HEAD.length) : null)) }
    : inputs;

/** Tensors under the names that a function gives them; null leaves one out. */
function named<T>(tensors: Readonly<Record<string, T>>, as: (name: string) => string | null): Record<string, T> {
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) => {
      const other = as(name);
      return other === null ? [] : [[other, tensor]];
    }),
  );
}

/** A task's head that reads its own tensors under the task's scope, and what heads share under its own name. */
export const jointHead = (head: Head, task: string): Head => ({
  ...head,
  logits: (tensors, ...given) => head.logits({ ...tensors, ...unscoped(task, tensors) }, ...given),
});

interface OpenedTask extends JointTask {
  readonly head: Head;
  readonly objective: Loss;
  readonly rows: StepRows;
}

/** Trains all tasks, or goes on where `folder` says it stopped. Throws Interrupted with the state saved. */
export async function trainJoint(training: JointTraining, context: RunContext<Engine>): Promise<Trained> {
  const { config, settings, mixing } = training;
  const { batchSize, seed, clipNorm, weightDecay } = settings;
  const place: Place = { fork: null, layers: config.numHiddenLayers };
  const tasks: OpenedTask[] = [];
  for (const one of training.tasks) {
    const { task, train } = one;
    const head = jointHead(await task.kind.head(config), task.name);
    const { labels } = labelInputs(task, train.rows, undefined);
    const rows = openStepRows({ train, inputs: { labels }, batchSize, seed });
    tasks.push({ ...one, head, objective: one.loss(head), rows });
  }
  const turns = turnsOf(
    tasks.map(({ rows }) => rows.perEpoch),
    mixing,
  );
  const of = ({ of: at }: JointBatch) => tasks[at] as OpenedTask;
  return runEpochs<JointBatch>(
    {
      ...{ label: training.label, folder: training.folder, settings },
      initial: initialState(training.initial, {}, context.engine.precision === "float16"),
      frozen: {},
      entries: Object.fromEntries(
        tasks.flatMap(({ head, objective: loss }, i) => [
          [trainEntry(i), trainStep({ place, config, loss, head, clipNorm, scalarsOf: jointScalars })],
          [logitsEntry(i), logitsStep(place, config, head)],
        ]),
      ),
      axes: Object.fromEntries(
        tasks.flatMap(({ head, objective: loss, rows }, i) => [
          [trainEntry(i), stepAxes(config, place, loss.reads, rows.axes, head)],
          [logitsEntry(i), branchAxes],
        ]),
      ),
      perEpoch: turns.reduce((sum, count) => sum + count, 0),
      batches: (epoch) =>
        jointBatches(
          tasks.map(({ rows }) => rows),
          turns,
          seed,
          epoch,
        ),
      entry: ({ of: at }) => trainEntry(at),
      inputs: async (batch, { step, total, rate }) => ({
        ...(await of(batch).rows.inputs(batch, step, total)),
        ...scalarInputs(rate, weightDecay, step),
        ...named(scalarInputs(rate, weightDecay, batch.own), (name) => (name === "decay" ? null : OF_HEAD + name)),
        ...dropoutInputs({ config, place, seed, head: of(batch).head }, batchSize, batch.length, step),
      }),
      tokens: ({ rows, length }) => rows.length * length,
      evaluate: (program, signal) => evaluateJoint(tasks, program, signal),
    },
    context,
  );
}

const trainEntry = (task: number) => `train${task}`;
const logitsEntry = (task: number) => `logits${task}`;

/** The mean of the tasks' scores decides; one that is undefined counts as 0. */
async function evaluateJoint(
  tasks: readonly OpenedTask[],
  program: Program<string>,
  signal: AbortSignal,
): Promise<Scored> {
  const scores: Record<string, NonNullable<Scored["tasks"]>[string]> = {};
  for (const [i, { task, dev }] of tasks.entries()) {
    scores[task.name] = scoreTuned(
      task,
      await splitLogits(program, logitsEntry(i), dev, task, signal),
      dev.rows.labels,
    );
  }
  const each = Object.entries(scores);
  const average = each.reduce((sum, [, { score }]) => sum + (score ?? 0), 0) / each.length;
  const own = each.flatMap(([name, { metrics }]) =>
    Object.entries(metrics).map(([metric, value]) => [`${name}/${metric}`, value] as const),
  );
  const metrics = { [AVERAGE]: average, ...Object.fromEntries(own) };
  const text = formatMetrics([[AVERAGE, average], ...each.map(([name, { score }]) => [name, score] as const)]);
  return { score: average, metrics, tasks: scores, text };
}

/** The metric that is the score of a joint model. */
export const AVERAGE = "average";

/** The names of a task's own tensors in a joint model's state, without its scope. */
export const ownTensors = (task: string, tensors: HostTensors): HostTensors =>
  named(tensors, (name) => (name.startsWith(scope(task)) ? name.slice(scope(task).length) : null));
