// flexbert exits: ramps on the layers under the top of a task's run, and where texts may leave by them.

import { exits, exitsOptions, type PlannedExits, planExits, type TaskExits } from "../../api/exits";
import { formatBytes } from "../../files/atomic";
import { formatCount, formatScore, formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { settingsOf } from "../../options/settings";
import { configOption, dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const exitsCommand = defineCommand({
  description:
    "Trains ramps, a pooler and a head each, on every layer under the top of each task's run, its trunk's layers too; the run and all " +
    "other tasks stay as they are.\nThen chooses on dev where texts leave: the largest threshold of which it is sure (--confidence) " +
    "that so much of what the whole model answers rightly stays right (--keep), or the one that takes so many layers (--budget). " +
    "What is trained stays: another --keep is decided in a moment.\nflexbert predict --model RUN then leaves early by them.",
  options: { ...exitsOptions, ...configOption, ...dryRun },
  examples: [
    "exits --task sst2",
    "exits --task sst2,mrpc --keep 99 --confidence 95",
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

function printExits(decided: TaskExits, terminal: Terminal): void {
  const { task, model, ramps, scores, bytes, exits: rule, why } = decided;
  terminal.print(
    `${task}: ramps on ${counted(scores.length, "layer")}, ${formatBytes(bytes)}, trained in ${formatSeconds(ramps.seconds)}: ${ramps.folder}`,
  );
  const asked = (layer: number) => {
    const at = rule?.stops.indexOf(layer) ?? -1;
    return at < 0 ? "" : String(rule?.measured.left[at]);
  };
  const rows = scores.map(({ layer, score }) => [layer, formatScore(score), asked(layer)]);
  terminal.print(table(["layers", "dev score", "rows that leave"], [...rows, ["all", formatScore(model.score), ""]]));
  terminal.print(`${rule ? describeRule(rule) : `${task}: no exits: ${why}`}\n`);
}

function describeRule({ criterion, threshold, promise, budget, measured }: NonNullable<TaskExits["exits"]>): string {
  const { layers, top, counted: all, lost } = measured;
  const took = `on dev a row takes ${layers.toFixed(2)} of ${top} layers, and ${Number(lost.toPrecision(3))} of ${all} are lost`;
  const percent = (share: number) => `${Number((100 * share).toPrecision(6))} %`;
  const why = promise
    ? `keeps ${percent(promise.keep)} with a confidence of ${percent(promise.confidence)}`
    : `within ${budget} layers`;
  return `${criterion} at most ${threshold.toPrecision(3)}, which ${why}: ${took}`;
}
