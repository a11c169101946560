// Numbers and provenance in words, the same in every part of the report.

import { formatScore } from "../messages/quantities";
import { counted } from "../messages/words";
import { kinds } from "../tasks/kinds";
import type { Spread } from "../tasks/scores";
import type { Arm } from "./arms";
import type { TaskResults } from "./collect";
import type { Comparison } from "./statistics";

/** A fraction in points, or a dash where it is undefined. */
export const points = (score: number | null): string => formatScore(score, "–");

/** "67.1 ± 0.8", or "67.1, 1 seed". */
export function spreadText(spread: Spread | null, seeds: number): string {
  if (spread === null) return "undefined";
  return spread.sd === null ? `${seeds} seed` : `${points(spread.mean)} ± ${points(spread.sd)}`;
}

export function signedPoints(difference: number): string {
  const text = (100 * difference).toFixed(1);
  return Number(text) > 0 ? `+${text}` : text.replace("-", "−");
}

const metricNames = new Map(
  Object.values(kinds).flatMap(({ metrics }) => Object.entries(metrics).map(([name, { title }]) => [name, title])),
);

export const metricName = (metric: string): string => metricNames.get(metric) ?? metric;

/** "split: dev; metric: accuracy (RTE, SST-2), Pearson correlation (STS-B); 5 seeds". What every figure ends with. */
export function provenance(tasks: readonly Pick<TaskResults, "title" | "metric">[], arms: readonly Arm[]): string {
  const byMetric = new Map<string, string[]>();
  for (const { title, metric } of tasks) byMetric.set(metric, [...(byMetric.get(metric) ?? []), title]);
  const metrics = [...byMetric].map(([metric, titles]) =>
    byMetric.size === 1 ? metricName(metric) : `${metricName(metric)} (${titles.join(", ")})`,
  );
  return `Split: dev. Metric, in points: ${metrics.join(", ")}. ${seedsText(arms)}.`;
}

/** "5 seeds", "1 to 5 seeds". */
export function seedsText(arms: readonly Arm[]): string {
  const counts = arms.map(({ scores }) => scores.size);
  if (counts.length === 0) return "No seeds";
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? counted(most, "seed") : `${least} to ${most} seeds`;
}

/** What a comparison says, in a few words. */
export function verdictText({ verdict, halfWidth, pairs }: Comparison): string {
  if (verdict === "clear") return `beyond the noise (± ${points(halfWidth)}, ${pairs} seeds)`;
  if (verdict === "noise") return `inside the noise (± ${points(halfWidth)}, ${pairs} seeds)`;
  if (pairs < 2) return pairs === 1 ? "noise unknown (1 seed)" : "noise unknown (no seed in common)";
  return `noise unknown (all ${pairs} seeds differ alike)`;
}

/** How verdicts are found; below every table that has them. */
export const noiseNote =
  "Noise: differences are paired over seeds; one is inside the noise where it is smaller than half the width of its 95 % " +
  "interval (Student's t). Seeds are the only noise that is measured: the dev rows are the same in all runs.";

export const listOf = (items: readonly (string | number)[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
