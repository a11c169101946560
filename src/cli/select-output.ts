// What select prints: each task's candidates, the choice and why; what a layer costs.

import path from "node:path";
import { bytesOfChoice, type Chosen, millisecondsOf, teachersAverage } from "../api/select/select";
import { formatBytes } from "../files/atomic";
import { formatLayers, formatScore } from "../messages/quantities";
import { counted } from "../messages/words";
import type { Candidate, Decision } from "../selection/candidate";
import type { CrossAverage, CrossChoice, Crossed } from "../selection/cross";
import type { LatencyModel } from "../selection/latency";
import { formatMs } from "../selection/rule";
import { type Terminal, table } from "./terminal";

export function printChosen(chosen: Chosen, terminal: Terminal): void {
  terminal.print(`${candidateTable(chosen.decisions)}\n`);
  terminal.print(lastLine(chosen));
  if (chosen.crossed) printCrossed(chosen.crossed, terminal);
}

/** What each half of the dev rows chose, and what that scores on the other half. */
function printCrossed(crossed: Crossed, terminal: Terminal): void {
  const choice = ({ role, fork, layers, chosenOn, score }: CrossChoice) => [
    `${role} of ${layers} above ${fork ?? "none"}`,
    formatScore(chosenOn),
    formatScore(score),
  ];
  const rows = crossed.tasks.map(({ task, choices, score, maximum }) => [
    task,
    ...choices.flatMap(choice),
    formatScore(score),
    formatScore(maximum),
  ]);
  const head = ["task", "half 1 chooses", "on it", "on half 2", "half 2 chooses", "on it", "on half 1"];
  terminal.print(`\n${table([...head, "crossed", "maximum"], rows)}\n`);
  const both = (name: string, one: CrossAverage | null) =>
    one ? [`${name} ${formatScore(one.score)} (${formatScore(one.maximum)})`] : [];
  const { layers, teachers, full } = crossed;
  terminal.print(
    `crossed: ${[
      `average ${formatScore(crossed.score)} in ${[...new Set(layers)].join(" and ")} layers`,
      `the maximum on dev, which choosing inflates: ${formatScore(crossed.maximum)}`,
      ...both("teachers", teachers),
      ...both("full fine-tuning", full),
    ].join(", ")}`,
  );
}

function candidateTable(decisions: readonly Decision[]): string {
  const taught = decisions.some(({ candidates }) => candidates.some(({ run }) => run?.record.teacher));
  const rows = decisions.flatMap(({ task, candidates, chosen, notes }) =>
    candidates.map((candidate, i) => [
      task,
      candidate.role,
      candidate.layers,
      candidate.fork ?? "none",
      ...(taught ? [nameOf(candidate)] : []),
      formatScore(candidate.score),
      candidate === chosen ? "*" : "",
      notes[i] ?? "",
    ]),
  );
  const teacher = taught ? ["teacher"] : [];
  return table(["task", "candidate", "layers", "fork", ...teacher, "score", "chosen", "why"], rows);
}

/** The folder of a student's teacher, which says its k, its seed and its id. */
const nameOf = ({ run }: Candidate): string => path.basename(run?.record.teacher?.folder ?? "");

function lastLine(chosen: Chosen): string {
  const { rule, decisions, summary, latency, pool } = chosen;
  const { baseLayers, tasks: candidates } = pool;
  const { shared, total, overhead, average } = summary;
  const tasks = counted(decisions.length, "task");
  const layers = `${formatLayers({ shared, layers: total })} = ${total} of ${decisions.length} x ${baseLayers}`;
  const ms = latency ? `, ${formatMs(millisecondsOf(decisions, latency))} ms` : "";
  const bytes = bytesOfChoice(chosen);
  const size = bytes === null ? "" : `, ${formatBytes(bytes)}`;
  const teachers = teachersAverage(candidates);
  // A table names no teacher: its largest candidate stands for one.
  const named = pool.base !== null || rule.startsWith("keep");
  const isShare = named && average !== null && teachers !== null && teachers > 0;
  const kept = isShare
    ? `, ${((100 * average) / teachers).toFixed(1)} % of the teachers' ${formatScore(teachers)}`
    : "";
  return `${rule}: ${tasks}, ${layers} (${(100 * overhead).toFixed(1)} %)${size}${ms}, average ${formatScore(average)}${kept}`;
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
