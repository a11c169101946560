// The epoch loop of whatever is trained: steps over the batches of an epoch, evaluation after each, the best epoch kept. Its state
// is saved at each epoch's end, every `saveEvery` seconds and when the run is stopped; a run that is killed and resumed ends with
// the bytes of one left alone. What a step reads, and what a score is, is its caller's matter.

import { metricsFile } from "../../checkpoints/runs/run-folder";
import type { Engine, Program } from "../../engines/engine";
import { Diverged } from "../../errors/errors";
import { appendLine } from "../../files/atomic";
import { Interrupted, type ProgressBar } from "../../messages/reporter";
import type { DynamicAxes, EntryPoint } from "../../model/entry-point";
import type { HostTensor, HostTensors } from "../../model/tensors";
import type { LoopOptions } from "../../settings/training";
import { compareScores } from "../../tasks/metrics";
import { learningRateAt } from "../step/schedule";
import { branchIn, withFrozen } from "../step/state";
import { beginTracking, type RunContext, type TrackedSession, trackedValues } from "../tracking/tracker";
import { type EnergyMeter, openEnergyMeter } from "./energy";
import { type Best, isComplete, isExhausted, type Position, restore, save } from "./run-state";

/** Steps between two lines of metrics.jsonl. */
const LOG_EVERY = 10;

export interface EpochSettings extends LoopOptions {
  readonly seed: number;
  /** Seconds between saved states inside an epoch. */
  readonly saveEvery: number;
  /** Ends after this many epochs, for now: the schedule spans all `epochs`. Absent: at the last one. */
  readonly until?: number;
}

/** A step of the run: counted from 1 to `total`, with its learning rate. */
export interface StepOf {
  readonly step: number;
  readonly total: number;
  readonly rate: number;
}

/** What an epoch scored. */
export interface Scored extends Omit<Best, "branch" | "epoch"> {
  /** Beside `dev` in its line of metrics.jsonl. */
  readonly beside?: Readonly<Record<string, unknown>>;
  /** For the log. */
  readonly text: string;
}

/** What is trained. B: one of its batches. */
export interface Course<B> {
  readonly label: string;
  readonly folder: string;
  readonly settings: EpochSettings;
  /** What is trained, and its moments, before the first step. */
  readonly initial: HostTensors;
  readonly frozen: HostTensors;
  /** Each step runs one of these; they share the state. */
  readonly entries: Readonly<Record<string, EntryPoint>>;
  readonly axes: Readonly<Record<string, DynamicAxes>>;
  readonly perEpoch: number;
  /** Of one epoch, from 0. */
  batches(epoch: number): readonly B[];
  /** Which entry point a batch's step runs. */
  entry(batch: B): string;
  inputs(batch: B, step: StepOf): Promise<HostTensors>;
  /** Token positions that its step computes. */
  tokens(batch: B): number;
  evaluate(program: Program<string>, signal: AbortSignal): Promise<Scored>;
}

export interface Trained extends Omit<Best, "epoch"> {
  /** Whether every epoch was run, or patience ended it; else only those up to `until` were, with the state saved. */
  readonly complete: boolean;
  readonly bestEpoch: number;
  readonly steps: number;
  /** Seconds over all processes that worked on it. */
  readonly seconds: number;
  /** Joules of the machine in the same; null where it did not say. */
  readonly joules: number | null;
  /** Of those seconds, what this process spent compiling. */
  readonly compileSeconds: number;
  /** Padded train tokens a second, steps alone; null where this process took no step. */
  readonly tokensPerSecond: number | null;
}

