// Results of an experiment, collected in the plan's order: the same tables whatever was trained first, by which
// process, and however often it was stopped. Times and machines stay out of them.

import type { RunRecord, StoredRun } from "../checkpoints/runs/run-folder";
import { kOf, type PlaceRequest } from "../model/place";
import type { K } from "../options/layers";
import { startOf } from "../recipes/recipe";
import { groupBy } from "../selection/group-by";
import { compareScores } from "../tasks/metrics";
import { spreadOf } from "../tasks/scores";
import type { TrialSpec } from "./plan";
import type { Resolver } from "./resolve";

export interface TrialResult {
  readonly spec: TrialSpec;
  /** null where the task keeps its teacher instead. */
  readonly run: StoredRun | null;
}

/** What tables of scores read of a result. */
export interface ScoredTrial {
  readonly spec: TrialSpec;
  readonly run: { readonly record: Pick<RunRecord, "score" | "seed"> } | null;
}

/** Finished ones of these trials, in the plan's order; those that are not finished are left out. */
export async function collectResults(
  resolver: Resolver,
  trials: readonly TrialSpec[] = resolver.trials,
): Promise<TrialResult[]> {
  const results: TrialResult[] = [];
  for (const spec of trials) {
    const outcome = await resolver.outcome(spec);
    if (outcome !== null) results.push({ spec, run: outcome === "unneeded" ? null : outcome });
  }
  return results;
}

/** One line of a table: all trials of a task with the same layers, over seeds and the grid. */
export interface ScoreLine {
  readonly task: string;
  /** The recipe. */
  readonly step: string;
  /** k, or a student's l. */
  readonly layers: K;
  /** "teacher": that of the task's teacher. */
  readonly fork: PlaceRequest["fork"];
  readonly init: string | null;
  /** Of its teacher's layers, those that it begins as; null for those at its own depth. */
  readonly initLayers: string | null;
  readonly trials: number;
  readonly seeds: number;
  /** Fractions; null where a score is undefined. */
  readonly max: number | null;
  readonly mean: number | null;
  /** Of the sample; null for one trial. */
  readonly deviation: number | null;
}

/** Lines in the plan's order. */
export const scoreLines = (results: readonly ScoredTrial[]): ScoreLine[] =>
  labelledLines(results).map(({ line }) => line);

/** The same with what tables call the layers: "k=5". */
export function labelledLines(results: readonly ScoredTrial[]): { readonly label: string; readonly line: ScoreLine }[] {
  const groups = groupBy(results, ({ spec }) => {
    const { recipe, task, place } = spec;
    return [recipe.method, task.name, startOf(spec), kOf(place), place.fork].join(" ");
  });
  return [...groups.values()].flatMap((group) => {
    const runs = group.flatMap(({ run }) => (run ? [run] : []));
    const [first] = group;
    if (!first || runs.length === 0) return [];
    const { recipe, task, place, init, initLayers } = first.spec;
    const scores = runs.map(({ record }) => record.score);
    const spread = spreadOf(scores);
    const line = {
      task: task.name,
      step: recipe.method,
      layers: kOf(place),
      fork: place.fork,
      init: init ?? null,
      initLayers: initLayers ?? null,
      trials: runs.length,
      seeds: new Set(runs.map(({ record }) => record.seed)).size,
      max: scores.reduce((best, score) => (compareScores(score, best) > 0 ? score : best)),
      mean: spread?.mean ?? null,
      deviation: spread?.sd ?? null,
    };
    return { label: recipe.describe(first.spec).label, line };
  });
}
