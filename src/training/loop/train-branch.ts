// The training of one branch: its train step and its evaluation over one state, in the loop of epochs.ts. What is trained and
// why is the recipes' matter.

import type { Batch } from "../../batches/batches";
import { rowCount } from "../../batches/mixed";
import type { TrialCost } from "../../checkpoints/runs/run-folder";
import type { Engine, Program } from "../../engines/engine";
import { formatMetrics, formatUntuned } from "../../messages/quantities";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { Place } from "../../model/place";
import type { HostTensor, HostTensors } from "../../model/tensors";
import type { Task } from "../../tasks/task";
import { type Beside, initialState } from "../step/state";
import { type Loss, logitsStep, stepAxes, trainStep } from "../step/step";
import { dropoutInputs, scalarInputs } from "../step/step-inputs";
import type { RunContext } from "../tracking/tracker";
import type { BatchInput } from "./batch-inputs";
import { type BranchSource, scoreTuned, splitLogits } from "./branch-source";
import { trialCost } from "./cost";
import { type EpochSettings, runEpochs, type Scored, type Trained } from "./epochs";
import { labelInputs } from "./label-inputs";
import { type ExtraRows, openStepRows } from "./step-rows";

export interface BranchTraining {
  readonly label: string;
  readonly folder: string;
  readonly task: Task;
  readonly place: Place;
  /** Its dropout rates are those that training uses. */
  readonly config: EncoderConfig;
  /** The branch's tensors before the first step. */
  readonly initial: HostTensors;
  readonly loss: Loss;
  readonly train: BranchSource;
  readonly dev: BranchSource;
  /** What batches of the train split carry beside tokens and labels, by the name of the loss's input. */
  readonly inputs?: Readonly<Record<string, BatchInput>>;
  /** Rows without labels beside the train split's. */
  readonly extra?: ExtraRows | undefined;
  /** What a step reads or trains beside the branch. */
  readonly beside?: Partial<Beside<HostTensor>>;
  readonly settings: EpochSettings;
}

export interface TrainedBranch extends Omit<Trained, "joules"> {
  readonly cost: TrialCost;
}

/** Trains a branch, or goes on where `folder` says it stopped. Throws Interrupted with the state saved. */
export async function trainBranch(training: BranchTraining, context: RunContext<Engine>): Promise<TrainedBranch> {
  const { task, train, inputs, extra, settings, config, place, loss, beside = {} } = training;
  const { batchSize, seed, clipNorm, weightDecay } = settings;
  const { labels, none } = labelInputs(task, train.rows, extra?.source.rows);
  const others = extra ? { extra: { ...extra, inputs: { labels: none, ...extra.inputs } } } : {};
  const rows = openStepRows({ train, inputs: { labels, ...inputs }, ...others, batchSize, seed });
  const head = await task.kind.head(config);
  const { joules, ...trained } = await runEpochs<Batch>(
    {
      ...{ label: training.label, folder: training.folder, settings },
      initial: initialState(training.initial, beside.loss ?? {}, context.engine.precision === "float16"),
      frozen: beside.frozen ?? {},
      entries: {
        train: trainStep({ place, config, loss, head, clipNorm }),
        logits: logitsStep(place, config, head),
      },
      axes: { train: stepAxes(config, place, loss.reads, rows.axes, head), logits: branchAxes },
      perEpoch: rows.perEpoch,
      batches: rows.batches,
      entry: () => "train",
      inputs: async (batch, { step, total, rate }) => ({
        ...(await rows.inputs(batch, step, total)),
        ...scalarInputs(rate, weightDecay, step),
        ...dropoutInputs({ config, place, seed, reads: loss.reads, head }, batchSize, batch.length, step),
      }),
      tokens: (batch) => rowCount(batch) * batch.length,
      evaluate: (program, signal) => evaluateBranch(training, program, signal),
    },
    context,
  );
  return {
    ...trained,
    cost: trialCost(training, { ...settings, buckets: rows.buckets, epoch: rows.batches(0), joules }),
  };
}

async function evaluateBranch(
  { task, dev }: BranchTraining,
  program: Program<string>,
  signal: AbortSignal,
): Promise<Scored> {
  const scored = scoreTuned(task, await splitLogits(program, "logits", dev, task, signal), dev.rows.labels);
  const { metrics, tuned } = scored;
  const without = tuned ? `, ${formatUntuned(tuned.untuned)}` : "";
  return {
    ...scored,
    ...(tuned ? { beside: { untuned: tuned.untuned.metrics } } : {}),
    text: formatMetrics(Object.entries(metrics)) + without,
  };
}
