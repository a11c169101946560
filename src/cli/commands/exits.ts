// flexbert exits: ramps on the layers under the top of a task's run, and where texts may leave by them.

import { exits, exitsOptions, type PlannedExits, planExits } from "../../api/exits";
import { formatBytes } from "../../files/atomic";
import { formatCount } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { configOption, dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { printExits } from "../exits-output";
import { type Terminal, table } from "../terminal";

export const exitsCommand = defineCommand({
  description:
    "Trains ramps, a pooler and a head each, on every layer under the top of each task's run, its trunk's layers too; the run and all " +
    "other tasks stay as they are.\nThen decides on dev where texts leave: by the largest threshold of which it is sure (--confidence) " +
    "that so much of what the whole model answers rightly stays right (--keep), or the one that loses least within so many layers " +
    "(--budget). What is trained stays: another --keep is decided in a moment, and the last decision counts.\nflexbert predict --model " +
    "RUN then leaves early by it; merge takes along the ramps of the runs that it merges (--select chooses those here too).",
  options: { ...exitsOptions, ...configOption, ...dryRun },
  examples: [
    "exits --task sst2",
    "exits --task sst2,mrpc --keep 99 --confidence 95",
    "exits --select mixed.json",
    "exits --task sst2 --criterion probability --budget 3.5",
    "exits --run checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d --epochs 10",
  ],
  async run(values, terminal) {
    const options = settingsOf(exitsOptions, values);
    if (values.dryRun) {
      const planned = await planExits(options, terminal);
      if (terminal.json) terminal.printJson(planned);
      else printPlanned(planned, terminal);
      return;
    }
    const result = await exits(options, terminal, (decided) => {
      if (!terminal.json) printExits(decided, terminal);
    });
    if (terminal.json) terminal.printJson(result);
    else terminal.print(`engine ${result.engine}`);
  },
});

function printPlanned(planned: readonly PlannedExits[], terminal: Terminal): void {
  const rows = planned.map((one) => [
    one.task,
    one.seed,
    `${one.layers[0]}-${one.layers.at(-1)}`,
    formatCount(one.parameters),
    formatBytes(one.bytes),
    one.steps,
    formatBytes(one.stateBytes),
    one.finished ? "finished" : "to train",
  ]);
  terminal.print(table(["task", "seed", "layers", "parameters", "size", "steps", "read once", ""], rows));
}
