// Tables of the choices that thresholds make, and of those on a Pareto front.

import { hasOtherForks } from "../collect";
import type { Cell, ReportTable } from "../document";
import { costOn, type Fronts, layersAxis, NO_BREAK } from "../fronts";
import type { TaskArms } from "../methods";
import type { ThresholdPoint, TradeoffPoint } from "../tradeoff";
import { points, provenance, signedPoints } from "../words";

/** Every arm that there is to choose from. */
export const armsOf = (tasks: readonly TaskArms[]) =>
  tasks.flatMap(({ candidates }) => candidates.map(({ arm }) => arm));

/** "c > 2.31", "0.42 < c ≤ 2.31", "0 < c ≤ 0.42". */
function thresholdRange({ from, to }: ThresholdPoint): string {
  // As many digits as tell one end from the other.
  const digits = [2, 3, 4, 5].find((count) => to === null || from.toFixed(count) !== to.toFixed(count)) ?? 6;
  const number = (value: number) => (value === 0 ? "0" : value.toFixed(digits));
  const range = to === null ? `c > ${number(from)}` : `${number(from)} < c ≤ ${number(to)}`;
  return range.replaceAll(" ", NO_BREAK);
}

/** Of each task the layers of its choice, and its fork where students stand on several. */
function choiceCells(tasks: readonly TaskArms[], { choice }: TradeoffPoint): Cell[] {
  const elsewhere = hasOtherForks(tasks.map(({ results }) => results));
  return choice.map(({ layers, fork }) => ({ text: String(layers), ...(elsewhere ? { detail: `fork ${fork}` } : {}) }));
}

export function thresholdTable(tasks: readonly TaskArms[], path: readonly ThresholdPoint[]): ReportTable {
  const results = tasks.map((task) => task.results);
  return {
    kind: "table",
    id: "table-thresholds",
    caption: `Layers of each task's choice, by threshold. ${provenance(results, armsOf(tasks))}`,
    columns: [
      { title: "Threshold" },
      ...results.map(({ title }) => ({ title, numeric: true })),
      { title: "Layers in all", numeric: true },
      { title: "Average", numeric: true },
    ],
    rows: path.map((point) => [
      { text: thresholdRange(point) },
      ...choiceCells(tasks, point),
      { text: String(point.layers) },
      { text: points(point.average) },
    ]),
    notes: [],
    csv: null,
  };
}

/** The front, and what the paper's places alone reach within the same budget. */
export function frontTable(tasks: readonly TaskArms[], { axis, front, sameFork }: Fronts): ReportTable {
  const results = tasks.map((task) => task.results);
  const costOf = costOn(axis);
  const sameCells = (point: TradeoffPoint): Cell[] => {
    if (!sameFork) return [];
    const within = sameFork.findLast((other) => costOf(other) <= costOf(point) + 1e-9);
    if (!within) return [{ text: "–", detail: "no choice fits" }, { text: "–" }];
    return [{ text: points(within.average) }, { text: signedPoints(point.average - within.average) }];
  };
  const what = axis === layersAxis ? "layers" : "milliseconds";
  return {
    kind: "table",
    id: `table-front${axis.suffix}`,
    caption:
      `Layers of each task's choice on the Pareto front: for a budget of ${what}, the best average. ` +
      provenance(results, armsOf(tasks)),
    columns: [
      { title: "Budget" },
      ...results.map(({ title }) => ({ title, numeric: true })),
      { title: "Layers in all", numeric: true },
      { title: "Average", numeric: true },
      ...(sameFork ? ["On the same fork", "Gain"].map((title) => ({ title, numeric: true })) : []),
    ],
    rows: front.map((point) => [
      { text: axis.text(costOf(point)) },
      ...choiceCells(tasks, point),
      { text: String(point.layers) },
      { text: points(point.average) },
      ...sameCells(point),
    ]),
    notes: sameFork
      ? ["On the same fork: the best choice within the budget whose students stand on their teachers' forks."]
      : [],
    csv: null,
  };
}
