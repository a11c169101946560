// What `run` and `plan` begin with: the experiment file, its base, its trials, and which of them this call means.

import path from "node:path";
import { usageError } from "../../errors/errors";
import type { Shard, TrialSpec, Trials } from "../../experiment/plan";
import type { Experiment } from "../../experiment/read";
import type { Force, Resolver } from "../../experiment/resolve";
import { adapterOf } from "../../model/adapters/adapters";
import { optional, type Values } from "../../options/option";
import { choice, integer, text } from "../../options/readers";
import type { Recipes } from "../../recipes/recipe";
import { offline } from "../../settings/call";
import { taskOptions } from "../../settings/tasks";
import { workOptions } from "../../settings/work";
import type { Call } from "../caller";
import { describeBaseOf, tellLabels } from "../session";

/** "2/8": the third of eight shares. */
function shardOf(given: unknown): Shard {
  if (typeof given === "object" && given !== null) return shardOf(Object.values(given).join("/"));
  const match = /^(\d+)\/(\d+)$/.exec(String(given));
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || count < 1 || index >= count) throw new Error("I/N with I from 0 to N - 1, such as 0/8");
  return { index, count };
}

/** One trial by its number, or several: "0-3,7". */
function trialsOf(given: unknown): number | string {
  const range = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;
  if (typeof given === "string" && range.test(given) && !/^\d+$/.test(given)) return given;
  try {
    return integer({ min: 0 })(given);
  } catch {
    throw new Error("a whole number of at least 0, or several such as 0-3,7");
  }
}

/** With the steps that a record of recipes makes possible. */
export const outOption = {
  out: optional(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "where results go (default results/NAME)",
    inConfig: false,
  }),
};

export function experimentOptions(recipes: Recipes) {
  const steps = [...Object.keys(recipes), "joint", "select", "exits", "merge", "report"];
  const stepChoice = choice(steps);
  const named = `${steps.slice(0, -1).join(", ")} or ${steps.at(-1)}`;
  return {
    ...outOption,
    checkpoints: optional(text, {
      flag: "--checkpoints",
      value: "<folder>",
      help: "where run folders lie (default OUT/checkpoints)",
      inConfig: false,
    }),
    glueData: taskOptions.glueData,
    from: optional(stepChoice, { flag: "--from", value: "<step>", help: "begin with this step", excludes: "--only" }),
    only: optional(stepChoice, { flag: "--only", value: "<step>", help: named }),
    trial: optional(trialsOf, {
      flag: "--trial",
      value: "<i>",
      help: "train this one trial of the plan, from 0, or several, such as 0-3,7",
      excludes: "--shard",
    }),
    shard: optional(shardOf, {
      flag: "--shard",
      value: "<i/n>",
      help: "train every nth trial of the plan, from the ith",
    }),
    cacheBudget: workOptions.cacheBudget,
    force: workOptions.force,
    ...offline,
  };
}

export type ExperimentValues = Values<ReturnType<typeof experimentOptions>>;

export interface OpenedExperiment {
  readonly experiment: Experiment;
  readonly resolver: Resolver;
  /** The steps that this call does. */
  readonly steps: readonly string[];
  /** The trials that this call does. */
  readonly mine: Trials;
  readonly out: string;
  readonly checkpoints: string;
}

/** What `flexbert search` says in place of the file. */
export type SearchOverride = Pick<Experiment, "search" | "budget" | "searchSeed">;

/**
 * Reads the file and the base, and lists the trials. Of data it reads no more than labels that the tasks file leaves to it.
 * @param remember as createResolver has it; the trials themselves too
 */
