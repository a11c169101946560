// Score against layers (the paper's Figure 5) and, where it is known what a layer costs, against milliseconds: Pareto
// front, beside it that of the paper's places alone, thresholds, methods.

import { countLayers } from "../../model/overhead";
import { groupBy } from "../../selection/group-by";
import type { LatencyModel } from "../../selection/latency";
import { tradeoffChart } from "../charts/charts";
import { hasOtherForks, onTeachersFork } from "../collect";
import type { ReportChart, ReportSection } from "../document";
import { type Axis, costOn, type Fronts, latencyAxis, layersAxis, NO_BREAK } from "../fronts";
import type { Method, TaskArms } from "../methods";
import { paretoFront, type ThresholdPoint, type TradeoffPoint, type TradeoffTask, thresholdPath } from "../tradeoff";
import { points, provenance } from "../words";
import { armsOf, frontTable, thresholdTable } from "./tradeoff-tables";

/**
 * null where no task has more than its teacher to choose from.
 * @param latency what layers cost; null where that was not measured
 */
export function tradeoffSection(
  tasks: readonly TaskArms[],
  methods: readonly Method[],
  latency: LatencyModel | null = null,
): ReportSection | null {
  if (!tasks.some(({ candidates }) => candidates.length > 1)) return null;
  const base = tasks[0]?.results.base.layers as number;
  const choices = (keep: (task: TaskArms, place: TaskArms["candidates"][number]) => boolean) =>
    tasks.map(
      (task): TradeoffTask => ({
        task: task.results.title,
        inAverage: task.results.inAverage,
        candidates: task.candidates.filter((candidate) => keep(task, candidate)),
      }),
    );
  const all = choices(() => true);
  const same = hasOtherForks(tasks.map(({ results }) => results))
    ? choices(({ results, candidates }, one) => one === candidates.at(-1) || onTeachersFork(one, results))
    : null;
  const path = thresholdPath(all, base);
  const frontsOn = (axis: Axis): Fronts => {
    const costOf = costOn(axis);
    return { axis, front: paretoFront(all, base, costOf), sameFork: same && paretoFront(same, base, costOf) };
  };
  const fronts = [layersAxis, ...(latency ? [latencyAxis(latency, tasks.length)] : [])].map(frontsOn);
  return {
    id: "tradeoff",
    title: latency ? "Score against layers and milliseconds" : "Score against layers",
    paragraphs: [
      "Each task has its students and its teacher to choose from. The threshold c keeps adding layers to a task while " +
        "each brings at least c points; the Pareto front is the best average that any choice reaches with so many layers.",
      ...(same
        ? [
            "A choice runs the trunk up to its deepest fork and every task's own layers. Beside the front of all choices " +
              "stands that of the paper's places, where a student leaves the trunk at its teacher's fork.",
          ]
        : []),
      ...(latency ? [measuredOn(latency)] : []),
    ],
    blocks: fronts.flatMap((one) => [
      frontFigure(tasks, methods, path, one),
      ...(one.axis === layersAxis ? [thresholdTable(tasks, path)] : []),
      frontTable(tasks, one),
    ]),
  };
}

function measuredOn({ measured }: LatencyModel): string {
  const what = "Milliseconds are the sum over layers of what one costs, without tokenizing, queues and the network";
  if (!measured) return `${what}, by figures that were given.`;
  const { batchSize, length, engine } = measured;
  return `${what}, measured for ${batchSize} x ${length} tokens on ${engine}.`;
}

