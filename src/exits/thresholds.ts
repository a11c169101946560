// Which threshold: the largest that a promise holds for. Learn then test (Angelopoulos et al. 2021, "Learn then Test: Calibrating
// predictive algorithms to achieve risk control", section 2): each threshold of a fixed list is a hypothesis "it loses too much", tested in a
// fixed order from the most careful one on until the first that cannot be rejected; so all that were rejected hold together with the
// confidence that one test has, and choosing the best of them costs nothing.

import type { Promised } from "./asked";
import type { ExitRule, MeasuredExits } from "./exits";
import { type Losses, pValue } from "./risk";

/** What ramps and the model say of rows. */
export interface ExitOutputs {
  /** Encoder layers of the whole way. */
  readonly top: number;
  /** By the layers that ramps stand on, ascending: logits of each row. */
  readonly ramps: ReadonlyMap<number, (row: number) => Float32Array>;
  readonly full: (row: number) => Float32Array;
  readonly rows: number;
}

/** What decides about rows, and what they lose. */
export interface ExitJudge {
  /** Doubt after some ramps, the last of them the latest. */
  doubt(outputs: readonly Float32Array[]): number;
  /** Of a row that takes these outputs for the model's; null where it does not count. */
  loss(row: number, left: Float32Array): number | null;
}

/** Thresholds that are tried: from a ten-thousandth of the most doubt to all of it, in even steps of its logarithm. */
export function thresholdGrid(most: number, count = 128): number[] {
  return Array.from({ length: count }, (_, i) => most * 10 ** (-4 * (1 - (i + 1) / count)));
}

/** Where rows leave, whatever the threshold: the doubts at each stop, and the losses. */
export interface Doubts {
  readonly stops: readonly number[];
  readonly top: number;
  readonly rows: number;
  /** [stops][rows] */
  readonly doubt: readonly Float64Array[];
  /** [stops][rows]; NaN where a row does not count. */
  readonly loss: readonly Float64Array[];
  /** Rows that count: those of which the model itself loses nothing or something. */
  readonly counted: number;
}

/** @param stops of the ramps those that are asked */
export function doubtsAt(stops: readonly number[], outputs: ExitOutputs, judge: ExitJudge): Doubts {
  const { rows, top } = outputs;
  const [doubt, loss] = [stops.map(() => new Float64Array(rows)), stops.map(() => new Float64Array(rows))];
  let counted = 0;
  for (let row = 0; row < rows; row++) {
    if (judge.loss(row, outputs.full(row)) !== null) counted += 1;
    const passed: Float32Array[] = [];
    for (const [i, stop] of stops.entries()) {
      const own = outputs.ramps.get(stop);
      if (!own) throw new Error(`no ramp stands on layer ${stop}`);
      passed.push(own(row));
      (doubt[i] as Float64Array)[row] = judge.doubt(passed);
      (loss[i] as Float64Array)[row] = judge.loss(row, own(row)) ?? Number.NaN;
    }
  }
  return { stops, top, rows, doubt, loss, counted };
}

/** The place among the stops at which a row leaves; -1 where it does not. */
export function leavesAt({ doubt }: Doubts, row: number, threshold: number): number {
  for (let at = 0; at < doubt.length; at++) {
    if (((doubt[at] as Float64Array)[row] as number) <= threshold) return at;
  }
  return -1;
}

/** What rows do at a threshold. */
export function measure(doubts: Doubts, threshold: number): MeasuredExits & { readonly binary: boolean } {
  const { stops, top, rows, loss, counted } = doubts;
  const left = stops.map(() => 0);
  let [layers, lost, binary] = [0, 0, true];
  for (let row = 0; row < rows; row++) {
    const at = leavesAt(doubts, row, threshold);
    layers += at < 0 ? top : (stops[at] as number);
    if (at < 0) continue;
    left[at] = (left[at] as number) + 1;
    const own = (loss[at] as Float64Array)[row] as number;
    if (Number.isNaN(own)) continue;
    lost += own;
    if (own !== 0 && own !== 1) binary = false;
  }
  return { rows, counted, lost, layers: rows === 0 ? top : layers / rows, top, left, binary };
}

/** The largest threshold of which no more than 1 - keep of what counts is lost, with a confidence; null where none is sure. */
export function certified(
  doubts: Doubts,
  thresholds: readonly number[],
  { keep, confidence }: Promised,
): number | null {
  const [alpha, delta] = [1 - keep, 1 - confidence];
  let last: number | null = null;
  for (const threshold of [...thresholds].sort((a, b) => a - b)) {
    const { lost, counted, binary } = measure(doubts, threshold);
    const losses: Losses = { rows: counted, sum: lost, binary };
    if (pValue(losses, alpha) > delta) return last;
    last = threshold;
  }
  return last;
}

/**
 * The smallest threshold at which rows take no more layers on average: the more doubt is allowed, the more is lost. null where there
 * is none.
 * @param pays whether rows are cheaper at a threshold than without exits
 */
export function withinBudget(
  doubts: Doubts,
  thresholds: readonly number[],
  layers: number,
  pays: (threshold: number) => boolean,
): number | null {
  const ascending = [...thresholds].sort((a, b) => a - b);
  return ascending.find((threshold) => measure(doubts, threshold).layers <= layers && pays(threshold)) ?? null;
}

/** Of a rule, what rows do. */
export function measuredBy(rule: ExitRule, outputs: ExitOutputs, judge: ExitJudge): MeasuredExits {
  const { binary: _, ...measured } = measure(doubtsAt(rule.stops, outputs, judge), rule.threshold);
  return measured;
}
