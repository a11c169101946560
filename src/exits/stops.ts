// Which ramps are asked. Each costs something: the stretch of layers under it runs as a piece of its own, and so does the ramp. Ramps
// that do not pay are left out, by what a row is predicted to cost alone; the choice looks at train rows, so that dev rows, which
// test the threshold, have no part in it.

import type { ExitJudge, ExitOutputs } from "./thresholds";
import { doubtsAt, leavesAt, measure } from "./thresholds";

/** What parts of the model cost, in products of one token with the weights of one layer. */
export interface StopCosts {
  /** Of a row through one layer. */
  layer(row: number): number;
  /** Of a ramp that is asked, with the cut that it needs. */
  readonly stop: number;
}

/** The topmost layer computes the first position alone: of its products a sixth is left, and attention. */
const TOP_SHARE = 0.2;

/** Mean cost of rows that leave where a threshold lets them. */
export function meanCost(
  stops: readonly number[],
  outputs: ExitOutputs,
  judge: ExitJudge,
  threshold: number | null,
  { layer, stop }: StopCosts,
): number {
  const { rows, top } = outputs;
  const doubts = doubtsAt(stops, outputs, judge);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const at = threshold === null ? -1 : leavesAt(doubts, row, threshold);
    const layers = at < 0 ? top - 1 + TOP_SHARE : (stops[at] as number);
    sum += layers * layer(row) + stop * (at < 0 ? stops.length : at + 1);
  }
  return sum / Math.max(1, rows);
}

/**
 * Begins with all ramps and leaves out the one without which rows cost least, until leaving out costs more. None where that is
 * cheapest.
 * @param choose the threshold for some stops, null for none
 */
export function chooseStops(
  layers: readonly number[],
  outputs: ExitOutputs,
  judge: ExitJudge,
  choose: (stops: readonly number[]) => number | null,
  costs: StopCosts,
): number[] {
  const costOf = (stops: readonly number[]) => meanCost(stops, outputs, judge, choose(stops), costs);
  let best = { stops: [...layers], cost: costOf(layers) };
  for (;;) {
    const fewer = best.stops.map((_, left) => {
      const stops = best.stops.filter((_, i) => i !== left);
      return { stops, cost: costOf(stops) };
    });
    const next = fewer.sort((a, b) => a.cost - b.cost)[0];
    if (!next || next.cost > best.cost) return best.stops;
    best = next;
  }
}

/** The largest threshold at which rows lose no more than 1 - keep on average, tested by nothing; null where none does. */
export function plausible(
  stops: readonly number[],
  outputs: ExitOutputs,
  judge: ExitJudge,
  thresholds: readonly number[],
  keep: number,
): number | null {
  const doubts = doubtsAt(stops, outputs, judge);
  const fitting = [...thresholds].sort((a, b) => b - a);
  return (
    fitting.find((threshold) => {
      const { lost, counted } = measure(doubts, threshold);
      return lost <= (1 - keep) * counted;
    }) ?? null
  );
}
