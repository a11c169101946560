// Results of an experiment, collected in the plan's order: the same tables whatever was trained first, by which
// process, and however often it was stopped. Times and machines stay out of them.

import type { RunRecord, StoredRun } from "../checkpoints/runs/run-folder";
import { adapterOf } from "../model/adapters/adapters";
import { kOf, type PlaceRequest } from "../model/place";
import type { K } from "../options/layers";
import { methodOf } from "../recipes/methods/methods";
import { startOf } from "../recipes/recipe";
import { compareScores } from "../tasks/metrics";
import { spreadOf } from "../tasks/scores";
import type { TrialSpec, Trials } from "./plan";
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
export async function collectResults(resolver: Resolver, trials: Trials = resolver.trials): Promise<TrialResult[]> {
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
  /** Of a whole student how it was taught, of small tensors over frozen layers theirs. */
  readonly method?: string;
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

/** Tables of scores of results that are told one by one, of which only the scores are held. */
export interface ScoreTable {
  add(result: ScoredTrial): void;
  /** In the plan's order, each with what tables call the layers: "k=5". */
  lines(): { readonly label: string; readonly line: ScoreLine }[];
  /** Results so far, and those without a run. */
  readonly counts: { readonly results: number; readonly unneeded: number };
}

export function scoreTable(): ScoreTable {
  const groups = new Map<string, { first: TrialSpec; scores: (number | null)[]; seeds: Set<number> }>();
  const counts = { results: 0, unneeded: 0 };
  return {
    counts,
    add({ spec, run }) {
      counts.results++;
      if (!run) counts.unneeded++;
      const { recipe, task, place } = spec;
      // A label has layers, and the method of whole students and of small tensors.
      const key = [recipe.method, task.name, startOf(spec), recipe.describe(spec).label, place.fork].join(" ");
      const group = groups.get(key) ?? { first: spec, scores: [], seeds: new Set() };
      groups.set(key, group);
      if (!run) return;
      group.scores.push(run.record.score);
      group.seeds.add(run.record.seed);
    },
    lines: () =>
      [...groups.values()].flatMap(({ first, scores, seeds }) =>
        scores.length === 0 ? [] : [lineOf(first, scores, seeds.size)],
      ),
  };
}

/** Of all trials with the first one's layers. */
function lineOf(first: TrialSpec, scores: readonly (number | null)[], seeds: number) {
  const { recipe, task, place, init, initLayers, options } = first;
  const method = methodOf(options) ?? adapterOf(options);
  const spread = spreadOf(scores);
  const line: ScoreLine = {
    task: task.name,
    step: recipe.method,
    layers: kOf(place, recipe.makes),
    fork: place.fork,
    ...(method ? { method: method.name } : {}),
    init: init ?? null,
    initLayers: initLayers ?? null,
    trials: scores.length,
    seeds,
    max: scores.reduce((best, score) => (compareScores(score, best) > 0 ? score : best)),
    mean: spread?.mean ?? null,
    deviation: spread?.sd ?? null,
  };
  return { label: recipe.describe(first).label, line };
}

export function scoresOfResults(results: readonly ScoredTrial[]): ScoreTable {
  const table = scoreTable();
  for (const result of results) table.add(result);
  return table;
}
