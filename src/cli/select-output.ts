// What select prints and writes: each task's candidates, the choice and why; the choice for merge.

import type { CandidatePool } from "../api/select/candidates";
import { formatScore } from "../messages/quantities";
import { countLayers, type Decision, type Summary } from "../selection/candidate";
import { type LatencyModel, latencyOf } from "../selection/latency";
import { formatMs } from "../selection/rule";
import { SELECTION_FORMAT, toSelectedTask, writeSelection } from "../selection/selection-file";
import { type Terminal, table } from "./terminal";

export interface SelectionResult {
  readonly rule: string;
  /** At least one. */
  readonly decisions: readonly Decision[];
  readonly summary: Summary;
  /** The cost model, where the rule uses one. */
  readonly latency: LatencyModel | null;
}

export function printSelection(result: SelectionResult, pool: CandidatePool, terminal: Terminal): void {
  if (terminal.json) terminal.printJson(toJson(result, pool));
  else {
    terminal.print(`${candidateTable(result.decisions)}\n`);
    terminal.print(lastLine(result, pool));
  }
}

/** Writes what merge --select reads. Scores are fractions there, as in every file. */
export async function writeResult(
  file: string,
  { rule, decisions, summary }: SelectionResult,
  { base }: CandidatePool,
  checkpoints: string,
): Promise<void> {
  const tasks = decisions.map((decision) => toSelectedTask(decision, checkpoints));
  await writeSelection(file, { format: SELECTION_FORMAT, rule, base, tasks, ...summary });
}

function candidateTable(decisions: readonly Decision[]): string {
  const rows = decisions.flatMap(({ task, candidates, chosen, notes }) =>
    candidates.map((candidate, i) => [
      task,
      candidate.role,
      candidate.layers,
      candidate.fork ?? "none",
      formatScore(candidate.score),
      candidate === chosen ? "*" : "",
      notes[i] ?? "",
    ]),
  );
  return table(["task", "candidate", "layers", "fork", "score", "chosen", "why"], rows);
}

function lastLine({ rule, decisions, summary, latency }: SelectionResult, { baseLayers }: CandidatePool): string {
  const { shared, total, overhead, average } = summary;
  const tasks = `${decisions.length} ${decisions.length === 1 ? "task" : "tasks"}`;
  const layers = `${shared} shared + ${total - shared} task layers = ${total} of ${decisions.length} x ${baseLayers}`;
  const ms = latency ? `, ${formatMs(millisecondsOf(decisions, latency))} ms` : "";
  return `${rule}: ${tasks}, ${layers} (${(100 * overhead).toFixed(1)} %)${ms}, average ${formatScore(average)}`;
}

function millisecondsOf(decisions: readonly Decision[], latency: LatencyModel): number {
  const chosen = decisions.map((decision) => decision.chosen);
  return latencyOf(latency, countLayers(chosen), chosen.length);
}

function toJson({ rule, decisions, summary, latency }: SelectionResult, { unit }: CandidatePool) {
  // To ten digits: 71.5 points went through fractions and should not come back as 71.50000000000001.
  const inUnit = (score: number | null) =>
    score === null || unit === "fractions" ? score : Number((100 * score).toFixed(10));
  const tasks = decisions.map(({ task, candidates, chosen, notes }) => ({
    task,
    fork: chosen.fork,
    layers: chosen.layers,
    score: inUnit(chosen.score),
    role: chosen.role,
    run: chosen.run?.folder ?? null,
    why: notes[candidates.indexOf(chosen)] ?? "",
    candidates: candidates.map((candidate, i) => ({
      fork: candidate.fork,
      layers: candidate.layers,
      score: inUnit(candidate.score),
      role: candidate.role,
      run: candidate.run?.folder ?? null,
      chosen: candidate === chosen,
      why: notes[i] ?? "",
    })),
  }));
  const { shared, total, overhead, average } = summary;
  const cost = latency ? { latencyMs: millisecondsOf(decisions, latency) } : {};
  return { rule, unit, tasks, shared, total, overhead, average: inUnit(average), ...cost };
}

export function printLatency(model: LatencyModel, terminal: Terminal): void {
  if (terminal.json) {
    terminal.printJson(model);
    return;
  }
  const rows = [
    ["a shared layer", formatMs(model.sharedLayerMs)],
    ["a branch layer", formatMs(model.branchLayerMs)],
    ["a task's topmost layer and head", formatMs(model.topLayerMs)],
    ["embeddings and the call", formatMs(model.fixedMs)],
  ];
  terminal.print(table(["part", "ms"], rows));
}
