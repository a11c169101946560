// A rule applied to all tasks: threshold c, a joint choice (a price of layers, a share of the teachers' average, or a budget
// of layers, milliseconds and bytes), or a named choice; and what the rule says of each candidate.

import { usageError } from "../errors/errors";
import { formatBytes } from "../files/atomic";
import { formatLayers } from "../messages/quantities";
import { countLayers } from "../model/overhead";
import { compareScores } from "../tasks/metrics";
import { type Allowance, chooseWithin, depthsOf, fewestBranchLayers, layerAllowance, stepsOf } from "./budget";
import { type Candidate, type Decision, type TaskCandidates, teacherScore } from "./candidate";
import type { Choice } from "./candidates";
import { jointNote } from "./joint-notes";
import { type LatencyModel, latencyAllowance, latencyOf } from "./latency";
import { chooseNamed } from "./named";
import { countedScores } from "./noise";
import { bytesOf, type SizeModel, sizeAllowance } from "./size";
import { chooseByThreshold } from "./threshold";

/** The best choice over all tasks together within every limit that is given. */
export interface Budget {
  readonly kind: "budget";
  /** Points that a layer of the merged model must be worth. */
  readonly price?: number;
  /** The share of the teachers' average to be kept, in %: the fewest layers that do, instead of the most points. */
  readonly keep?: number;
  readonly maxLayers?: number;
  readonly latency?: { readonly maxMs: number; readonly model: LatencyModel };
  readonly size?: { readonly maxBytes: number; readonly model: SizeModel };
}

export type Rule = (
  | { readonly kind: "threshold"; readonly c: number }
  | Budget
  | { readonly kind: "named"; readonly text: string; readonly choiceOf: (task: string) => Choice }
) & {
  /** Counts scores within the seeds' noise as one (noise.ts). */
  readonly withinNoise?: boolean;
};

/**
 * One decision a task, in their order. Throws usageError (2) for limits that no choice meets, and for a share of the
 * teachers' average that none keeps.
 */
export function applyRule(tasks: readonly TaskCandidates[], rule: Rule): Decision[] {
  if (rule.kind === "named") return tasks.map((task) => chooseNamed(task, rule.choiceOf(task.task)));
  const counted = new Map(rule.withinNoise ? tasks.flatMap((task) => [...countedScores(task)]) : []);
  const countedOf = (one: Candidate) => (counted.has(one) ? (counted.get(one) as number | null) : one.score);
  if (rule.kind === "threshold") {
    return tasks.map((task) =>
      rule.withinNoise ? thresholdWithin(task, rule.c, countedOf) : chooseByThreshold(task, rule.c),
    );
  }
  const limits = limitsOf(rule, tasks.length);
  const chosen = chooseWithin(tasks, (depth) => Math.min(Number.MAX_SAFE_INTEGER, ...limits.map((one) => one(depth))), {
    counted: countedOf,
    ...(rule.price === undefined ? {} : { price: rule.price }),
    ...(rule.keep === undefined ? {} : { floor: floorOf(tasks, rule.keep) }),
  });
  if (!chosen) throw overBudget(tasks, rule);
  const excess = (choice: readonly Candidate[]) => excessOf(choice, rule);
  return tasks.map(({ task, candidates }, t) => ({
    task,
    candidates,
    chosen: chosen[t] as Candidate,
    notes: candidates.map((candidate) => jointNote(candidate, t, chosen, { ...rule, tasks, countedOf, excess })),
  }));
}

/** The rule over the scores that count; of equal ones the better as measured comes first. */
function thresholdWithin(task: TaskCandidates, c: number, countedOf: (one: Candidate) => number | null): Decision {
  const order = [...task.candidates].sort((a, b) => compareScores(b.score, a.score));
  const counted = order.map((one) => ({ ...one, score: countedOf(one) }));
  const { chosen, notes } = chooseByThreshold({ ...task, candidates: counted }, c);
  return {
    task: task.task,
    candidates: task.candidates,
    chosen: order[counted.indexOf(chosen)] as Candidate,
    notes: task.candidates.map((one) => notes[order.indexOf(one)] as string),
  };
}

/** The steps that a choice's scores must add up to: exact, whatever the share. */
function floorOf(tasks: readonly TaskCandidates[], keep: number): number {
  const teachers = tasks.map((task) => {
    const score = teacherScore(task);
    if (score === undefined) throw usageError(`--keep ${keep}: ${task.task} has no teacher to keep a share of`);
    if (score === null) throw usageError(`--keep ${keep}: the score of ${task.task}'s teacher is undefined`);
    return stepsOf(score);
  });
  const sum = teachers.reduce((total, score) => total + score, 0);
  if (sum <= 0) throw usageError(`--keep ${keep}: the teachers' average is not above 0, so there is no share to keep`);
  const [share, whole] = [BigInt(Math.round(keep * 1e6)), 100_000_000n];
  return Number((share * BigInt(sum) + whole - 1n) / whole);
}

