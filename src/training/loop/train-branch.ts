// The epoch loop of one branch: steps over shuffled length buckets, evaluation after each epoch, the best epoch
// kept. Its state is saved at each epoch's end, every `saveEvery` seconds and when the run is stopped; a run that
// is killed and resumed ends with the bytes of one left alone. What is trained and why is the recipes' matter.

import type { Batch } from "../../batches/batches";
import { rowCount } from "../../batches/mixed";
import { metricsFile, type TrialCost } from "../../checkpoints/runs/run-folder";
import type { Tuned } from "../../checkpoints/runs/tuned";
import type { Engine, Program } from "../../engines/engine";
import { Diverged } from "../../errors/errors";
import { appendLine } from "../../files/atomic";
import { formatMetrics, formatUntuned } from "../../messages/quantities";
import { Interrupted, type ProgressBar } from "../../messages/reporter";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { Head } from "../../model/heads";
import type { Place } from "../../model/place";
import type { HostTensor, HostTensors } from "../../model/tensors";
import type { LoopOptions } from "../../settings/training";
import { compareScores } from "../../tasks/metrics";
import type { Task } from "../../tasks/task";
import { learningRateAt } from "../step/schedule";
import { type Beside, branchIn, initialState, withFrozen } from "../step/state";
import { type Loss, logitsStep, stepAxes, trainStep } from "../step/step";
import { dropoutInputs, scalarInputs } from "../step/step-inputs";
import { beginTracking, type RunContext, type TrackedSession, trackedValues } from "../tracking/tracker";
import type { BatchInput } from "./batch-inputs";
import { type BranchSource, scoreTuned, splitLogits } from "./branch-source";
import { trialCost } from "./cost";
import { type EnergyMeter, openEnergyMeter } from "./energy";
import { labelInputs } from "./label-inputs";
import { type Best, isComplete, isExhausted, type Position, restore, save } from "./run-state";
import { type ExtraRows, openStepRows, type StepRows } from "./step-rows";

/** Steps between two lines of metrics.jsonl. */
const LOG_EVERY = 10;

export interface EpochSettings extends LoopOptions {
  readonly seed: number;
  /** Seconds between saved states inside an epoch. */
  readonly saveEvery: number;
  /** Ends after this many epochs, for now: the schedule spans all `epochs`. Absent: at the last one. */
  readonly until?: number;
}

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

export interface TrainedBranch {
  /** Whether every epoch was run, or patience ended it; else only those up to `until` were, with the state saved. */
  readonly complete: boolean;
  /** Of the best epoch. */
  readonly branch: HostTensors;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Of a task whose thresholds are tuned, in that epoch. */
  readonly tuned?: Tuned;
  readonly bestEpoch: number;
  readonly steps: number;
  /** Seconds over all processes that worked on it. */
  readonly seconds: number;
  /** Of those, what this process spent compiling. */
  readonly compileSeconds: number;
  /** Padded train tokens a second, steps alone; null where this process took no step. */
  readonly tokensPerSecond: number | null;
  readonly cost: TrialCost;
}

/** A training with what its task's kind adds: the head, and labels among the inputs. */
interface OpenedTraining extends BranchTraining {
  readonly head: Head;
  readonly rows: StepRows;
}

async function openTraining(training: BranchTraining): Promise<OpenedTraining> {
  const { task, train, inputs, extra, settings, config } = training;
  const { labels, none } = labelInputs(task, train.rows, extra?.source.rows);
  const others = extra ? { extra: { ...extra, inputs: { labels: none, ...extra.inputs } } } : {};
  const { batchSize, seed } = settings;
  const rows = openStepRows({ train, inputs: { labels, ...inputs }, ...others, batchSize, seed });
  return { ...training, head: await task.kind.head(config), rows };
}

