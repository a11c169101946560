// What finetune and distill print alike: runs as JSON, dry-run plans, and the closing line.

import type { RunSummary } from "../api/runs";
import { type EngineValues, openSession } from "../api/session";
import type { Engine } from "../engines/engine";
import { formatBytes } from "../files/atomic";
import { formatCount, formatSeconds } from "../messages/quantities";
import { counted } from "../messages/words";
import { kOf } from "../model/place";
import type { Plan } from "../recipes/plan";
import { type Terminal, table } from "./terminal";

/** "5120", "4980-5120" for several, "-" where no step was taken. */
export function formatRates(rates: readonly (number | null)[]): string {
  const known = rates.flatMap((rate) => (rate === null ? [] : [Math.round(rate)]));
  if (known.length === 0) return "-";
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return least === most ? String(least) : `${least}-${most}`;
}

interface TaskResult {
  readonly task: string;
  readonly runs: readonly RunSummary[];
}

/** The result as JSON, or the last line for people: what was trained since `started`, its time, tokens a second, engine. */
export function printSummary(
  results: readonly TaskResult[],
  started: string,
  engine: Engine,
  terminal: Terminal,
): void {
  if (terminal.json) {
    terminal.printJson({ engine: engine.summary, threads: engine.threads, tasks: results });
    return;
  }
  const all = results.flatMap((result) => result.runs);
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
      `${speed}engine ${engine.summary}`,
  );
}

/** Products reach about this share of their peak inside a step, beside everything that memory bounds. */
export const SUSTAINED_SHARE = 0.5;

/** Floating-point work a second that training does on an engine, for estimates. */
export async function sustainedRate(engine: Engine): Promise<number> {
  const { gemmRate } = await import("../engines/gemm-rate.js");
  return SUSTAINED_SHARE * (await gemmRate(engine));
}

/** The dry run: every trial with parameters, steps, memory and an estimate of its time on this engine. */
export async function printPlans(plans: readonly Plan[], values: EngineValues, terminal: Terminal): Promise<void> {
  const { engine } = await openSession(values, terminal);
  const flopsPerSecond = await sustainedRate(engine);
  const trials = plans.flatMap((plan) =>
    plan.trials.map(({ task, folder, layers, fork, ...trial }) => ({
      ...{ task, folder, layers, full: fork === null, fork, ...trial },
      seconds: trial.flops / flopsPerSecond,
    })),
  );
  const trunkSeconds = plans.reduce((sum, plan) => sum + plan.trunkFlops, 0) / flopsPerSecond;
  const open = trials.filter((trial) => !trial.finished);
  const total = open.reduce((sum, trial) => sum + trial.seconds, trunkSeconds);
  const halved = halvedSeconds(plans, flopsPerSecond, trunkSeconds);
  if (terminal.json) {
    const halvedTotal = halved ? { halvedSeconds: halved } : {};
    terminal.printJson({
      engine: engine.summary,
      flopsPerSecond,
      trunkSeconds,
      totalSeconds: total,
      ...halvedTotal,
      trials,
    });
    return;
  }
  const rows = trials.map((trial) => [
    trial.task,
    kOf(trial),
    trial.seed,
    formatCount(trial.trainable),
    formatCount(trial.frozen),
    trial.steps,
    formatBytes(trial.memoryBytes),
    trial.finished ? "finished" : formatSeconds(trial.seconds),
  ]);
  terminal.print(table(["task", "layers", "seed", "trainable", "frozen", "steps", "memory", "estimate"], rows));
  const cache = plans.reduce((largest, plan) => Math.max(largest, plan.cacheBytes), 0);
  terminal.print(
    `\n${open.length} of ${trials.length} trials to run, about ${formatSeconds(total)} (${formatSeconds(trunkSeconds)} of it for the ` +
      `frozen layers) at ${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s; up to ${formatBytes(cache)} of trunk activations`,
  );
  if (halved) {
    const range = [halved.least, halved.most].map(formatSeconds).join(" to ");
    terminal.print(`with halving ${range}, depending on which k go on; ties between scores let more of them go on`);
  }
}

/** The least and the most that halving leaves of the plans' time, the frozen layers included; null without halving. */
function halvedSeconds(plans: readonly Plan[], flopsPerSecond: number, trunkSeconds: number) {
  if (!plans.some(({ halved }) => halved)) return null;
  const sum = (bound: "least" | "most") => plans.reduce((flops, { halved }) => flops + (halved?.[bound] ?? 0), 0);
  return {
    least: trunkSeconds + sum("least") / flopsPerSecond,
    most: trunkSeconds + sum("most") / flopsPerSecond,
  };
}