/** Runs a course, or goes on where its folder says it stopped. Throws Interrupted with the state saved. */
export async function runEpochs<B>(course: Course<B>, context: RunContext<Engine>): Promise<Trained> {
  const { folder, settings, label, perEpoch } = course;
  const saved = await restore(folder, course.initial);
  const position = saved?.position ?? { epoch: 0, batch: 0, step: 0, seconds: 0, joules: 0, best: null };
  const state = withFrozen(saved?.state ?? course.initial, course.frozen);
  const program = await context.engine.load(state, course.entries, course.axes);
  const end = settings.until ?? settings.epochs;
  const bar = context.reporter.progress(label, perEpoch * settings.epochs, position.step);
  const clock: Clock = { started: performance.now(), stepSeconds: 0, tokens: 0, meter: openEnergyMeter() };
  const tracked = await beginTracking(context, { folder, label, step: position.step });
  let status: "finished" | "failed" | "stopped" = "failed";
  let compileSeconds = 0;
  try {
    for (; position.epoch < end && !isExhausted(position, settings); position.epoch++, position.batch = 0) {
      const work = { total: perEpoch * settings.epochs, bar, clock, context, tracked };
      await trainEpoch(course, program, position, work);
      await evaluateEpoch(course, program, position, work);
      await save(folder, program, { ...position, epoch: position.epoch + 1, batch: 0, ...spent(position, clock) });
    }
    if (isComplete(position, settings)) {
      const { score, epoch } = position.best as Best;
      await tracked.log(position.step, { "best/score": score, "best/epoch": epoch + 1 });
      if (position.epoch < settings.epochs) sayExhausted(course, position, context);
      status = "finished";
    } else status = "stopped";
    compileSeconds = sayCompiled(label, program, context);
  } catch (error) {
    if (error instanceof Interrupted) status = "stopped";
    throw error;
  } finally {
    bar.end();
    program.dispose();
    await tracked.end(status);
  }
  const { epoch: bestEpoch, ...best } = position.best as Best;
  return {
    ...best,
    bestEpoch,
    complete: isComplete(position, settings),
    steps: position.step,
    ...spent(position, clock),
    compileSeconds,
    tokensPerSecond: clock.stepSeconds > 0 ? clock.tokens / clock.stepSeconds : null,
  };
}

type Named = Pick<Course<unknown>, "label" | "folder" | "settings">;

function sayExhausted({ label, settings }: Named, { epoch }: Position, { reporter }: RunContext<Engine>): void {
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

async function trainEpoch<B>(
  course: Course<B>,
  program: Program<string>,
  position: Position,
  { total, bar, clock, context, tracked }: EpochContext,
): Promise<void> {
  const { settings, folder } = course;
  const batches = course.batches(position.epoch);
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
    const batch = batches[position.batch] as B;
    const step = position.step + 1;
    const rate = learningRateAt(step, total, settings.learningRate, settings.warmup);
    const started = performance.now();
    const outputs = await program.run(course.entry(batch), await course.inputs(batch, { step, total, rate }));
    clock.stepSeconds += (performance.now() - started) / 1000;
    clock.tokens += course.tokens(batch);
    const loss = scalar(outputs["loss"]);
    const gradNorm = scalar(outputs["grad_norm"]);
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) throw diverged(course, step, loss, gradNorm);
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

function diverged({ label, folder }: Named, step: number, loss: number, gradNorm: number) {
  // The first step's loss comes before any update: no learning rate is to blame.
  const remedy =
    step === 1
      ? "No weight has changed yet: those of the base, or of the teacher, are damaged. Fetch or train them again"
      : "Run again with a lower --learning-rate or more --warmup";
  return new Diverged(
    `${label}: the loss is ${loss} and the gradient norm ${gradNorm} at step ${step} (${folder}). ${remedy}`,
  );
}

async function evaluateEpoch<B>(
  course: Course<B>,
  program: Program<string>,
  position: Position,
  { context, tracked }: Pick<EpochContext, "context" | "tracked">,
): Promise<void> {
  const { folder, label } = course;
  const { beside = {}, text, ...scored } = await course.evaluate(program, context.signal);
  await logMetrics(folder, { step: position.step, epoch: position.epoch, dev: scored.metrics, ...beside }, tracked);
  context.reporter.log(`${label}: epoch ${position.epoch + 1}, ${text}`);
  if (!position.best || compareScores(scored.score, position.best.score) > 0) {
    const branch = branchIn(await program.state());
    position.best = { branch, epoch: position.epoch, ...scored };
  }
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
