// The trials of an experiment in their order, with their ids and how far they are; and what is left of them would take.

import type { LeftWork, ListedTrial, Listing } from "../../experiment/listing";
import type { Resolver } from "../../experiment/resolve";
import type { HalvedWork } from "../../experiment/search/estimate";
import { kOf } from "../../model/place";
import { type Given, readGiven } from "../../options/given";
import { recorded } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import type { SearchMode } from "../../settings/search";
import { trainingSettings } from "../../settings/training";
import type { Task } from "../../tasks/task";
import { type Call, type Caller, callOf } from "../caller";
import { openSession } from "../session";
import { openTrackers } from "../trackers";
import { sustainedRate } from "../train/plan";
import { experimentOptions, openExperiment } from "./open";
import { type RunOptions, runOptions } from "./run";

export const planOptions = (recipes: Recipes) => experimentOptions(recipes);

export type PlanOptions = Given<ReturnType<typeof planOptions>>;

/** A trial with its options, the work that training it takes (operations) and the bytes of its state. */
export type DescribedTrial = ReturnType<typeof describeListed>;

/** What is known of a plan before its trials are looked at. */
export interface PlanHead {
  readonly experiment: string;
  readonly base: { readonly name: string; readonly sha256: string; readonly layers: number };
  readonly steps: readonly string[];
  readonly out: string;
  readonly checkpoints: string;
}

/** And what is known after. */
export interface PlanSums {
  /** Of what is not finished. */
  readonly openFlops: number;
  readonly openBytes: number;
  /** Of `search: halving`: what it leaves of them, in operations; ties let more go on. */
  readonly halving?: HalvedWork;
}

export interface ExperimentPlan extends PlanHead, PlanSums {
  readonly trials: readonly DescribedTrial[];
}

export interface ExperimentEstimate {
  readonly engine: string;
  readonly flopsPerSecond: number;
  readonly totalSeconds: number;
  readonly openBytes: number;
  readonly steps: readonly string[];
  /** Of `search: auto`: the seconds that are spent on those trials which may still move the front. */
  readonly budget?: number;
  /** Of `search: halving`: the seconds that it leaves of them; ties let more go on. */
  readonly halving?: HalvedWork;
  /** Of the step `joint`: seconds of the models that it trains, without heads alone over frozen ones. */
  readonly joint?: number;
  /** Of the step `exits`: seconds in which train and dev rows pass the whole model for ramps, at most. */
  readonly exits?: number;
  readonly trials: readonly (DescribedTrial & { readonly seconds: number })[];
}

/** Lists the trials; trains nothing. Throws UserError (2) for a file that is wrong, (3) for data, (4) for the base. */
export async function planExperiment(
  file: string,
  options: PlanOptions = {},
  caller: Caller = {},
): Promise<ExperimentPlan> {
  const trials: DescribedTrial[] = [];
  const hear = { begin: () => undefined, trial: (listed: ListedTrial) => void trials.push(describeListed(listed)) };
  const { head, sums } = await passPlan(file, options, callOf(caller), hear);
  return { ...head, ...sums, trials };
}

/** Hears of a plan, trial by trial. */
export interface PlanListener {
  begin(head: PlanHead): void;
  trial(listed: ListedTrial): void;
}

/** The same for plans of any length, of which no trial is held. */
export async function passPlan(
  file: string,
  options: PlanOptions,
  call: Call,
  listener: PlanListener,
): Promise<{ readonly head: PlanHead; readonly sums: PlanSums; readonly left: LeftWork }> {
  const values = readGiven(planOptions(call.recipes), options);
  const { resolver, experiment, steps, mine, out, checkpoints } = await openExperiment(file, values, call, null, false);
  const { passWork } = await import("../../experiment/listing.js");
  const { name, sha256, config } = resolver.base;
  const base = { name, sha256, layers: config.numHiddenLayers };
  const head = { experiment: experiment.name, base, steps, out, checkpoints };
  listener.begin(head);
  // Halving compares them all: a sweep of k, and not a large one.
  const compared: ListedTrial[] = [];
  const left = await passWork(resolver, mine, (trial) => {
    if (experiment.search === "halving") compared.push(trial);
    listener.trial(trial);
  });
  const { openFlops, openBytes } = left;
  const halving = await halvingOf(experiment.search, { trials: compared, openFlops }, 1);
  return { head, sums: { openFlops, openBytes, ...halving }, left };
}