/** Trains a branch, or goes on where `folder` says it stopped. Throws Interrupted with the state saved. */
export async function trainBranch(request: BranchTraining, context: RunContext<Engine>): Promise<TrainedBranch> {
  const training = await openTraining(request);
  const { folder, settings, place, config, loss, head, rows, beside = {} } = training;
  const initial = initialState(training.initial, beside.loss ?? {}, context.engine.precision === "float16");
  const saved = await restore(folder, initial);
  const position = saved?.position ?? { epoch: 0, batch: 0, step: 0, seconds: 0, joules: 0, best: null };
  const program = await context.engine.load(
    withFrozen(saved?.state ?? initial, beside.frozen ?? {}),
    {
      train: trainStep({ place, config, loss, head, clipNorm: settings.clipNorm }),
      logits: logitsStep(place, config, head),
    },
    { train: stepAxes(config, place, loss.reads, rows.axes, head), logits: branchAxes },
  );
  const { perEpoch } = rows;
  const end = settings.until ?? settings.epochs;
  const bar = context.reporter.progress(training.label, perEpoch * settings.epochs, position.step);
  const clock: Clock = { started: performance.now(), stepSeconds: 0, tokens: 0, meter: openEnergyMeter() };
  const tracked = await beginTracking(context, { folder, label: training.label, step: position.step });
  let status: "finished" | "failed" | "stopped" = "failed";
  let compileSeconds = 0;
  try {
    for (; position.epoch < end && !isExhausted(position, settings); position.epoch++, position.batch = 0) {
      const work = { total: perEpoch * settings.epochs, bar, clock, context, tracked };
      await trainEpoch(training, program, rows.batches(position.epoch), position, work);
      await evaluateEpoch(training, program, position, work);
      await save(folder, program, { ...position, epoch: position.epoch + 1, batch: 0, ...spent(position, clock) });
    }
    if (isComplete(position, settings)) {
      const { score, epoch } = position.best as Best;
      await tracked.log(position.step, { "best/score": score, "best/epoch": epoch + 1 });
      if (position.epoch < settings.epochs) sayExhausted(training, position, context);
      status = "finished";
    } else status = "stopped";
    compileSeconds = sayCompiled(training.label, program, context);
  } catch (error) {
    if (error instanceof Interrupted) status = "stopped";
    throw error;
  } finally {
    bar.end();
    program.dispose();
    await tracked.end(status);
  }
  const best = position.best as Best;
  const { seconds, joules } = spent(position, clock);
  return {
    ...best,
    complete: isComplete(position, settings),
    bestEpoch: best.epoch,
    steps: position.step,
    seconds,
    compileSeconds,
    tokensPerSecond: clock.stepSeconds > 0 ? clock.tokens / clock.stepSeconds : null,
    cost: trialCost(training, { ...settings, buckets: rows.buckets, epoch: rows.batches(0), joules }),
  };
}

function sayExhausted(
  { label, settings }: BranchTraining,
  { epoch }: Position,
  { reporter }: RunContext<Engine>,
): void {
  const { patience = 0, epochs } = settings;
  reporter.log(`${label}: stopped after epoch ${epoch} of ${epochs}, ${patience} without a better dev score`);
}

/** Logs what was compiled, and returns its seconds; 0 on an engine that compiles nothing. */
function sayCompiled(label: string, program: Program<string>, { reporter }: RunContext<Engine>): number {
  const compiled = program.compiled();
  if (!compiled) return 0;
  reporter.log(
    `${label}: ${compiled.graphs} graphs compiled in ${compiled.seconds.toFixed(1)} s, for every length bucket`,
  );
  return compiled.seconds;
}

interface Clock {
  readonly started: number;
  readonly meter: EnergyMeter;
  stepSeconds: number;
  tokens: number;
}

interface EpochContext {
  readonly total: number;
  readonly bar: ProgressBar;
  readonly clock: Clock;
  readonly context: RunContext<Engine>;
  readonly tracked: TrackedSession;
}

/** Seconds and joules of all processes until now. */
function spent(before: Position, { started, meter }: Clock): Pick<Position, "seconds" | "joules"> {
  const joules = meter();
  return {
    seconds: before.seconds + (performance.now() - started) / 1000,
    joules: before.joules === null || joules === null ? null : before.joules + joules,
  };
}

