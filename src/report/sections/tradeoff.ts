// Score against layers (the paper's Figure 5): Pareto front, thresholds, methods.

import { counted } from "../../messages/words";
import { groupBy } from "../arms";
import { tradeoffChart } from "../charts/charts";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";
import type { Method, TaskArms } from "../methods";
import { paretoFront, type ThresholdPoint, type TradeoffPoint, type TradeoffTask, thresholdPath } from "../tradeoff";
import { points, provenance } from "../words";

/** null where no task has more than its teacher to choose from. */
export function tradeoffSection(tasks: readonly TaskArms[], methods: readonly Method[]): ReportSection | null {
  if (!tasks.some(({ candidates }) => candidates.length > 1)) return null;
  const base = tasks[0]?.results.base.layers as number;
  const choices = tasks.map(
    ({ results, candidates }): TradeoffTask => ({
      task: results.title,
      inAverage: results.inAverage,
      candidates,
    }),
  );
  const path = thresholdPath(choices, base);
  const front = paretoFront(choices, base);
  return {
    id: "tradeoff",
    title: "Score against layers",
    paragraphs: [
      "Each task has its students and its teacher to choose from. The threshold c keeps adding layers to a task while " +
        "each brings at least c points; the Pareto front is the best average that any choice reaches with so many layers.",
    ],
    blocks: [
      tradeoffFigure(tasks, methods, path, front),
      choicesTable(tasks, path, "thresholds"),
      choicesTable(tasks, front, "front"),
    ],
  };
}

function tradeoffFigure(
  tasks: readonly TaskArms[],
  methods: readonly Method[],
  path: readonly ThresholdPoint[],
  front: readonly TradeoffPoint[],
): ReportChart {
  const row = ({ layers, average }: TradeoffPoint, label: string) => ({ layers, average: 100 * average, label });
  const shown = methods.filter(({ name }) => !name.startsWith("mixed") && name !== "Full fine-tuning");
  const placed = shown.flatMap(({ name, average, cost }) =>
    average && average.score !== null && cost ? [{ name, layers: cost.layers, average: 100 * average.score }] : [],
  );
  // Methods that make the same choice share a point and its label.
  const named = [...groupBy(placed, (method) => `${method.layers} ${method.average.toFixed(6)}`).values()].map(
    (same) => ({ ...(same[0] as (typeof placed)[number]), label: same.map(({ name }) => name).join(", ") }),
  );
  const arms = tasks.flatMap(({ candidates }) => candidates.map(({ arm }) => arm));
  const results = tasks.map((task) => task.results);
  const rows = [
    ...front.map((point) => ["pareto", null, null, point] as const),
    ...path.map((point) => ["threshold", point.from, point.to, point] as const),
  ];
  return {
    kind: "chart",
    id: "chart-tradeoff",
    caption: `Average of each task's maximum over seeds against the layers that all tasks run. ${provenance(results, arms)}`,
    panels: [
      {
        name: "tradeoff",
        alt:
          `Average score against layers. Pareto front: ${front.map(({ layers, average }) => `${layers} layers ${points(average)}`).join(", ")}. ` +
          `Methods: ${named.map(({ label, layers, average }) => `${label} ${layers} layers ${average.toFixed(1)}`).join(", ")}.`,
        spec: tradeoffChart(
          front.map((point) => row(point, "")),
          labelled(path).map(({ point, label }) => row(point, label)),
          named,
        ),
      },
    ],
    notes: [
      "The averages are of single best runs: a step that is smaller than the noise in the tables above means nothing.",
    ],
    csv: {
      file: "tradeoff.csv",
      header: [
        "kind",
        "threshold_above",
        "threshold_up_to",
        "layers",
        "average",
        ...results.map(({ name }) => `${name}_layers`),
      ],
      rows: [
        ...rows.map(([kind, above, upTo, { layers, average, choice }]) => [
          ...[kind, above, upTo, layers, average],
          ...choice.map((candidate) => candidate.layers),
        ]),
        ...shown.flatMap(({ name, average, cost, cells }) =>
          average && cost
            ? [[name, null, null, cost.layers, average.score, ...cells.map((cell) => cell?.layers ?? null)]]
            : [],
        ),
      ],
    },
  };
}

const NO_BREAK = "\u00a0";

/** "c > 2.31", "0.42 < c ≤ 2.31", "0 < c ≤ 0.42". */
function thresholdRange({ from, to }: ThresholdPoint): string {
  // As many digits as tell one end from the other.
  const digits = [2, 3, 4, 5].find((count) => to === null || from.toFixed(count) !== to.toFixed(count)) ?? 6;
  const number = (value: number) => (value === 0 ? "0" : value.toFixed(digits));
  const range = to === null ? `c > ${number(from)}` : `${number(from)} < c ≤ ${number(to)}`;
  return range.replaceAll(" ", NO_BREAK);
}

/** The largest threshold that makes each choice, where the chart has room for it: not beside a label that is near. */
function labelled(path: readonly ThresholdPoint[]): { point: ThresholdPoint; label: string }[] {
  const range = (values: readonly number[]) => Math.max(...values) - Math.min(...values) || 1;
  const width = range(path.map(({ layers }) => layers));
  const height = range(path.map(({ average }) => average));
  let last: ThresholdPoint | null = null;
  return path.map((point) => {
    const apart = (from: ThresholdPoint) =>
      Math.abs(point.layers - from.layers) > 0.13 * width || Math.abs(point.average - from.average) > 0.07 * height;
    if (point.to === null || (last && !apart(last))) return { point, label: "" };
    last = point;
    return { point, label: `c ${point.to.toFixed(1)}` };
  });
}

function choicesTable(
  tasks: readonly TaskArms[],
  choices: readonly (TradeoffPoint | ThresholdPoint)[],
  kind: "thresholds" | "front",
): ReportTable {
  const results = tasks.map((task) => task.results);
  const arms = tasks.flatMap(({ candidates }) => candidates.map(({ arm }) => arm));
  const first = (point: TradeoffPoint | ThresholdPoint): Cell =>
    kind === "thresholds" && "to" in point
      ? { text: thresholdRange(point) }
      : { text: counted(point.layers, "layer").replace(" ", NO_BREAK) };
  const what =
    kind === "thresholds"
      ? "Layers of each task's choice, by threshold."
      : "Layers of each task's choice on the Pareto front: for a budget of layers, the best average.";
  return {
    kind: "table",
    id: `table-${kind}`,
    caption: `${what} ${provenance(results, arms)}`,
    columns: [
      { title: kind === "thresholds" ? "Threshold" : "Budget" },
      ...results.map(({ title }) => ({ title, numeric: true })),
      { title: "Layers in all", numeric: true },
      { title: "Average", numeric: true },
    ],
    rows: choices.map((point) => [
      first(point),
      ...point.choice.map(({ layers }) => ({ text: String(layers) })),
      { text: String(point.layers) },
      { text: points(point.average) },
    ]),
    notes: [],
    csv: null,
  };
}