/** What `run` would do, and the time it would take on an engine, which is measured for it. */
export const estimateExperiment = async (
  file: string,
  options: RunOptions = {},
  caller: Caller = {},
): Promise<ExperimentEstimate> => (await estimateRun(file, options, callOf(caller))).estimate;

export interface EstimatedRun {
  readonly estimate: ExperimentEstimate;
  readonly listing: Listing;
}

export async function estimateRun(file: string, options: RunOptions, call: Call): Promise<EstimatedRun> {
  const values = readGiven(runOptions(call.recipes), options);
  await openTrackers(values, call); // what is wrong with them is wrong now
  const { resolver, mine, steps } = await openExperiment(file, values, call);
  const { listWork } = await import("../../experiment/listing.js");
  const listing = await listWork(resolver, mine);
  const { engine, device, threads } = values;
  const session = await openSession({ engine, device, threads, precision: resolver.experiment.precision }, call);
  try {
    const flopsPerSecond = await sustainedRate(session.engine);
    const { openFlops, openBytes } = listing;
    const estimate = {
      ...{ engine: session.engine.summary, flopsPerSecond, totalSeconds: openFlops / flopsPerSecond },
      ...{ openBytes, steps },
      ...(resolver.experiment.budget === undefined ? {} : { budget: resolver.experiment.budget }),
      ...(await halvingOf(resolver.experiment.search, listing, flopsPerSecond)),
      ...(steps.includes("joint") ? { joint: (await jointFlops(resolver)) / flopsPerSecond } : {}),
      ...(steps.includes("exits") ? { exits: (await rampFlops(resolver)) / flopsPerSecond } : {}),
      trials: listing.trials.map((trial) => ({ ...describeListed(trial), seconds: trial.flops / flopsPerSecond })),
    };
    return { estimate, listing };
  } finally {
    session.close();
  }
}

/** All tasks together, and where the file asks for it each of them left out once. */
async function jointFlops({ experiment, base, run }: Resolver): Promise<number> {
  const { jointOptionsOf } = await import("../../experiment/joint.js");
  const { planJoint } = await import("../../recipes/joint.js");
  const { estimateJoint } = await import("../../recipes/joint-plan.js");
  const { finishedRun } = await import("../../recipes/trial/trial.js");
  const { training, mixing, seeds, sets } = jointOptionsOf(experiment);
  let flops = 0;
  for (const tasks of sets) {
    for (const seed of seeds) {
      const work = run(tasks[0] as Task);
      const planned = await planJoint({
        tasks,
        base,
        mixing,
        training,
        run: work,
        samplesOf: experiment.samples,
        seed,
      });
      if ((await finishedRun(planned.trial, false)) === null) flops += estimateJoint(planned).flops;
    }
  }
  return flops;
}

/** Ramps themselves are a head each: what they cost is what they read. */
async function rampFlops({ experiment, base, data }: Resolver): Promise<number> {
  const { tasksWithExits } = await import("../../experiment/exits.js");
  const { trunkFlops } = await import("../../recipes/trial/estimate.js");
  let flops = 0;
  for (const task of tasksWithExits(experiment)) {
    flops += trunkFlops(base, await data(task), base.config.numHiddenLayers);
  }
  return flops;
}

/** What halving leaves, by so many operations. */
async function halvingOf(
  search: SearchMode,
  listing: Pick<Listing, "trials" | "openFlops">,
  flops: number,
): Promise<{ halving?: HalvedWork }> {
  if (search !== "halving") return {};
  const { halvedListing } = await import("../../experiment/search/estimate.js");
  const { least, most } = halvedListing(listing);
  return { halving: { least: least / flops, most: most / flops } };
}

export function describeListed({ spec, id, folder, state, teacher, transfer, ...cost }: ListedTrial) {
  const { index, recipe, task, place, init, initLayers, seed, training, options } = spec;
  const { steps, trainable, flops, bytes } = cost;
  return {
    index,
    id,
    step: recipe.method,
    task: task.name,
    layers: kOf(place, recipe.makes),
    // "teacher": that of the task's teacher, which may not be chosen yet.
    fork: place.fork,
    seed,
    ...recorded(trainingSettings, training),
    ...options,
    ...(init ? { init } : {}),
    ...(initLayers ? { initLayers } : {}),
    ...(transfer ? { transfer: { sha256: transfer.sha256, rows: transfer.rows } } : {}),
    state,
    folder,
    teacher,
    steps,
    trainable,
    flops,
    bytes,
  };
}
