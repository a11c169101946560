// The front of a search as CSV: a line a choice, with each task's place and score. Scores are fractions.

import { unparse } from "papaparse";
import type { FrontChoice } from "./search";

export function frontCsv(front: readonly FrontChoice[]): string {
  const tasks = front[0]?.tasks.map(({ task }) => task) ?? [];
  const fields = ["layers", "average", ...tasks.flatMap((task) => [`${task}_fork`, `${task}_layers`, `${task}_score`])];
  const rows = front.map(({ layers, average, tasks: chosen }) => [
    layers,
    average,
    ...chosen.flatMap((one) => [one.fork, one.layers, one.score]),
  ]);
  return `${unparse({ fields, data: rows }, { newline: "\n" })}\n`;
}
