// A whole experiment from one file: what is done is skipped, what was stopped goes on, and several processes may share it.

import { usageError } from "../../errors/errors";
import type { LastStep } from "../../experiment/plan";
import type { Presence } from "../../experiment/presence";
import type { ScoreLine, TrialResult } from "../../experiment/results";
import type { SearchOutcome } from "../../experiment/search/search";
import type { OutputPaths } from "../../experiment/steps";
import { type Given, readGiven } from "../../options/given";
import { optional, type Values } from "../../options/option";
import type { Recipes } from "../../recipes/recipe";
import { engineOptions } from "../../settings/engine";
import { workOptions } from "../../settings/work";
import type { Tracker } from "../../training/tracking/tracker";
import { type Call, type Caller, callOf } from "../caller";
import { openSession } from "../session";
import { openTrackers, trackerOptions } from "../trackers";
import type { StepListener } from "./last-steps";
import { experimentOptions, type OpenedExperiment, openExperiment, type SearchOverride } from "./open";

export const runOptions = (recipes: Recipes) => ({
  ...experimentOptions(recipes),
  ...engineOptions,
  saveEvery: workOptions.saveEvery,
  nodeCache: workOptions.nodeCache,
  ...trackerOptions,
  plan: optional(planName, {
    flag: "--plan",
    value: "<hash>",
    help: "what the trials' numbers mean, as jobs submit has it: one job of many, which looks at its own trials alone",
  }),
});

function planName(given: unknown): string {
  if (typeof given === "string" && /^[0-9a-f]{8}$/.test(given)) return given;
  throw new Error("eight hexadecimal digits");
}

export type RunOptions = Given<ReturnType<typeof runOptions>>;
type RunValues = Values<ReturnType<typeof runOptions>>;

export interface ExperimentResult {
  readonly experiment: string;
  /** Trials of the file (with `plan` those of this call), how many of them are finished, and which of this call's. */
  readonly trials: number;
  readonly finished: number;
  readonly done: readonly number[];
  /** "done" or "skipped", by step after training. */
  readonly steps: Readonly<Record<string, "done" | "skipped">>;
  /** Where the table of trials lies; null before all are finished. */
  readonly results: string | null;
  readonly folder: string;
  /** Fractions. */
  readonly scores: readonly ScoreLine[];
  /** Of `search: auto` and `search: halving`: the front's choices, and what was spent in units of layers times tokens. */
  readonly search?: SearchOutcome;
}

/**
 * Does what is left of an experiment, or the steps, trial or share that the options name.
 * Throws UserError (2) for a file that is wrong, and as the steps do; Interrupted with the states saved.
 */
export const run = async (file: string, options: RunOptions = {}, caller: Caller = {}): Promise<ExperimentResult> =>
  (await runExperiment(file, options, callOf(caller))).outcome;

export interface RunExperiment {
  readonly outcome: ExperimentResult;
  readonly results: readonly TrialResult[];
}

export async function runExperiment(
  file: string,
  options: RunOptions,
  call: Call,
  listener: StepListener = {},
  override: SearchOverride | null = null,
): Promise<RunExperiment> {
  const values = readGiven(runOptions(call.recipes), options);
  const trackers = await openTrackers(values, call);
  const opened = await openExperiment(file, values, call, override);
  const { resolver, experiment, out, mine } = opened;
  const { outputsIn } = await import("../../experiment/steps.js");
  const { isLastStep, planHash } = await import("../../experiment/plan.js");
  const { collectResults } = await import("../../experiment/results.js");
  if (values.plan !== undefined) requirePlan(values.plan, planHash(resolver.trials, resolver.base), experiment.file);
  const outputs = outputsIn(out);
  // Each of many jobs that looked at all trials would read as many files as all of them write, squared.
  const last = opened.steps.filter(isLastStep);
  const one = values.plan !== undefined && last.length === 0;
  let search: SearchOutcome | null = null;
  try {
    if (experiment.search !== "full") search = await goThrough(opened, values, trackers, outputs, call);
    else if (mine.length > 0) await train(opened, values, trackers, call);
  } catch (error) {
    if (!one) await writeScores(opened, outputs).catch(() => undefined); // what ended the rest is the error to show
    throw error;
  }
  if (!one) await writeScores(opened, outputs);
  const results = await collectResults(resolver, one ? mine : resolver.trials);
  const complete = search !== null || results.length === resolver.trials.length;
  if (complete) await writeResults(results, outputs, call.recipes);
  const steps = await doLastSteps(last, opened, results, { ...values, outputs, listener }, call);
  const found = { results, of: one ? mine.length : resolver.trials.length };
  const outcome = await describe(opened, found, complete ? outputs.results : null, outputs.folder, steps);
  return { outcome: { ...outcome, ...(search ? { search } : {}) }, results };
}

/** Throws usageError (2) where trial 17 is no longer what it was. */
function requirePlan(wanted: string, found: string, file: string): void {
  if (wanted === found) return;
  throw usageError(
    `--plan ${wanted}: ${file} or its base has changed since, and its trials' numbers mean others now (plan ${found}). ` +
      "Take the change back, or cancel what was submitted and submit again",
  );
}

