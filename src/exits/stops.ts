// Which ramps are asked. Each costs something: the stretch of layers under it runs as a piece of its own, and so does the ramp. Ramps
// that do not pay are left out, by what a row is predicted to cost alone; the choice looks at train rows, so that dev rows, which
// test the threshold, have no part in it.

import type { Doubts } from "./thresholds";
import { leavesAt, measure } from "./thresholds";

/** What parts of the model cost, in products of one token with the weights of one layer. */
export interface StopCosts {
  /** Of a row through one layer. */
  layer(row: number): number;
  /** Of a ramp that a row is asked by, with the cut that it needs. */
  stop(row: number): number;
}

/** The topmost layer computes the first position alone: of its products a sixth is left, and attention. */
const TOP_SHARE = 0.2;

/** Mean cost of rows that leave where a threshold lets them; null lets none. */
export function meanCost(doubts: Doubts, threshold: number | null, { layer, stop }: StopCosts): number {
  const { stops, rows, top } = doubts;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const at = threshold === null ? -1 : leavesAt(doubts, row, threshold);
    const layers = at < 0 ? top - 1 + TOP_SHARE : (stops[at] as number);
    sum += layers * layer(row) + stop(row) * (at < 0 ? stops.length : at + 1);
  }
  return sum / Math.max(1, rows);
}

/** Whether rows cost less at a threshold than where none leaves and no ramp is asked. */
export function paying(doubts: Doubts, costs: StopCosts): (threshold: number) => boolean {
  const whole = meanCost({ ...doubts, stops: [] }, null, costs);
  return (threshold) => meanCost(doubts, threshold, costs) < whole;
}

/** The least threshold from which on all up to `most` pay; null where that one does not. */
export function leastPaying(
  thresholds: readonly number[],
  most: number,
  pays: (threshold: number) => boolean,
): number | null {
  const below = thresholds.filter((threshold) => threshold <= most).sort((a, b) => b - a);
  const first = below.findIndex((threshold) => !pays(threshold));
  return (first < 0 ? below.at(-1) : below[first - 1]) ?? null;
}

export interface ChosenStops {
  /** Encoder layers under the ramps that are asked, ascending. */
  readonly stops: readonly number[];
  /** What there is against them: numbers that count one after another, the smaller the better. */
  readonly weight: readonly number[];
}

/**
 * Begins with all ramps and leaves out the one without which they weigh least, until leaving out weighs more. None where that is
 * best.
 */
export function chooseStops(
  layers: readonly number[],
  weigh: (stops: readonly number[]) => ChosenStops["weight"],
): ChosenStops {
  let best: ChosenStops = { stops: [...layers], weight: weigh(layers) };
  for (;;) {
    const fewer = best.stops.map((_, left) => {
      const stops = best.stops.filter((_, i) => i !== left);
      return { stops, weight: weigh(stops) };
    });
    const next = fewer.sort(byWeight)[0];
    if (!next || byWeight(next, best) > 0) return best;
    best = next;
  }
}

/** The lighter first. */
export function byWeight(
  { weight: a }: Pick<ChosenStops, "weight">,
  { weight: b }: Pick<ChosenStops, "weight">,
): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : (a[at] as number) < (b[at] as number) ? -1 : 1;
}

/** The largest threshold at which rows lose no more than 1 - keep on average, tested by nothing; null where none does. */
export function plausible(doubts: Doubts, thresholds: readonly number[], keep: number): number | null {
  const fitting = [...thresholds].sort((a, b) => b - a);
  return (
    fitting.find((threshold) => {
      const { lost, counted } = measure(doubts, threshold);
      return lost <= (1 - keep) * counted;
    }) ?? null
  );
}
