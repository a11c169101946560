// What merge prints: the folder's tasks, what they cost together, and what its check found.

import type { ChosenRun, MergeResult } from "../api/merge/merge";
import { formatBytes } from "../files/atomic";
import type { MergedTask } from "../merge/folder/manifest";
import { formatCount, formatLayers, formatScore } from "../messages/quantities";
import { counted } from "../messages/words";
import { describeOnnx, describePieces } from "./model-check";
import { type Terminal, table } from "./terminal";

/** What a merge would take. */
export function printChoice(chosen: readonly ChosenRun[], terminal: Terminal): void {
  if (terminal.json) terminal.printJson(chosen);
  else {
    const rows = chosen.map(({ task, method, fork, layers, score }) => [
      task,
      method,
      fork ?? "none",
      layers,
      formatScore(score),
    ]);
    terminal.print(table(["task", "method", "fork", "layers", "score"], rows));
  }
}

/** What would stay in a folder. */
export function printRest(out: string, tasks: readonly MergedTask[], terminal: Terminal): void {
  if (terminal.json) terminal.printJson(tasks);
  else terminal.print(`${out} would keep ${tasks.map(({ name }) => name).join(", ") || "no task"}`);
}

export const reportMerged = (merged: MergeResult, terminal: Terminal): void =>
  terminal.json ? terminal.printJson(merged) : printMerged(merged, terminal);

export function printMerged(merged: MergeResult, terminal: Terminal): void {
  const { out, tasks, baseLayers, overhead: cost, saved, onnx, pieces } = merged;
  if (tasks.length === 0) {
    terminal.print(`${out}: no task is left`);
    return;
  }
  const rows = tasks.map((task) => [task.name, task.fork ?? "none", task.layers, formatScore(task.score), task.run]);
  terminal.print(table(["task", "fork", "layers", "dev score", "run"], rows));
  const count = tasks.length;
  terminal.print(
    `\n${out}: ${counted(count, "task")}, ${formatLayers(cost)} = ${cost.layers} of ` +
      `${count} x ${baseLayers} (${(100 * cost.share).toFixed(0)} %)`,
  );
  if (saved) {
    terminal.print(
      `${formatCount(saved.parameters)} parameters (${formatBytes(4 * saved.parameters)}) instead of ` +
        `${formatCount(saved.separateParameters)} (${formatBytes(4 * saved.separateParameters)}) in ${counted(count, "separate model")}`,
    );
  }
  if (onnx) terminal.print(describeOnnx(onnx, tasks));
  for (const line of describePieces(pieces ?? [])) terminal.print(line);
}
