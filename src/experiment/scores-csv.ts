// scores.csv: the finished trials as `select --scores` reads them, so that a choice needs no run folder.

import Papa from "papaparse";
import type { TrialResult } from "./results";

/** One line a finished trial in the plan's order; what `select` leaves alone says which it is. Scores are fractions. */
export function scoresCsv(results: readonly TrialResult[], baseLayers: number): string {
  const rows = results.flatMap(({ spec, run }) => {
    if (!run) return [];
    const { record } = run;
    return {
      task: record.task,
      base_layers: baseLayers,
      fork: record.fork ?? "none",
      layers: record.layers,
      score: record.score ?? "nan",
      step: spec.recipe.method,
      init: spec.init ?? "",
      learning_rate: record.options["learningRate"],
      epochs: record.options["epochs"],
      seed: record.seed,
      id: record.id,
    };
  });
  return `${Papa.unparse(rows, { newline: "\n" })}\n`;
}
