// trials.csv: an experiment's results for other tools.

import Papa from "papaparse";
import { kOf } from "../model/place";
import { configKey, type Definition } from "../options/option";
import type { Recipes } from "../recipes/recipe";
import type { TrialResult } from "./results";

/** Columns of their own, by what every run has: of these options they say the same. */
const ofPlace: readonly string[] = ["init", "initLayers", "studentForks"];

/**
 * One line a trial, and a column of each option that a recipe's trials differ in. Scores are fractions, empty where they
 * are undefined; epochs count from 1, as in the log. An option that came later than files without it has a column where a
 * trial has a value of it.
 */
export function resultsCsv(results: readonly TrialResult[], recipes: Recipes): string {
  const own = Object.values(recipes).flatMap(({ options, inFile }) =>
    Object.keys(inFile).flatMap((name) => {
      const { flag, silent, fallback } = options[name] as Definition<unknown>;
      const always = !silent && fallback !== undefined;
      const told = always || results.some(({ spec }) => spec.options[name] !== undefined);
      return told && inFile[name] !== "required" && !ofPlace.includes(name) ? [[name, configKey(flag)] as const] : [];
    }),
  );
  const someLayers = results.some(({ spec }) => spec.initLayers !== undefined);
  const rows = results.map(({ spec, run }) => ({
    trial: spec.index,
    step: spec.recipe.method,
    task: spec.task.name,
    layers: kOf(spec.place),
    fork: run?.record.fork ?? "",
    init: spec.init ?? "",
    ...(someLayers ? { init_layers: spec.initLayers ?? "" } : {}),
    ...Object.fromEntries(own.map(([name, key]) => [key, spec.options[name] ?? ""])),
    learning_rate: run?.record.options["learningRate"] ?? spec.training.learningRate,
    epochs: run?.record.options["epochs"] ?? spec.training.epochs,
    seed: spec.seed,
    id: run?.record.id ?? "unneeded",
    metric: spec.task.metric,
    score: run?.record.score ?? "",
    best_epoch: run && run.record.bestEpoch !== null ? run.record.bestEpoch + 1 : "",
    train_rows: run?.record.trainData.rows ?? "",
    dev_rows: run?.record.devData.rows ?? "",
  }));
  return `${Papa.unparse(rows, { newline: "\n" })}\n`;
}
