// What select prints: each task's candidates, the choice and why; what a layer costs.

import { type Chosen, millisecondsOf } from "../api/select/select";
import { formatLayers, formatScore } from "../messages/quantities";
import { counted } from "../messages/words";
import type { Decision } from "../selection/candidate";
import type { LatencyModel } from "../selection/latency";
import { formatMs } from "../selection/rule";
import { type Terminal, table } from "./terminal";

export function printChosen(chosen: Chosen, terminal: Terminal): void {
  terminal.print(`${candidateTable(chosen.decisions)}\n`);
  terminal.print(lastLine(chosen));
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

function lastLine({ rule, decisions, summary, latency, pool: { baseLayers } }: Chosen): string {
  const { shared, total, overhead, average } = summary;
  const tasks = counted(decisions.length, "task");
  const layers = `${formatLayers({ shared, layers: total })} = ${total} of ${decisions.length} x ${baseLayers}`;
  const ms = latency ? `, ${formatMs(millisecondsOf(decisions, latency))} ms` : "";
  return `${rule}: ${tasks}, ${layers} (${(100 * overhead).toFixed(1)} %)${ms}, average ${formatScore(average)}`;
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