function frontFigure(
  tasks: readonly TaskArms[],
  methods: readonly Method[],
  path: readonly ThresholdPoint[],
  { axis, front, sameFork }: Fronts,
): ReportChart {
  const costOf = costOn(axis);
  const row = (point: TradeoffPoint) => ({ cost: costOf(point), average: 100 * point.average });
  const placed = placedMethods(methods, axis);
  // Methods that make the same choice share a point and its label.
  const named = [...groupBy(placed, (method) => `${method.cost} ${method.average.toFixed(6)}`).values()].map(
    (same) => ({
      ...(same[0] as (typeof placed)[number]),
      label: same.map(({ name }) => name).join(", "),
    }),
  );
  const results = tasks.map((task) => task.results);
  const spoken = (some: readonly TradeoffPoint[]) =>
    some.map((point) => `${axis.text(costOf(point))} ${points(point.average)}`.replaceAll(NO_BREAK, " ")).join(", ");
  const what = axis === layersAxis ? "layers" : "milliseconds";
  return {
    kind: "chart",
    id: `chart-tradeoff${axis.suffix}`,
    caption: `Average of each task's maximum over seeds against the ${what} that all tasks run. ${provenance(results, armsOf(tasks))}`,
    panels: [
      {
        name: `tradeoff${axis.suffix}`,
        alt:
          `Average score against ${what}. Pareto front: ${spoken(front)}. ` +
          `${sameFork ? `On the same fork alone: ${spoken(sameFork)}. ` : ""}` +
          `Methods: ${named.map(({ label, cost, average }) => `${label} ${axis.text(cost)} ${average.toFixed(1)}`.replaceAll(NO_BREAK, " ")).join(", ")}.`,
        spec: tradeoffChart({
          ...{ cost: axis.title, counts: axis.counts, front: front.map(row) },
          sameFork: sameFork?.map(row) ?? null,
          // Beside a second front there is no room for their values, which the table has.
          thresholds: labelled(path, costOf).map(({ point, label }) => ({
            ...row(point),
            label: sameFork ? "" : label,
          })),
          methods: named,
        }),
      },
    ],
    notes: [
      "The averages are of single best runs: a step that is smaller than the noise in the tables above means nothing.",
    ],
    csv: frontCsv(tasks, methods, path, { axis, front, sameFork }),
  };
}

const isShown = ({ name }: Method) => !name.startsWith("mixed") && name !== "Full fine-tuning";

function placedMethods(methods: readonly Method[], axis: Axis) {
  return methods.filter(isShown).flatMap(({ name, average, cost, cells }) => {
    const branches = cells.filter((cell) => cell !== null);
    if (average === null || average.score === null || cost === null) return [];
    return [{ name, cost: axis.costOf(countLayers(branches)), average: 100 * average.score }];
  });
}

function frontCsv(
  tasks: readonly TaskArms[],
  methods: readonly Method[],
  path: readonly ThresholdPoint[],
  { axis, front, sameFork }: Fronts,
): ReportChart["csv"] {
  const names = tasks.map(({ results }) => results.name);
  const places = (cells: readonly ({ readonly layers: number; readonly fork: number | null } | null)[]) => [
    ...cells.map((cell) => cell?.layers ?? null),
    ...cells.map((cell) => cell?.fork ?? null),
  ];
  const ms = (cells: readonly { readonly layers: number; readonly fork: number | null }[]) =>
    axis === layersAxis ? [] : [axis.costOf(countLayers(cells))];
  const rows = [
    ...front.map((point) => ["pareto", null, null, point] as const),
    ...(sameFork ?? []).map((point) => ["pareto_same_fork", null, null, point] as const),
    ...path.map((point) => ["threshold", point.from, point.to, point] as const),
  ];
  return {
    file: `tradeoff${axis.suffix}.csv`,
    header: [
      ...["kind", "threshold_above", "threshold_up_to", "layers", "average"],
      ...names.map((name) => `${name}_layers`),
      ...names.map((name) => `${name}_fork`),
      ...(axis === layersAxis ? [] : ["ms"]),
    ],
    rows: [
      ...rows.map(([kind, above, upTo, { layers, average, choice }]) => [
        ...[kind, above, upTo, layers, average],
        ...places(choice),
        ...ms(choice),
      ]),
      ...methods
        .filter(isShown)
        .flatMap(({ name, average, cost, cells }) =>
          average && cost
            ? [
                [
                  ...[name, null, null, cost.layers, average.score],
                  ...places(cells),
                  ...ms(cells.filter((cell) => cell !== null)),
                ],
              ]
            : [],
        ),
    ],
  };
}

/** The largest threshold that makes each choice, where the chart has room for it: not beside a label that is near. */
function labelled(
  path: readonly ThresholdPoint[],
  costOf: (point: ThresholdPoint) => number,
): { point: ThresholdPoint; label: string }[] {
  const range = (values: readonly number[]) => Math.max(...values) - Math.min(...values) || 1;
  const width = range(path.map(costOf));
  const height = range(path.map(({ average }) => average));
  let last: ThresholdPoint | null = null;
  return path.map((point) => {
    const apart = (from: ThresholdPoint) =>
      Math.abs(costOf(point) - costOf(from)) > 0.13 * width || Math.abs(point.average - from.average) > 0.07 * height;
    if (point.to === null || (last && !apart(last))) return { point, label: "" };
    last = point;
    return { point, label: `c ${point.to.toFixed(1)}` };
  });
}
