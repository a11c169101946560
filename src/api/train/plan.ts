// What training would take: parameters, steps, memory and time of each trial, without training any.

import type { Engine } from "../../engines/engine";
import { readGiven } from "../../options/given";
import { distill as distillation } from "../../recipes/distill";
import { finetune as finetuning } from "../../recipes/finetune";
import type { Recipe } from "../../recipes/recipe";
import type { Sweep } from "../../recipes/sweep";
import type { PlannedTrial, SweepPlan } from "../../recipes/sweep-plan";
import { type Call, type Caller, callOf } from "../caller";
import { describeBaseOf, type EngineValues, openSession } from "../session";
import { openTrackers, type TrackerValues } from "../trackers";
import { sweepsOf, type TrainingValues } from "./sweeps";
import { type DistillOptions, type FinetuneOptions, type TrainGiven, trainOptions } from "./train";

export interface EstimatedTrial extends PlannedTrial {
  readonly full: boolean;
  readonly seconds: number;
}

export interface TrainingPlan {
  /** What would run it, in words, and how fast it multiplies matrices while it trains. */
  readonly engine: string;
  readonly flopsPerSecond: number;
  /** Of the frozen layers, and of all that is not finished. */
  readonly trunkSeconds: number;
  readonly totalSeconds: number;
  /** With halving: between the least and the most that it leaves of `totalSeconds`. */
  readonly halvedSeconds?: { readonly least: number; readonly most: number };
  readonly trials: readonly EstimatedTrial[];
}

/** What {@link finetune} would do. Throws as it does before it trains. */
export const planFinetune = (options: FinetuneOptions = {}, caller: Caller = {}): Promise<TrainingPlan> =>
  planTraining(finetuning, options, callOf(caller));

/** What {@link distill} would do. Throws as it does before it trains. */
export const planDistill = (options: DistillOptions = {}, caller: Caller = {}): Promise<TrainingPlan> =>
  planTraining(distillation, options, callOf(caller));

async function planTraining(recipe: Recipe, given: TrainGiven, call: Call): Promise<TrainingPlan> {
  const { plans, values } = await planSweeps(recipe, given, call);
  return estimate(plans, values, call);
}

export interface PlannedSweeps {
  readonly values: TrainingValues;
  readonly plans: readonly SweepPlan[];
  /** Those that have nothing to train: the task keeps its teacher. */
  readonly idle: readonly Sweep[];
}

export async function planSweeps(recipe: Recipe, given: TrainGiven, call: Call): Promise<PlannedSweeps> {
  const values = readGiven(trainOptions(recipe), given) as TrainingValues & TrackerValues;
  await openTrackers(values, call); // what is wrong with them is wrong now
  const sweeps = await sweepsOf(recipe, values, describeBaseOf, call);
  const { planSweep } = await import("../../recipes/sweep-plan.js");
  const plans = await Promise.all(sweeps.map(planSweep));
  return { values, plans, idle: sweeps.filter((_, i) => plans[i]?.trials.length === 0) };
}

/** Times of the plans on an engine, which is measured for it. */
export async function estimate(plans: readonly SweepPlan[], values: EngineValues, call: Call): Promise<TrainingPlan> {
  const session = await openSession(values, call);
  try {
    const { engine } = session;
    const flopsPerSecond = await sustainedRate(engine);
    const trials = plans.flatMap((plan) =>
      plan.trials.map(({ task, folder, layers, fork, ...trial }) => ({
        ...{ task, folder, layers, full: fork === null, fork, ...trial },
        seconds: trial.flops / flopsPerSecond,
      })),
    );
    const trunkSeconds = plans.reduce((sum, plan) => sum + plan.trunkFlops, 0) / flopsPerSecond;
    const open = trials.filter((trial) => !trial.finished);
    const totalSeconds = open.reduce((sum, trial) => sum + trial.seconds, trunkSeconds);
    const halved = halvedSeconds(plans, flopsPerSecond, trunkSeconds);
    return {
      ...{ engine: engine.summary, flopsPerSecond, trunkSeconds, totalSeconds },
      ...(halved ? { halvedSeconds: halved } : {}),
      trials,
    };
  } finally {
    session.close();
  }
}

/** The least and the most that halving leaves of the plans' time, the frozen layers included; null without halving. */
function halvedSeconds(plans: readonly SweepPlan[], flopsPerSecond: number, trunkSeconds: number) {
  if (!plans.some(({ halved }) => halved)) return null;
  const sum = (bound: "least" | "most") => plans.reduce((flops, { halved }) => flops + (halved?.[bound] ?? 0), 0);
  return {
    least: trunkSeconds + sum("least") / flopsPerSecond,
    most: trunkSeconds + sum("most") / flopsPerSecond,
  };
}

/** Products reach about this share of their peak inside a step, beside everything that memory bounds. */
export const SUSTAINED_SHARE = 0.5;

/** Floating-point work a second that training does on an engine, for estimates. */
export async function sustainedRate(engine: Engine): Promise<number> {
  const { gemmRate } = await import("../../engines/gemm-rate.js");
  return SUSTAINED_SHARE * (await gemmRate(engine));
}
