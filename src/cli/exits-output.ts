// A task's exits as people read them: what each ramp scores, where texts leave, and by which rule.

import type { TaskExits } from "../api/exits";
import { formatBytes } from "../files/atomic";
import { formatPercent, formatScore, formatSeconds } from "../messages/quantities";
import { counted } from "../messages/words";
import { type Terminal, table } from "./terminal";

export function printExits(decided: TaskExits, terminal: Terminal): void {
  const { task, model, ramps, passedOver, scores, bytes, exits: rule, why, stored } = decided;
  const seeds = passedOver.length > 0 ? `, seed ${ramps.seed} of ${passedOver.length + 1}` : "";
  terminal.print(
    `${task}: ramps on ${counted(scores.length, "layer")}${seeds}, ${formatBytes(bytes)}, trained in ${formatSeconds(ramps.seconds)}: ${ramps.folder}`,
  );
  const asked = (layer: number) => {
    const at = rule?.stops.indexOf(layer) ?? -1;
    return at < 0 ? "" : String(rule?.measured.left[at]);
  };
  const rows = scores.map(({ layer, score }) => [layer, formatScore(score), asked(layer)]);
  terminal.print(table(["layers", "dev score", "rows that leave"], [...rows, ["all", formatScore(model.score), ""]]));
  const look = stored
    ? ""
    : `\n${task}: a look at some of the dev rows. What was decided before stays; leave out --max-eval-samples`;
  terminal.print(`${describeRule(decided) ?? `${task}: no exits: ${why}`}${look}\n`);
}

function describeRule({ task, exits, model, curve, kept }: TaskExits): string | null {
  if (!exits) return null;
  const { criterion, threshold, promise, budget, measured } = exits;
  const { layers, top, counted: all, lost } = measured;
  const why = promise
    ? `keeps ${formatPercent(promise.keep)} with a confidence of ${formatPercent(promise.confidence)}`
    : `takes at most ${budget} layers on average`;
  const score = curve.find((point) => point.threshold === threshold)?.score ?? null;
  return (
    `${task}: texts leave where the ${criterion} is at most ${threshold.toPrecision(3)}, which ${why}. On dev a row takes ${layers.toFixed(2)} of ` +
    `${top} layers, the score is ${formatScore(score)} for ${formatScore(model.score)}, and ${Number(lost.toPrecision(3))} of ${all} are lost (${kept})`
  );
}
