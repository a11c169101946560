// What `run` and `plan` print: the plan's trials, and the tables of scores.

import type { Listing } from "../experiment/listing";
import { labelledLines, type ScoredTrial } from "../experiment/results";
import type { SearchOutcome } from "../experiment/search/search";
import { formatBytes } from "../files/atomic";
import { formatScore, formatSeconds } from "../messages/quantities";
import { startOf } from "../recipes/recipe";
import { type Terminal, table } from "./terminal";

export const experimentArgument = [{ name: "<file>", help: "the experiment, such as experiments/smoke.yaml" }] as const;

/** The plan for people. `flopsPerSecond` gives times, where it was measured. */
export function printListing(
  { trials, openFlops, openBytes }: Listing,
  flopsPerSecond: number | null,
  terminal: Terminal,
) {
  const time = (flops: number) => (flopsPerSecond === null ? [] : [formatSeconds(flops / flopsPerSecond)]);
  const rows = trials.map(({ spec, id, state, flops, steps, bytes }) => [
    spec.index,
    spec.recipe.method,
    spec.task.name,
    spec.recipe.describe(spec).label,
    startOf(spec),
    spec.seed,
    spec.training.learningRate,
    spec.training.epochs,
    steps,
    formatBytes(bytes),
    ...time(flops),
    id ?? "-",
    state,
  ]);
  const head = ["trial", "step", "task", "layers", "init", "seed", "rate", "epochs", "steps", "disk"];
  terminal.print(table([...head, ...(flopsPerSecond === null ? [] : ["time"]), "id", "state"], rows));
  const open = trials.filter(({ state }) => state !== "finished" && state !== "unneeded");
  const waiting = open.filter(({ state }) => state === "waiting").length;
  const rate = flopsPerSecond === null ? "" : ` at ${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`;
  terminal.print(
    `\n${open.length} of ${trials.length} trials to train${waiting > 0 ? ` (${waiting} wait for teachers)` : ""}: ` +
      `${(openFlops / 1e12).toFixed(1)} TFLOP${flopsPerSecond === null ? "" : `, about ${formatSeconds(openFlops / flopsPerSecond)}`}${rate}; ` +
      `up to ${formatBytes(openBytes)} of disk`,
  );
}

/** Scores by task and layers, in points. */
export function printScores(results: readonly ScoredTrial[], terminal: Terminal): void {
  const rows = labelledLines(results).map(
    ({ label, line: { task, init, initLayers, max, mean, deviation, trials, seeds } }) => [
      task,
      label,
      [init, initLayers].filter(Boolean).join(", "),
      formatScore(max),
      formatScore(mean),
      deviation === null ? "-" : (100 * deviation).toFixed(1),
      trials,
      seeds,
    ],
  );
  terminal.print("dev scores in points");
  terminal.print(table(["task", "layers", "init", "max", "mean", "sd", "trials", "seeds"], rows));
  const kept = results.filter(({ run }) => run === null).length;
  if (kept > 0) terminal.print(`${kept} students were not trained: their teachers have no more layers`);
}

/** The choices of a search's front, from the fewest layers, with each task's layers and fork. */
export function printFront({ front }: Pick<SearchOutcome, "front">, terminal: Terminal): void {
  const tasks = front[0]?.tasks.map(({ task }) => task) ?? [];
  const rows = front.map(({ layers, average, tasks: chosen }) => [
    layers,
    formatScore(average),
    ...chosen.map((one) => `${one.layers} on ${one.fork}: ${formatScore(one.score)}`),
  ]);
  terminal.print("\nthe front: the best average dev score in points by layers of the merged model");
  terminal.print(table(["layers", "average", ...tasks], rows));
}
