// From what ramps say of rows to a rule: which seed's ramps, which of them are asked, and how sure they must be. The first two are
// chosen on train rows: dev rows, which test the threshold, have no part in them, so there is one test whatever there was to choose from.

import type { Asked } from "../../exits/asked";
import type { DecidedExits, ExitRule } from "../../exits/exits";
import { fewestRows } from "../../exits/risk";
import { byWeight, type ChosenStops, chooseStops, leastPaying, meanCost, paying, plausible } from "../../exits/stops";
import {
  certified,
  type Doubts,
  doubtsAt,
  measure,
  measuredBy,
  thresholdGrid,
  withinBudget,
} from "../../exits/thresholds";
import { formatPercent } from "../../messages/quantities";
import type { EncoderConfig } from "../../model/config";
import type { TaskData } from "../trial/task-data";
import { rowCosts } from "./costs";
import type { Judged } from "./judge";
import type { StoredOutputs } from "./outputs";

/** Thresholds that the choice of stops looks at where a share is kept: it needs no more than a coarse look. */
const COARSE = 24;

/** Of one seed's ramps what they say of rows, and how it is judged. */
export interface Candidate {
  readonly outputs: StoredOutputs;
  readonly judged: Judged;
}

/** What is decided for: the rows' lengths, and what a layer costs. */
export interface Deciding {
  readonly data: Pick<TaskData, "train" | "dev">;
  readonly config: EncoderConfig;
  readonly asked: Asked;
}

/** A rule, or why there is none that holds what was asked. */
export type Decision = { readonly exits: DecidedExits } | { readonly exits: null; readonly why: string };

/**
 * Of several seeds' ramps those that weigh least on train rows, and a rule of them. What dev rows say of the others is not looked at:
 * of several tests on the same rows the one that passes would promise less than it says.
 */
export function decideExits<T extends Candidate>(
  candidates: readonly T[],
  deciding: Deciding,
): { readonly chosen: T; readonly decision: Decision } {
  const weighed = candidates.map((candidate) => ({ candidate, ...stopsOf(candidate, deciding) }));
  const [best] = weighed.sort(byWeight);
  if (!best) throw new Error("there are no ramps to decide on");
  return { chosen: best.candidate, decision: decideOn(best.candidate, best.stops, deciding) };
}

/** Of a share to keep those ramps that make rows cheapest; of a budget those with which least is lost within it, then the cheapest. */
function stopsOf({ outputs, judged }: Candidate, { data, config, asked }: Deciding): ChosenStops {
  const { train, trainRows } = outputs;
  const costs = rowCosts(config, "float32", (row) => data.train.lengths[trainRows[row] as number] as number);
  const [coarse, fine] = [thresholdGrid(judged.most, COARSE), thresholdGrid(judged.most)];
  const at = (stops: readonly number[]) => doubtsAt(stops, train, judged.judges.train);
  return chooseStops([...train.ramps.keys()], (stops) => {
    const doubts = at(stops);
    const cost = (threshold: number | null) => meanCost(doubts, threshold, costs);
    if ("promise" in asked) return [cost(plausible(doubts, coarse, asked.promise.keep))];
    const threshold = withinBudget(doubts, fine, asked.budget, paying(doubts, costs));
    if (threshold === null) return [Number.POSITIVE_INFINITY, cost(judged.most)];
    return [measure(doubts, threshold).lost, cost(threshold)];
  });
}

function decideOn({ outputs, judged }: Candidate, stops: readonly number[], deciding: Deciding): Decision {
  const { dev } = outputs;
  const { data, config, asked } = deciding;
  const none = (why: string): Decision => ({ exits: null, why });
  if ("budget" in asked && asked.budget >= dev.top) {
    return none(`${asked.budget} layers are the whole way, which has ${dev.top}. Give a smaller --budget`);
  }
  if (stops.length === 0) return none("no exit is predicted to pay: what is asked of ramps costs more than they spare");
  const costs = rowCosts(config, "float32", (row) => data.dev.lengths[row] as number);
  const doubts = doubtsAt(stops, dev, judged.judges.dev);
  const pays = paying(doubts, costs);
  const grid = thresholdGrid(judged.most);
  const threshold =
    "promise" in asked ? certified(doubts, grid, asked.promise) : withinBudget(doubts, grid, asked.budget, pays);
  if (threshold === null) return none(whyNone(doubts, judged, asked));
  const rule: ExitRule = { criterion: judged.name, threshold, stops };
  const measured = measuredBy(rule, dev, judged.judges.dev);
  // What was predicted on train rows may have had a larger one in mind. To give it up leaves every promise as it is.
  const least = leastPaying(grid, threshold, pays);
  if (least === null) {
    const leaving = measured.left.reduce((sum, rows) => sum + rows, 0);
    return none(
      `too few dev rows leave: at the threshold that holds what was asked ${leaving} of ${dev.rows} do, and ramps cost more than that ` +
        "spares. Give a lower --keep or --confidence",
    );
  }
  return { exits: { ...rule, pays: least, ...asked, measured } };
}

function whyNone(doubts: Doubts, { most, leaving: { kept } }: Judged, asked: Asked): string {
  const [first] = thresholdGrid(most);
  if ("budget" in asked) {
    return `at no threshold do dev rows take at most ${asked.budget} layers on average and cost less than without exits. Give another --budget`;
  }
  const { keep, confidence } = asked.promise;
  const needed = fewestRows(1 - keep, 1 - confidence);
  const [much, sure] = [formatPercent(keep), formatPercent(confidence)];
  if (doubts.counted < needed) {
    return (
      `${doubts.counted} dev rows count (${kept}), and to keep ${much} with a confidence of ${sure} takes ${needed} of which none is lost. ` +
      "Give a lower --keep or --confidence, or more dev rows"
    );
  }
  const { lost } = measure(doubts, first as number);
  return (
    `at the most careful threshold ${Number(lost.toPrecision(3))} of ${doubts.counted} dev rows are lost (${kept}), too many to ` +
    `keep ${much} with a confidence of ${sure}. Give a lower --keep or --confidence, or train the ramps longer`
  );
}
