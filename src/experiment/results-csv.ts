// trials.csv: an experiment's results for other tools.

import Papa from "papaparse";
import { kOf } from "../model/place";
import { configKey, type Definition } from "../options/option";
import type { Recipes } from "../recipes/recipe";
import { someTrial, type TrialSpec, type Trials } from "./plan";
import type { TrialResult } from "./results";

/** Columns of their own, by what every run or trial has: of these options they say the same. */
const ofPlace: readonly string[] = ["init", "initLayers", "studentForks", "teacher"];

/**
 * One line a trial, and a column of each option that a recipe's trials differ in. Scores are fractions, empty where they
 * are undefined; epochs count from 1, as in the log. An option that came later than files without it has a column where a
 * trial has a value of it.
 */
export const resultsCsv = (results: readonly TrialResult[], recipes: Recipes): string =>
  resultsTable(
    results.map(({ spec }) => spec),
    recipes,
  )(results, true);

/**
 * The same table line by line, for what does not hold all results at once.
 * @param specs those of the whole table, which decide its columns
 * @returns what makes lines of results, with or without the head
 */
export function resultsTable(
  specs: Trials,
  recipes: Recipes,
): (results: readonly TrialResult[], head: boolean) => string {
  const own = Object.values(recipes).flatMap(({ options, inFile }) =>
    Object.keys(inFile).flatMap((name) => {
      const { flag, silent, fallback } = options[name] as Definition<unknown>;
      const always = !silent && fallback !== undefined;
      const told = always || someTrial(specs, (spec) => spec.options[name] !== undefined);
      return told && inFile[name] !== "required" && !ofPlace.includes(name) ? [[name, configKey(flag)] as const] : [];
    }),
  );
  const someLayers = someTrial(specs, (spec) => spec.initLayers !== undefined);
  const someByFull = someTrial(specs, (spec) => spec.fullTeacher === true);
  const teacherOf = ({ recipe, fullTeacher }: TrialSpec) =>
    recipe.makes === "students" ? (fullTeacher ? "full" : "best") : "";
  const row = ({ spec, run }: TrialResult) => ({
    trial: spec.index,
    step: spec.recipe.method,
    task: spec.task.name,
    layers: kOf(spec.place, spec.recipe.makes),
    fork: run?.record.fork ?? "",
    init: spec.init ?? "",
    ...(someLayers ? { init_layers: spec.initLayers ?? "" } : {}),
    ...(someByFull ? { teacher: teacherOf(spec) } : {}),
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
  });
  return (results, head) => `${Papa.unparse(results.map(row), { newline: "\n", header: head })}\n`;
}