async function trainEpoch(
  training: OpenedTraining,
  program: Program<"train" | "logits">,
  batches: readonly Batch[],
  position: Position,
  { total, bar, clock, context, tracked }: EpochContext,
): Promise<void> {
  const { settings, folder } = training;
  let lastSave = performance.now();
  const saveIfDue = async () => {
    const stop = context.signal.aborted;
    if (!stop && performance.now() - lastSave < settings.saveEvery * 1000) return;
    await save(folder, program, { ...position, ...spent(position, clock) });
    lastSave = performance.now();
    if (stop) throw new Interrupted(folder);
  };
  for (; position.batch < batches.length; position.batch++) {
    await saveIfDue();
    const batch = batches[position.batch] as Batch;
    const step = position.step + 1;
    const rate = learningRateAt(step, total, settings.learningRate, settings.warmup);
    const started = performance.now();
    const outputs = await program.run("train", await stepInputs(training, batch, { step, total, rate }));
    clock.stepSeconds += (performance.now() - started) / 1000;
    clock.tokens += rowCount(batch) * batch.length;
    const loss = scalar(outputs["loss"]);
    const gradNorm = scalar(outputs["grad_norm"]);
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) throw diverged(training, step, loss, gradNorm);
    position.step = step;
    if (step % LOG_EVERY === 0 || step === total) {
      const line = { step, epoch: position.epoch, loss, learning_rate: rate, grad_norm: gradNorm };
      await logMetrics(folder, line, tracked);
      clock.meter(); // its counters wrap around
    }
    bar.advance(1, `loss ${loss.toFixed(3)}`);
  }
  await saveIfDue(); // a stop during the last step is not carried into the evaluation
}

function diverged({ label, folder }: BranchTraining, step: number, loss: number, gradNorm: number) {
  // The first step's loss comes before any update: no learning rate is to blame.
  const remedy =
    step === 1
      ? "No weight has changed yet: those of the base, or of the teacher, are damaged. Fetch or train them again"
      : "Run again with a lower --learning-rate or more --warmup";
  return new Diverged(
    `${label}: the loss is ${loss} and the gradient norm ${gradNorm} at step ${step} (${folder}). ${remedy}`,
  );
}

async function evaluateEpoch(
  training: BranchTraining,
  program: Program<"train" | "logits">,
  position: Position,
  { context, tracked }: Pick<EpochContext, "context" | "tracked">,
): Promise<void> {
  const { task, dev, folder, label } = training;
  const logits = await splitLogits(program, "logits", dev, task, context.signal);
  const scored = scoreTuned(task, logits, dev.rows.labels);
  const { score, metrics, tuned } = scored;
  const beside = tuned ? { untuned: tuned.untuned.metrics } : {};
  await logMetrics(folder, { step: position.step, epoch: position.epoch, dev: metrics, ...beside }, tracked);
  const without = tuned ? `, ${formatUntuned(tuned.untuned)}` : "";
  context.reporter.log(`${label}: epoch ${position.epoch + 1}, ${formatMetrics(Object.entries(metrics))}${without}`);
  if (!position.best || compareScores(score, position.best.score) > 0) {
    const branch = branchIn(await program.state());
    position.best = { branch, epoch: position.epoch, ...scored };
  }
}

interface StepOf {
  readonly step: number;
  readonly total: number;
  readonly rate: number;
}

async function stepInputs(
  { settings, config, place, loss, head, rows }: OpenedTraining,
  batch: Batch,
  { step, total, rate }: StepOf,
): Promise<HostTensors> {
  const { batchSize, seed, weightDecay } = settings;
  return {
    ...(await rows.inputs(batch, step, total)),
    ...scalarInputs(rate, weightDecay, step),
    ...dropoutInputs({ config, place, seed, reads: loss.reads, head }, batchSize, batch.length, step),
  };
}

const scalar = (tensor: HostTensor | undefined): number => tensor?.data[0] ?? Number.NaN;

async function logMetrics(
  folder: string,
  line: { readonly step: number; readonly [name: string]: unknown },
  tracked: TrackedSession,
): Promise<void> {
  await appendLine(metricsFile(folder), JSON.stringify(line));
  await tracked.log(line.step, trackedValues(line));
}