/** A search, with its front written beside the table of trials. */
async function goThrough(
  opened: OpenedExperiment,
  { engine, device, threads }: RunValues,
  trackers: readonly Tracker[],
  outputs: OutputPaths,
  call: Call,
): Promise<SearchOutcome> {
  const { searchExperiment } = await import("./search.js");
  const { frontCsv } = await import("../../experiment/search/front-csv.js");
  const { writeFileAtomic } = await import("../../files/atomic.js");
  const outcome = await searchExperiment(opened, { engine, device, threads, trackers }, opened.mine.length > 0, call);
  await writeFileAtomic(outputs.front, frontCsv(outcome.front));
  return outcome;
}

/** Trains what is left, unless nothing is: then no engine is opened. */
async function train(
  opened: OpenedExperiment,
  values: RunValues,
  trackers: readonly Tracker[],
  call: Call,
): Promise<void> {
  const { announce } = await import("../../experiment/presence.js");
  const { someTrial } = await import("../../experiment/plan.js");
  const { mayTeach } = await import("../../recipes/recipe.js");
  const tunes = someTrial(opened.mine, mayTeach);
  const presence = await announce(opened.checkpoints, tunes ? `fine-tuning of ${opened.experiment.file}` : null);
  try {
    await trainWhatIsLeft(opened, presence, { ...values, trackers }, call);
  } finally {
    await presence.withdraw();
  }
}

async function trainWhatIsLeft(
  { resolver, mine, out }: OpenedExperiment,
  presence: Presence,
  {
    engine,
    device,
    threads,
    trackers,
  }: Pick<RunValues, "engine" | "device" | "threads"> & { readonly trackers: readonly Tracker[] },
  call: Call,
): Promise<void> {
  const { listWork } = await import("../../experiment/listing.js");
  // Reads the data of every task: a broken file should not come to light after the hours that the first ones take.
  const { trials, openBytes } = await listWork(resolver, mine);
  const open = trials.filter(({ state }) => state !== "finished" && state !== "unneeded");
  call.reporter.log(`${resolver.experiment.name}: ${open.length} of ${mine.length} trials to train`);
  if (open.length === 0) return;
  const { requireFreeSpace } = await import("../../files/atomic.js");
  await requireFreeSpace(out, openBytes, `what is left of ${resolver.experiment.file}`);
  const { trainTrials } = await import("../../experiment/train.js");
  const session = await openSession({ engine, device, threads, precision: resolver.experiment.precision }, call);
  try {
    await trainTrials(resolver, [...mine], presence, { ...session, trackers });
  } finally {
    session.close();
  }
}

async function writeScores({ resolver }: OpenedExperiment, outputs: OutputPaths): Promise<void> {
  const { collectResults } = await import("../../experiment/results.js");
  const results = await collectResults(resolver);
  if (!results.some(({ run }) => run)) return;
  const { makeFolder } = await import("../../files/folder.js");
  const { writeFileAtomic } = await import("../../files/atomic.js");
  const { scoresCsv } = await import("../../experiment/scores-csv.js");
  await makeFolder(outputs.folder);
  await writeFileAtomic(outputs.scores, scoresCsv(results, resolver.base.config.numHiddenLayers));
}

async function writeResults(results: readonly TrialResult[], outputs: OutputPaths, recipes: Recipes): Promise<void> {
  const { makeFolder } = await import("../../files/folder.js");
  const { writeFileAtomic } = await import("../../files/atomic.js");
  const { resultsCsv } = await import("../../experiment/results-csv.js");
  await makeFolder(outputs.folder);
  await writeFileAtomic(outputs.results, resultsCsv(results, recipes));
}

type StepValues = Pick<RunValues, "engine" | "device" | "threads" | "glueData" | "force"> & {
  readonly outputs: OutputPaths;
  readonly listener: StepListener;
};

async function doLastSteps(
  last: readonly LastStep[],
  { resolver, experiment, checkpoints }: OpenedExperiment,
  results: readonly TrialResult[],
  { engine, device, threads, glueData, force, outputs, listener }: StepValues,
  call: Call,
): Promise<Record<string, "done" | "skipped">> {
  const done: Record<string, "done" | "skipped"> = {};
  const [first] = last;
  if (first === undefined) return done;
  const steps = await import("../../experiment/steps.js");
  // A search leaves what it did not need.
  if (experiment.search === "full") steps.requireFinished(resolver, results, first);
  steps.requireStepBefore(resolver, first, outputs);
  await steps.requireNoStrays(resolver, results);
  const { doStep } = await import("./last-steps.js");
  const { base, run: workOf } = resolver;
  const where = { experiment, outputs, checkpoints, glueData, base, workOf, force };
  const context = { ...where, engine: { engine, device, threads }, listener };
  for (const step of last) {
    const inputs = () => steps.hashInputs(step, resolver, results, outputs);
    const work = () => doStep[step](context, call);
    done[step] = await steps.doOnce({ step, outputs, inputs, force, work }, call);
    call.reporter.log(`${step}: ${done[step] === "skipped" ? "nothing has changed, skipped" : "done"}`);
  }
  return done;
}

async function describe(
  { experiment, mine }: OpenedExperiment,
  { results, of }: { readonly results: readonly TrialResult[]; readonly of: number },
  table: string | null,
  folder: string,
  steps: ExperimentResult["steps"],
): Promise<ExperimentResult> {
  const { scoresOfResults } = await import("../../experiment/results.js");
  const done = new Set(results.map(({ spec }) => spec.index));
  return {
    experiment: experiment.name,
    trials: of,
    finished: results.length,
    done: [...mine].flatMap(({ index }) => (done.has(index) ? [index] : [])),
    steps,
    results: table,
    folder,
    scores: scoresOfResults(results)
      .lines()
      .map(({ line }) => line),
  };
}
