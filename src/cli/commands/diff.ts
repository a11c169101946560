// flexbert diff: how two versions of a merged folder differ.

import { diffVersions, historyOptions } from "../../api/merge/history";
import type { TaskDifference } from "../../merge/history/diff";
import { formatScore } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";

export const diffCommand = defineCommand({
  description:
    "Says which tasks came, went and changed from one version to another, and how: labels, fork, layers, score, run, and " +
    "whether the weights are others.",
  arguments: [
    { name: "<from>", help: "a version's hash, its beginning, or a tag" },
    { name: "[to]", help: "the other one (default the current one)" },
  ],
  options: historyOptions,
  examples: ["diff 1f3a9c02 --merged merged/", "diff prod 77c01be4 --merged merged/ --json"],
  async run(values, terminal, [from = "", to]) {
    const difference = await diffVersions({ ...settingsOf(historyOptions, values), from, to });
    if (terminal.json) return terminal.printJson(difference);
    const { tasks, unchanged, trunk, int8 } = difference;
    terminal.print(`${difference.from} -> ${difference.to}`);
    for (const task of tasks) for (const line of taskLines(task)) terminal.print(line);
    if (trunk) terminal.print(`trunk: ${trunk[0]} -> ${counted(trunk[1], "shared layer")}`);
    if (int8) terminal.print(int8[1] ? "+ int8 weights beside float32" : "- int8 weights");
    const same = unchanged.length > 0 ? `: ${unchanged.join(", ")}` : "";
    terminal.print(`${counted(unchanged.length, "task")} unchanged${same}`);
  },
});

const marks = { added: "+", removed: "-", changed: "~" } as const;

function taskLines({ task, change, weights, labels, said }: TaskDifference): string[] {
  const lines = [`${marks[change]} ${task}${change === "changed" && weights ? ": other weights" : ""}`];
  if (labels) {
    const parts = [
      ...(labels.added.length > 0 ? [`with ${labels.added.join(", ")}`] : []),
      ...(labels.removed.length > 0 ? [`without ${labels.removed.join(", ")}`] : []),
      ...(labels.reordered ? ["in another order"] : []),
    ];
    lines.push(`    labels: ${parts.join("; ")}`);
  }
  for (const [name, [before, after]] of Object.entries(said)) {
    const shown = (value: unknown) => (name === "score" ? formatScore(value as number | null) : plain(value));
    if (change === "changed") lines.push(`    ${name}: ${shown(before)} -> ${shown(after)}`);
    else if (["fork", "layers", "score", "run"].includes(name)) {
      lines.push(`    ${name}: ${shown(change === "added" ? after : before)}`);
    }
  }
  return lines;
}

const plain = (value: unknown) => (value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value));