export async function openExperiment(
  file: string,
  values: ExperimentValues & { readonly saveEvery?: number; readonly nodeCache?: string | undefined },
  call: Call,
  override: SearchOverride | null = null,
  remember = true,
): Promise<OpenedExperiment> {
  const { readExperiment } = await import("../../experiment/read.js");
  const { chosenOf, listTrials, planTrials, someTrial, stepsOf } = await import("../../experiment/plan.js");
  const { createResolver } = await import("../../experiment/resolve.js");
  const experiment = { ...(await readExperiment(file, call.recipes)), ...override };
  tellLabels(experiment.tasks, call);
  const steps = chosenSteps(stepsOf(experiment), experiment, values);
  if (experiment.search !== "full") refuseShares(experiment, steps, values);
  const base = await describeBaseOf(experiment, call);
  const { trials, notes } = (remember ? listTrials : planTrials)(experiment, base.config.numHiddenLayers);
  for (const note of notes) call.reporter.log(note);
  if (experiment.search !== "full" && someTrial(trials, ({ options }) => adapterOf(options) !== null)) {
    throw usageError(
      `${file}: search: ${experiment.search} compares trained layers, not small tensors over frozen ones (method). Give those a file of their own`,
    );
  }
  const isMine = await choiceOf(trials, steps, values, file);
  const mine = chosenOf(trials, isMine);
  const trains = (step: string) => someTrial(mine, ({ recipe }) => recipe.method === step);
  const doing = values.trial === undefined ? steps : steps.filter(trains);
  const out = values.out ?? path.join("results", experiment.name);
  const checkpoints = values.checkpoints ?? path.join(out, "checkpoints");
  const work = {
    checkpoints,
    glueData: values.glueData,
    cacheBudget: values.cacheBudget,
    ...(values.nodeCache === undefined ? {} : { nodeCache: values.nodeCache }),
    saveEvery: values.saveEvery ?? 60,
  };
  const force: Force | null = values.force ? { includes: isMine, since: new Date().toISOString() } : null;
  return {
    experiment,
    resolver: createResolver(experiment, base, trials, work, force, remember),
    steps: doing,
    mine,
    out,
    checkpoints,
  };
}

/** A search decides by itself which trials are trained when. */
function refuseShares({ file, search, recipes }: Experiment, steps: readonly string[], values: ExperimentValues): void {
  const trains = steps.some((step) => step in recipes);
  const { trial, shard, only, from, force } = values;
  const flag = [
    ...(trial === undefined ? [] : [`--trial ${trial}`]),
    ...(shard === undefined ? [] : [`--shard ${shard.index}/${shard.count}`]),
    ...(trains && only !== undefined ? [`--only ${only}`] : []),
    ...(trains && from !== undefined ? [`--from ${from}`] : []),
    ...(trains && force ? ["--force"] : []),
  ][0];
  if (flag === undefined) return;
  throw usageError(
    `${flag}: ${file} has search: ${search}, which decides by itself what is trained. Leave it out: several processes on one ` +
      "folder share the work",
  );
}

function chosenSteps(
  asked: readonly string[],
  { file, recipes }: Experiment,
  { from, only, trial, shard }: ExperimentValues,
): string[] {
  const named = only ?? from;
  if (named !== undefined && !asked.includes(named)) {
    throw usageError(`--${only ? "only" : "from"} ${named}: ${file} has no step ${named}. It has ${asked.join(", ")}`);
  }
  if (trial !== undefined && named !== undefined) {
    throw usageError(
      `--trial ${trial} names ${typeof trial === "number" ? "one trial" : "trials"}: leave --${only ? "only" : "from"} ${named} out`,
    );
  }
  const steps = only ? [only] : from ? asked.slice(asked.indexOf(from)) : [...asked];
  if (trial === undefined && shard === undefined) return steps;
  const trained = steps.filter((step) => step in recipes);
  if (trained.length === 0) throw usageError(`--shard shares out trials, and ${named} has none. Leave --shard out`);
  return trained;
}

/** Whether this call does a trial. */
async function choiceOf(
  trials: Trials,
  steps: readonly string[],
  { trial, shard }: ExperimentValues,
  file: string,
): Promise<(spec: TrialSpec) => boolean> {
  const { inShard } = await import("../../experiment/plan.js");
  const ranges = trial === undefined ? null : rangesIn(trial);
  for (const [first, last] of ranges ?? []) {
    if (first > last) throw usageError(`--trial ${trial}: ${first}-${last} goes backwards. Write ${last}-${first}`);
    if (last < trials.length) continue;
    throw usageError(`--trial ${trial}: ${file} has ${trials.length} trials, 0 to ${trials.length - 1}`);
  }
  return (spec) => {
    if (ranges) return ranges.some(([first, last]) => first <= spec.index && spec.index <= last);
    return steps.includes(spec.recipe.method) && (shard === undefined || inShard(shard, spec));
  };
}

/** First and last numbers of "0-3,7". */
const rangesIn = (trial: number | string): [number, number][] =>
  String(trial)
    .split(",")
    .map((part) => {
      const [first = "", last = first] = part.split("-");
      return [Number(first), Number(last)];
    });
