// What commands that train print alike: dry-run plans, and the closing line.

import type { TrainingPlan } from "../api/train/plan";
import type { TrainResult } from "../api/train/train";
import { formatBytes } from "../files/atomic";
import { formatCount, formatSeconds } from "../messages/quantities";
import { counted } from "../messages/words";
import { kOf } from "../model/place";
import type { Recipe } from "../recipes/recipe";
import type { SweepPlan } from "../recipes/sweep-plan";
import { type Terminal, table } from "./terminal";

/** "5120", "4980-5120" for several, "-" where no step was taken. */
export function formatRates(rates: readonly (number | null)[]): string {
  const known = rates.flatMap((rate) => (rate === null ? [] : [Math.round(rate)]));
  if (known.length === 0) return "-";
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return least === most ? String(least) : `${least}-${most}`;
}

/** The last line for people: what was trained since `started`, its time, tokens a second, engine. */
export function printSummary({ engine, tasks }: TrainResult, started: string, terminal: Terminal): void {
  const all = tasks.flatMap((trained) => trained.runs);
  const runs = all.filter(({ state }) => state === "finished");
  const stopped = all.length - runs.length;
  const trained = runs.filter(({ finishedAt }) => finishedAt !== null && finishedAt >= started);
  const seconds = trained.reduce((sum, run) => sum + run.seconds, 0);
  const before = runs.length - trained.length;
  const speed =
    trained.length === 0
      ? ""
      : `${formatSeconds(seconds)}, ${formatRates(trained.map((run) => run.tokensPerSecond))} tokens a second, `;
  terminal.print(
    `${counted(trained.length, "run")} trained${before > 0 ? `, ${before} finished before` : ""}` +
      `${stopped > 0 ? `, ${stopped} stopped early` : ""}; ` +
      `${speed}engine ${engine}`,
  );
}

/** The dry run: every trial with parameters, steps, memory and an estimate of its time on this engine. */
export function printPlan(
  { makes }: Recipe,
  plan: TrainingPlan,
  plans: readonly SweepPlan[],
  terminal: Terminal,
): void {
  const { trials, flopsPerSecond, trunkSeconds, totalSeconds, halvedSeconds: halved } = plan;
  const open = trials.filter((trial) => !trial.finished);
  const rows = trials.map((trial) => [
    trial.task,
    kOf(trial, makes),
    trial.seed,
    trial.fork ?? "none",
    formatCount(trial.trainable),
    formatCount(trial.frozen),
    trial.steps,
    formatBytes(trial.memoryBytes),
    trial.finished ? "finished" : formatSeconds(trial.seconds),
  ]);
  terminal.print(table(["task", "layers", "seed", "fork", "trainable", "frozen", "steps", "memory", "estimate"], rows));
  const cache = plans.reduce((largest, plan) => Math.max(largest, plan.cacheBytes), 0);
  terminal.print(
    `\n${open.length} of ${trials.length} trials to run, about ${formatSeconds(totalSeconds)} (${formatSeconds(trunkSeconds)} of it for the ` +
      `frozen layers) at ${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s; up to ${formatBytes(cache)} of trunk activations`,
  );
  if (halved) {
    const range = [halved.least, halved.most].map(formatSeconds).join(" to ");
    terminal.print(`with halving ${range}, depending on which k go on; ties between scores let more of them go on`);
  }
}
