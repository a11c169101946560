// Score against layers (the paper's Figure 5): Pareto front, thresholds, methods.

import { tradeoffChart } from "./charts";
import type { Cell, ReportChart, ReportSection, ReportTable } from "./document";
import type { Method, TaskArms } from "./methods";
import { paretoFront, type TaskCandidates, type ThresholdPoint, type TradeoffPoint, thresholdPath } from "./tradeoff";
import { points, provenance } from "./words";

/** null where no task has more than its teacher to choose from. */
export function tradeoffSection(tasks: readonly TaskArms[], methods: readonly Method[]): ReportSection | null {
  if (!tasks.some(({ candidates }) => candidates.length > 1)) return null;
  const base = tasks[0]?.results.base.layers as number;
  const choices = tasks.map(
    ({ results, candidates }): TaskCandidates => ({
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
  const named = shown.flatMap(({ name, average, cost }) =>
    average && average.score !== null && cost
      ? [{ layers: cost.layers, average: 100 * average.score, label: name }]
      : [],
  );
  const arms = tasks.flatMap(({ candidates }) => candidates.map(({ arm }) => arm));
  const results = tasks.map((task) => task.results);
  const rows = [
    ...front.map((point) => ["pareto", "", point] as const),
    ...path.map((point) => ["threshold", thresholdRange(point), point] as const),
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
          path.map((point) => row(point, shortThreshold(point))),
          named,
        ),
      },
    ],
    notes: [
      "The averages are of single best runs: a step that is smaller than the noise in the tables above means nothing.",
    ],
    csv: {
      file: "tradeoff.csv",
      header: ["kind", "threshold", "layers", "average", ...results.map(({ name }) => `${name}_layers`)],
      rows: [
        ...rows.map(([kind, threshold, { layers, average, choice }]) => [
          ...[kind, threshold, layers, average],
          ...choice.map((candidate) => candidate.layers),
        ]),
        ...shown.flatMap(({ name, average, cost, cells }) =>
          average && cost ? [[name, "", cost.layers, average.score, ...cells.map((cell) => cell?.layers ?? null)]] : [],
        ),
      ],
    },
  };
}

/** "c > 2.31", "0.42 < c ≤ 2.31", "c ≤ 0.42". */
function thresholdRange({ from, to }: ThresholdPoint): string {
  const number = (value: number) => value.toFixed(2).replace("-", "−");
  if (to === null) return from === null ? "any c" : `c > ${number(from)}`;
  return from === null ? `c ≤ ${number(to)}` : `${number(from)} < c ≤ ${number(to)}`;
}

/** For the chart, where there is little room: the largest threshold that makes this choice. */
const shortThreshold = ({ to }: ThresholdPoint) => (to === null ? "" : `c ${to.toFixed(1).replace("-", "−")}`);

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
      : { text: `${point.layers} ${point.layers === 1 ? "layer" : "layers"}` };
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
