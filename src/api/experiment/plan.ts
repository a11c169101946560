// The trials of an experiment in their order, with their ids and how far they are; and what is left of them would take.

import type { ListedTrial, Listing } from "../../experiment/listing";
import type { HalvedWork } from "../../experiment/search/estimate";
import { kOf } from "../../model/place";
import { type Given, readGiven } from "../../options/given";
import { recorded } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import type { SearchMode } from "../../settings/search";
import { trainingSettings } from "../../settings/training";
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

export interface ExperimentPlan {
  readonly experiment: string;
  readonly base: { readonly name: string; readonly sha256: string; readonly layers: number };
  readonly steps: readonly string[];
  readonly out: string;
  readonly checkpoints: string;
  /** Of what is not finished. */
  readonly openFlops: number;
  readonly openBytes: number;
  /** Of `search: halving`: what it leaves of them, in operations; ties let more go on. */
  readonly halving?: HalvedWork;
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
  readonly trials: readonly (DescribedTrial & { readonly seconds: number })[];
}

/** Lists the trials; trains nothing. Throws UserError (2) for a file that is wrong, (3) for data, (4) for the base. */
export const planExperiment = async (
  file: string,
  options: PlanOptions = {},
  caller: Caller = {},
): Promise<ExperimentPlan> => (await listExperiment(file, options, callOf(caller))).plan;

export interface ListedExperiment {
  readonly plan: ExperimentPlan;
  readonly listing: Listing;
}

export async function listExperiment(file: string, options: PlanOptions, call: Call): Promise<ListedExperiment> {
  const values = readGiven(planOptions(call.recipes), options);
  const { resolver, experiment, steps, mine, out, checkpoints } = await openExperiment(file, values, call, null, false);
  const { listWork } = await import("../../experiment/listing.js");
  const listing = await listWork(resolver, mine);
  const { name, sha256, config } = resolver.base;
  const plan = {
    experiment: experiment.name,
    base: { name, sha256, layers: config.numHiddenLayers },
    steps,
    out,
    checkpoints,
    openFlops: listing.openFlops,
    openBytes: listing.openBytes,
    ...(await halvingOf(experiment.search, listing, 1)),
    trials: listing.trials.map(describeListed),
  };
  return { plan, listing };
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
      trials: listing.trials.map((trial) => ({ ...describeListed(trial), seconds: trial.flops / flopsPerSecond })),
    };
    return { estimate, listing };
  } finally {
    session.close();
  }
}

/** What halving leaves, by so many operations. */
async function halvingOf(search: SearchMode, listing: Listing, flops: number): Promise<{ halving?: HalvedWork }> {
  if (search !== "halving") return {};
  const { halvedListing } = await import("../../experiment/search/estimate.js");
  const { least, most } = halvedListing(listing);
  return { halving: { least: least / flops, most: most / flops } };
}

function describeListed({ spec, id, folder, state, teacher, transfer, ...cost }: ListedTrial) {
  const { index, recipe, task, place, init, initLayers, seed, training, options } = spec;
  const { steps, trainable, flops, bytes } = cost;
  return {
    index,
    id,
    step: recipe.method,
    task: task.name,
    layers: kOf(place),
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
