// What a choice of one candidate a task costs, in layers or in milliseconds, and the Pareto fronts over it.

import { counted } from "../messages/words";
import { countLayers, type LayerCount } from "../model/overhead";
import { type LatencyModel, latencyOf } from "../selection/latency";
import { formatMs } from "../selection/rule";
import type { TradeoffPoint } from "./tradeoff";

/** What a choice costs. */
export interface Axis {
  /** Ends the names of charts and files. */
  readonly suffix: "" | "-ms";
  readonly title: string;
  readonly counts: boolean;
  costOf(count: LayerCount): number;
  /** "12 layers", "31.9 ms" */
  text(cost: number): string;
}

export const NO_BREAK = "\u00a0";

export const layersAxis: Axis = {
  suffix: "",
  title: "layers run for all tasks",
  counts: true,
  costOf: ({ shared, branch }) => shared + branch,
  text: (cost) => counted(cost, "layer").replace(" ", NO_BREAK),
};

export const latencyAxis = (model: LatencyModel, tasks: number): Axis => ({
  suffix: "-ms",
  title: "milliseconds of one pass over all tasks",
  counts: false,
  costOf: (count) => latencyOf(model, count, tasks),
  text: (cost) => `${formatMs(cost)}${NO_BREAK}ms`,
});

/** What the fronts of one axis are made of. */
export interface Fronts {
  readonly axis: Axis;
  readonly front: readonly TradeoffPoint[];
  /** Of choices on teachers' forks alone; null where no student stands elsewhere. */
  readonly sameFork: readonly TradeoffPoint[] | null;
}

/** The cost of a choice on an axis. */
export const costOn =
  (axis: Axis) =>
  ({ choice }: Pick<TradeoffPoint, "choice">): number =>
    axis.costOf(countLayers(choice));