/** "threshold 1", "at most 33 layers and 12 ms", "price 0.5, at most 40 ms", "keep 99.6 %", "kd-2". */
export function describeRule(rule: Rule): string {
  const noise = rule.withinNoise ? ", within noise" : "";
  if (rule.kind === "threshold") return `threshold ${rule.c}${noise}`;
  if (rule.kind === "named") return rule.text;
  const { price, keep, maxLayers, latency, size } = rule;
  const limits = [
    ...(maxLayers === undefined ? [] : [`${maxLayers} layers`]),
    ...(latency ? [`${latency.maxMs} ms`] : []),
    ...(size ? [formatBytes(size.maxBytes)] : []),
  ];
  const goal = [
    ...(price === undefined ? [] : [`price ${price}`]),
    ...(keep === undefined ? [] : [`keep ${keep} %`]),
    ...(limits.length === 0 ? [] : [`at most ${limits.join(" and ")}`]),
  ];
  return goal.join(", ") + noise;
}

function limitsOf({ maxLayers, latency, size }: Budget, tasks: number): Allowance[] {
  return [
    ...(maxLayers === undefined ? [] : [layerAllowance(maxLayers)]),
    ...(latency ? [latencyAllowance(latency.model, latency.maxMs, tasks)] : []),
    ...(size ? [sizeAllowance(size.model, size.maxBytes)] : []),
  ];
}

/** The limits that a choice is over. */
function excessOf(chosen: readonly Candidate[], { maxLayers, latency, size }: Budget): string[] {
  const count = countLayers(chosen);
  const total = count.shared + count.branch;
  const ms = latency ? latencyOf(latency.model, count, chosen.length) : 0;
  const bytes = size ? bytesOf(size.model, total) : 0;
  return [
    ...(maxLayers !== undefined && total > maxLayers ? [`${total} layers in all, over ${maxLayers}`] : []),
    ...(latency && ms > latency.maxMs ? [`${formatMs(ms)} ms in all, over ${formatMs(latency.maxMs)}`] : []),
    ...(size && bytes > size.maxBytes ? [`${formatBytes(bytes)} in all, over ${formatBytes(size.maxBytes)}`] : []),
  ];
}

/** Three digits that count: 0.512, 4.08, 31.9, 1,203 as 1203. */
export const formatMs = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : String(Number(ms.toPrecision(3))));

function overBudget(tasks: readonly TaskCandidates[], rule: Budget): Error {
  const { maxLayers, latency, size, keep } = rule;
  const cheapest = depthsOf(tasks)
    .map((shared) => ({ shared, branch: fewestBranchLayers(tasks, shared) }))
    .filter(({ branch }) => Number.isFinite(branch));
  const [least] = [...cheapest].sort((a, b) => a.shared + a.branch - b.shared - b.branch);
  const { shared, branch } = least as (typeof cheapest)[number];
  const problems: string[] = [];
  if (maxLayers !== undefined && shared + branch > maxLayers) {
    const layers = `${formatLayers({ shared, layers: shared + branch })} = ${shared + branch}`;
    problems.push(`--max-layers ${maxLayers}: the smallest choice has ${layers}`);
  }
  if (latency) {
    const fastest = Math.min(...cheapest.map((count) => latencyOf(latency.model, count, tasks.length)));
    if (fastest > latency.maxMs) {
      problems.push(`--max-latency ${latency.maxMs}: the fastest choice takes ${formatMs(fastest)} ms`);
    }
  }
  if (size && bytesOf(size.model, shared + branch) > size.maxBytes) {
    const smallest = formatBytes(bytesOf(size.model, shared + branch));
    problems.push(`--max-bytes ${size.maxBytes}: the smallest choice has ${smallest}`);
  }
  if (problems.length === 0 && keep !== undefined) return outOfReach(tasks, rule, keep);
  const given = [
    ...(maxLayers === undefined ? [] : [`--max-layers ${maxLayers}`]),
    ...(latency ? [`--max-latency ${latency.maxMs}`] : []),
    ...(size ? [`--max-bytes ${size.maxBytes}`] : []),
  ];
  const together = `${given.join(" and ")}: no choice meets ${given.length === 2 ? "both" : "all"}`;
  return usageError(`${problems.join("; ") || together}. Give more, or leave out tasks with --task`);
}

/** What the limits leave of the teachers' average is less than was to be kept. */
function outOfReach(tasks: readonly TaskCandidates[], { keep: _, ...rule }: Budget, keep: number): Error {
  const best = applyRule(tasks, rule).map(({ chosen }) => chosen.score ?? 0);
  const teachers = tasks.map((task) => teacherScore(task) ?? 0);
  const sum = (scores: readonly number[]) => scores.reduce((total, score) => total + score, 0);
  const most = ((100 * sum(best)) / sum(teachers)).toFixed(2);
  return usageError(
    `--keep ${keep}: no choice keeps so much of the teachers' average; the best keeps ${most} %. Ask for less`,
  );
}
