// Methods by task (the paper's Table 2), and where the layers of one of them go.

import { formatCount, formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { formatMs } from "../../selection/rule";
import { barsChart } from "../charts/charts";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";
import type { MethodCosts } from "../method-costs";
import type { Average, Method, MethodCell, TaskArms } from "../methods";
import { noiseNote, points, provenance, spreadText } from "../words";

type Costs = ReadonlyMap<Method, MethodCosts>;

export function methodsSection(tasks: readonly TaskArms[], methods: readonly Method[], costs: Costs): ReportSection {
  const placed = methods.find(({ name, cost }) => name === "merged" && cost) ?? methods.find(isMixed);
  return {
    id: "methods",
    title: "Methods by task",
    paragraphs: [
      "Overhead is the number of encoder layers that inference over all tasks runs: the deepest fork, once, and every " +
        "task's own layers. Its share is of one whole BERT a task.",
    ],
    blocks: [methodsTable(tasks, methods, costs), ...(placed ? [layersChart(tasks, placed)] : [])],
  };
}

const isMixed = ({ name, cost }: Method) => name.startsWith("mixed") && cost !== null;

function methodsTable(tasks: readonly TaskArms[], methods: readonly Method[], costs: Costs): ReportTable {
  const titles = tasks.map(({ results }) => results.title);
  const arms = methods.flatMap(({ cells }) => cells.flatMap((cell) => (cell?.arm ? [cell.arm] : [])));
  const missing = methods.filter(({ cells }) => cells.includes(null)).map(({ name }) => name);
  const timed = [...costs.values()].some(({ servingMs }) => servingMs !== null);
  const costOf = (method: Method) => costs.get(method) as MethodCosts;
  const outside = tasks.filter(({ results }) => !results.inAverage).map(({ results }) => results.title);
  return {
    kind: "table",
    id: "table-methods",
    caption: `Maximum over seeds, and mean ± standard deviation below. ${provenance(
      tasks.map(({ results }) => results),
      arms,
    )}`,
    columns: [
      { title: "Method" },
      ...titles.map((title) => ({ title, numeric: true })),
      { title: "Average", numeric: true },
      { title: "Layers", numeric: true },
      { title: "Overhead", numeric: true },
      { title: "Parameters", numeric: true },
      { title: "Training", numeric: true },
      ...(timed ? [{ title: "Serving", numeric: true }] : []),
    ],
    rows: methods.map((method) => [
      { text: method.name },
      ...method.cells.map(methodCell),
      averageCell(method.average),
      layersCell(method),
      { text: method.cost ? `${(100 * method.cost.share).toFixed(1)} %` : "–" },
      ...costCells(costOf(method), timed),
    ]),
    notes: [
      ...methods.map(({ name, meaning }) => `${name}: ${meaning}.`),
      "≈ inside the noise of w/o KD (the task's teacher); ? whether it differs is unknown.",
      noiseNote,
      "Parameters are those that all tasks' models need together, frozen layers once. Training is that of the runs that are shown and of their teachers, " +
        "or of the model under them: what a sweep trained beside them, and frozen layers, are not in it.",
      timed
        ? "Serving is one batch through all tasks, by the layers that --latency measured; what shares no trunk runs apart."
        : "Serving times need what layers cost: select --measure writes it, and --latency reads it.",
      "The second line of an average is over the seeds that all tasks have.",
      ...(outside.length > 0 ? [`Not in the average: ${outside.join(", ")}.`] : []),
      ...(missing.length > 0
        ? [`${missing.join("; ")}: not every task has such a run, so there is no average and no overhead.`]
        : []),
    ],
    csv: {
      file: "methods.csv",
      header: [
        ...["method", "task", "metric", "split", "score", "mean", "sd", "seeds", "branch_layers", "fork"],
        ...["difference_from_teacher", "half_width_95", "verdict", "training_seconds", "parameters", "serving_ms"],
      ],
      rows: methods.flatMap((method) => [...methodRows(tasks, method), averageRow(method, costOf(method))]),
    },
  };
}

function costCells({ parameters, seconds, servingMs }: MethodCosts, timed: boolean): Cell[] {
  return [
    { text: parameters === null ? "–" : formatCount(parameters) },
    { text: seconds === null ? "–" : formatSeconds(seconds) },
    ...(timed ? [{ text: servingMs === null ? "–" : `${formatMs(servingMs)} ms` }] : []),
  ];
}

function methodCell(cell: MethodCell | null): Cell {
  if (!cell) return { text: "–" };
  const { score, spread, arm, layers, comparison } = cell;
  const seeds = arm ? `${spreadText(spread, arm.scores.size)}\n` : "";
  return {
    text: points(score),
    detail: `${seeds}${counted(layers, "layer")}`,
    ...marked(comparison),
  };
}

function marked(comparison: MethodCell["comparison"]): Pick<Cell, "mark"> {
  return comparison && comparison.verdict !== "clear" ? { mark: comparison.verdict } : {};
}

function averageCell(average: Average | null): Cell {
  if (!average) return { text: "–" };
  const { score, spread, seeds, comparison } = average;
  const detail = seeds > 0 ? spreadText(spread, seeds) : "no seed in common";
  return { text: points(score), detail, ...marked(comparison) };
}

function layersCell({ cost }: Method): Cell {
  if (!cost) return { text: "–" };
  return { text: String(cost.layers), detail: `${cost.shared} shared + ${cost.layers - cost.shared}` };
}

function methodRows(tasks: readonly TaskArms[], { name, cells }: Method) {
  return cells.flatMap((cell, i) => {
    const task = tasks[i]?.results;
    if (!cell || !task) return [];
    const { score, spread, arm, layers, fork, comparison, seconds } = cell;
    return [
      [
        ...[name, task.name, task.metric, "dev", score, spread?.mean ?? null, spread?.sd ?? null],
        ...[arm?.scores.size ?? null, layers, fork],
        ...[comparison?.difference ?? null, comparison?.halfWidth ?? null, comparison?.verdict ?? null],
        ...[seconds, null, null],
      ],
    ];
  });
}

/** The average, with all layers where the others have their branch's and the shared ones where they have a fork. */
function averageRow({ name, average, cost }: Method, { seconds, parameters, servingMs }: MethodCosts) {
  const { score = null, spread = null, seeds = null, comparison = null } = average ?? {};
  return [
    ...[name, "average", "", "dev", score, spread?.mean ?? null, spread?.sd ?? null, seeds],
    ...[cost?.layers ?? null, cost?.shared ?? null],
    ...[comparison?.difference ?? null, comparison?.halfWidth ?? null, comparison?.verdict ?? null],
    ...[seconds, parameters, servingMs],
  ];
}

/** Which layers are shared, which are a task's own. */
function layersChart(tasks: readonly TaskArms[], { name, cells, cost }: Method): ReportChart {
  const rows = tasks.flatMap(({ results }, i) => {
    const cell = cells[i];
    if (!cell) return [];
    const fork = cell.fork ?? 0;
    return [{ task: results.title, name: results.name, fork, layers: cell.layers }];
  });
  const text = rows.map(({ task, fork, layers }) => `${task}: fork ${fork}, ${layers} own`).join("; ");
  const kinds = ["shared, frozen", "the task's own"];
  return {
    kind: "chart",
    id: "chart-layers",
    caption:
      `Where the layers go: ${name}. ${cost ? `${cost.layers} layers run for all tasks.` : ""} The shared layers are ` +
      "computed once, as deep as the deepest fork. No score is shown: split, metric and seeds are those of the table above.",
    panels: [
      {
        name: "layers",
        alt: `Layers of each task, ${name}. ${text}.`,
        spec: barsChart(
          "encoder layer",
          kinds,
          rows.flatMap(({ task, fork, layers }) => [
            { task, kind: kinds[0] as string, from: 0, to: fork },
            { task, kind: kinds[1] as string, from: fork, to: fork + layers },
          ]),
          true,
        ),
      },
    ],
    notes: [],
    csv: {
      file: "layers.csv",
      header: ["method", "task", "shared_layers", "own_layers"],
      rows: rows.map((row) => [name, row.name, row.fork, row.layers]),
    },
  };
}
