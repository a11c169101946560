// The tables of an experiment out of its run folders, in the plan's order, whatever finished first. Holds no more of a run than
// its score: a plan may have a hundred thousand.

import { existsSync } from "node:fs";
import { modelError } from "../../errors/errors";
import type { TrialSpec } from "../../experiment/plan";
import type { Resolver } from "../../experiment/resolve";
import type { ScoreLine, ScoreTable, TrialResult } from "../../experiment/results";
import { type Given, readGiven } from "../../options/given";
import type { Recipes } from "../../recipes/recipe";
import { type Call, type Caller, callOf } from "../caller";
import { type ExperimentValues, experimentOptions, openExperiment } from "../experiment/open";

export const collectOptions = (recipes: Recipes) => {
  const { out, checkpoints, glueData, offline } = experimentOptions(recipes);
  return { out, checkpoints, glueData, offline };
};

export type CollectOptions = Given<ReturnType<typeof collectOptions>>;

export interface CollectedJobs {
  readonly experiment: string;
  readonly trials: number;
  readonly finished: number;
  /** Trials that are not finished: their number and what they are. */
  readonly missing: readonly { readonly index: number; readonly what: string }[];
  /** Where the table of trials lies; null where some are missing. */
  readonly results: string | null;
  /** Fractions. */
  readonly scores: readonly ScoreLine[];
}

export const collectJobs = async (
  file: string,
  options: CollectOptions = {},
  caller: Caller = {},
): Promise<CollectedJobs> => (await collect(file, options, callOf(caller))).collected;

/** With the table of scores. */
export async function collect(
  file: string,
  options: CollectOptions,
  call: Call,
): Promise<{ readonly collected: CollectedJobs; readonly table: ScoreTable }> {
  const { scoreTable } = await import("../../experiment/results.js");
  const { outputsIn } = await import("../../experiment/steps.js");
  const { describeSpec } = await import("../../experiment/plan.js");
  const { stageFile } = await import("../../files/atomic.js");
  const values = readGiven(collectOptions(call.recipes), options);
  const opened = await openExperiment(file, { ...unused(), ...values }, call, null, false);
  const { experiment, resolver, out } = opened;
  if (!existsSync(out)) throw modelError(`${out} is not there: nothing of ${file} was trained, or give --out`);
  const scores = scoreTable();
  const missing: { index: number; what: string }[] = [];
  const csv = outputsIn(out).results;
  const lines = csvOf(resolver, call, (spec, result) => {
    if (result) scores.add(result);
    else missing.push({ index: spec.index, what: describeSpec(spec) });
  });
  const staged = await stageFile(csv, lines);
  if (missing.length === 0) await staged.commit();
  else await staged.discard();
  const collected = {
    ...{ experiment: experiment.name, trials: resolver.trials.length, finished: scores.counts.results, missing },
    results: missing.length === 0 ? csv : null,
    scores: scores.lines().map(({ line }) => line),
  };
  return { collected, table: scores };
}

const unused = (): Omit<ExperimentValues, "out" | "checkpoints" | "glueData" | "offline"> => ({
  ...{ from: undefined, only: undefined, trial: undefined, shard: undefined, cacheBudget: 0, force: false },
});

/** Lines of the table that are written at once. */
const AT_ONCE = 256;

/** The table in pieces; hears each trial, with its run or without. */
async function* csvOf(
  resolver: Resolver,
  { recipes, signal }: Call,
  onTrial: (spec: TrialSpec, result: TrialResult | null) => void,
): AsyncGenerator<string> {
  const { resultsTable } = await import("../../experiment/results-csv.js");
  const { Interrupted } = await import("../../messages/reporter.js");
  const linesOf = resultsTable(resolver.trials, recipes);
  let some: TrialResult[] = [];
  let head = true;
  let passed = 0;
  for (const spec of resolver.trials) {
    passed++;
    if (signal.aborted) throw new Interrupted(null);
    const outcome = await resolver.outcome(spec);
    const result = outcome === null ? null : { spec, run: outcome === "unneeded" ? null : outcome };
    onTrial(spec, result);
    if (result) some.push(result);
    if (some.length < AT_ONCE && passed < resolver.trials.length) continue;
    if (some.length > 0) yield linesOf(some, head);
    [some, head] = [[], false];
  }
}
