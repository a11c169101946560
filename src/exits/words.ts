// A rule in words, the same in the model card, `inspect` and `quantize`.

import { formatPercent } from "../messages/quantities";
import type { DecidedExits } from "./exits";

/** "texts leave after layer 2 or 3 where entropy is at most 0.123: 99 % kept with a confidence of 95 %, 3.20 of 6 layers on dev rows". */
export function ruleInWords({ criterion, threshold, stops, promise, budget, measured }: DecidedExits): string {
  const kept = promise
    ? `${formatPercent(promise.keep)} kept with a confidence of ${formatPercent(promise.confidence)}`
    : null;
  const within = budget === undefined ? null : `chosen for ${budget} layers`;
  const found = `${measured.layers.toFixed(2)} of ${measured.top} layers on ${measured.rows} dev rows`;
  const how = [kept ?? within, found].filter((part) => part !== null).join(", ");
  return `texts leave after layer ${stops.join(" or ")} where ${criterion} is at most ${threshold.toPrecision(3)}: ${how}`;
}
