// What `run` and `plan` print: the plan's trials, and the tables of scores.

import type { LeftWork, ListedTrial, Listing } from "../experiment/listing";
import type { ScoreTable } from "../experiment/results";
import type { SearchOutcome } from "../experiment/search/search";
import { formatBytes } from "../files/atomic";
import { formatScore, formatSeconds } from "../messages/quantities";
import { startOf } from "../recipes/recipe";
import { tableInPieces } from "./pieces";
import { type Terminal, table } from "./terminal";

export const experimentArgument = [{ name: "<file>", help: "the experiment, such as experiments/smoke.yaml" }] as const;

export interface PrintedPlan {
  trial(trial: ListedTrial): void;
  end(left: LeftWork): void;
}

/** The plan for people, trial by trial. `flopsPerSecond` gives times, where it was measured. */
export function planTable(flopsPerSecond: number | null, terminal: Terminal): PrintedPlan {
  const time = (flops: number) => (flopsPerSecond === null ? [] : [formatSeconds(flops / flopsPerSecond)]);
  const head = ["trial", "step", "task", "layers", "init", "seed", "rate", "epochs", "steps", "disk"];
  const rows = tableInPieces([...head, ...(flopsPerSecond === null ? [] : ["time"]), "id", "state"], terminal);
  return {
    trial({ spec, id, state, flops, steps, bytes }) {
      rows.add([
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
    },
    end({ count, open, waiting, openFlops, openBytes }) {
      rows.end();
      const rate = flopsPerSecond === null ? "" : ` at ${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`;
      terminal.print(
        `\n${open} of ${count} trials to train${waiting > 0 ? ` (${waiting} wait for teachers)` : ""}: ` +
          `${(openFlops / 1e12).toFixed(1)} TFLOP${flopsPerSecond === null ? "" : `, about ${formatSeconds(openFlops / flopsPerSecond)}`}${rate}; ` +
          `up to ${formatBytes(openBytes)} of disk`,
      );
    },
  };
}

/** The same of a listing that is there. */
export function printListing(listing: Listing, flopsPerSecond: number | null, terminal: Terminal): void {
  const printed = planTable(flopsPerSecond, terminal);
  for (const trial of listing.trials) printed.trial(trial);
  printed.end(listing);
}

/** Scores by task and layers, in points. */
export function printScores(scores: ScoreTable, terminal: Terminal): void {
  const rows = scores
    .lines()
    .map(({ label, line: { task, init, initLayers, max, mean, deviation, trials, seeds } }) => [
      task,
      label,
      [init, initLayers].filter(Boolean).join(", "),
      formatScore(max),
      formatScore(mean),
      deviation === null ? "-" : (100 * deviation).toFixed(1),
      trials,
      seeds,
    ]);
  terminal.print("dev scores in points");
  terminal.print(table(["task", "layers", "init", "max", "mean", "sd", "trials", "seeds"], rows));
  const { unneeded } = scores.counts;
  if (unneeded > 0) terminal.print(`${unneeded} students were not trained: their teachers have no more layers`);
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
