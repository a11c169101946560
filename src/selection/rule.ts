// A rule applied to all tasks: threshold c, a budget of layers or milliseconds or both, or a named choice; and what
// the rule says of each candidate.

import { usageError } from "../errors/errors";
import { formatLayers } from "../messages/quantities";
import { countLayers } from "../model/overhead";
import { compareScores } from "../tasks/metrics";
import { type Allowance, chooseWithin, depthsOf, fewestBranchLayers, layerAllowance } from "./budget";
import type { Candidate, Decision, TaskCandidates } from "./candidate";
import type { Choice } from "./candidates";
import { type LatencyModel, latencyAllowance, latencyOf } from "./latency";
import { chooseNamed } from "./named";
import { chooseByThreshold } from "./threshold";

/** The best total score within every limit that is given. */
export interface Budget {
  readonly kind: "budget";
  readonly maxLayers?: number;
  readonly latency?: { readonly maxMs: number; readonly model: LatencyModel };
}

export type Rule =
  | { readonly kind: "threshold"; readonly c: number }
  | Budget
  | { readonly kind: "named"; readonly text: string; readonly choiceOf: (task: string) => Choice };

/** One decision a task, in their order. Throws usageError (2) for a budget that no choice meets. */
export function applyRule(tasks: readonly TaskCandidates[], rule: Rule): Decision[] {
  if (rule.kind === "threshold") return tasks.map((task) => chooseByThreshold(task, rule.c));
  if (rule.kind === "named") return tasks.map((task) => chooseNamed(task, rule.choiceOf(task.task)));
  const limits = limitsOf(rule, tasks.length);
  const chosen = chooseWithin(tasks, (depth) => Math.min(...limits.map((limit) => limit(depth))));
  if (!chosen) throw overBudget(tasks, rule);
  return tasks.map(({ task, candidates }, t) => ({
    task,
    candidates,
    chosen: chosen[t] as Candidate,
    notes: candidates.map((candidate) => budgetNote(candidate, t, chosen, rule)),
  }));
}

/** "threshold 1", "at most 33 layers and 12 ms", "kd-2". */
export function describeRule(rule: Rule): string {
  if (rule.kind === "threshold") return `threshold ${rule.c}`;
  if (rule.kind === "named") return rule.text;
  return `at most ${[
    ...(rule.maxLayers === undefined ? [] : [`${rule.maxLayers} layers`]),
    ...(rule.latency ? [`${rule.latency.maxMs} ms`] : []),
  ].join(" and ")}`;
}

function limitsOf({ maxLayers, latency }: Budget, tasks: number): Allowance[] {
  return [
    ...(maxLayers === undefined ? [] : [layerAllowance(maxLayers)]),
    ...(latency ? [latencyAllowance(latency.model, latency.maxMs, tasks)] : []),
  ];
}

/** What a candidate would change in the choice, alone. */
function budgetNote(candidate: Candidate, t: number, chosen: readonly Candidate[], budget: Budget): string {
  const held = chosen[t] as Candidate;
  if (candidate === held) return "chosen with the others";
  const order = compareScores(candidate.score, held.score);
  if (candidate.score === null) return "its score is undefined";
  const points = held.score === null ? "a score" : signed(100 * (candidate.score - held.score));
  if (order < 0) return points;
  if (order === 0) return "the same score";
  const swapped = chosen.map((other, i) => (i === t ? candidate : other));
  return `${points}, but ${excess(swapped, budget).join(" and ")}`;
}

const signed = (points: number) => `${points < 0 ? "" : "+"}${points.toFixed(1)} points`;

/** The limits that a choice is over. */
function excess(chosen: readonly Candidate[], { maxLayers, latency }: Budget): string[] {
  const count = countLayers(chosen);
  const total = count.shared + count.branch;
  const ms = latency ? latencyOf(latency.model, count, chosen.length) : 0;
  return [
    ...(maxLayers !== undefined && total > maxLayers ? [`${total} layers in all, over ${maxLayers}`] : []),
    ...(latency && ms > latency.maxMs ? [`${formatMs(ms)} ms in all, over ${formatMs(latency.maxMs)}`] : []),
  ];
}

/** Three digits that count: 0.512, 4.08, 31.9, 1,203 as 1203. */
export const formatMs = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : String(Number(ms.toPrecision(3))));

function overBudget(tasks: readonly TaskCandidates[], { maxLayers, latency }: Budget): Error {
  const cheapest = depthsOf(tasks)
    .map((shared) => ({ shared, branch: fewestBranchLayers(tasks, shared) }))
    .filter(({ branch }) => Number.isFinite(branch));
  const problems: string[] = [];
  if (maxLayers !== undefined) {
    const [least] = [...cheapest].sort((a, b) => a.shared + a.branch - b.shared - b.branch);
    const { shared, branch } = least as (typeof cheapest)[number];
    if (shared + branch > maxLayers) {
      const layers = `${formatLayers({ shared, layers: shared + branch })} = ${shared + branch}`;
      problems.push(`--max-layers ${maxLayers}: the smallest choice has ${layers}`);
    }
  }
  if (latency) {
    const least = Math.min(...cheapest.map((count) => latencyOf(latency.model, count, tasks.length)));
    if (least > latency.maxMs) {
      problems.push(`--max-latency ${latency.maxMs}: the fastest choice takes ${formatMs(least)} ms`);
    }
  }
  const both = `--max-layers ${maxLayers} and --max-latency ${latency?.maxMs}: no choice meets both`;
  return usageError(`${problems.join("; ") || both}. Give more, or leave out tasks with --task`);
}
