// The charts as Vega-Lite specifications: plain values, drawn by draw.ts. One panel a task, narrow enough for a phone.

import { colour, seriesColours, seriesDashes, seriesShapes } from "./palette";

/** A Vega-Lite view, without the theme. */
export type ChartSpec = Readonly<Record<string, unknown>>;

type Row = Readonly<Record<string, string | number | boolean | null>>;

export const PANEL = { width: 300, height: 190 };
const WIDE = { width: 340, height: 240 };

export const scoreAxis = (title: string) => ({ type: "quantitative", title, scale: { zero: false, nice: true } });

/** Colour, shape and dash that tell series apart, with one legend: of the shapes, or of lines without points. */
export function seriesScales(names: readonly string[], marks: "points" | "lines" = "points") {
  const domain = [...names];
  const pick = <T>(values: readonly T[]) => domain.map((_, i) => values[i % values.length] as T);
  const legend = domain.length > 1 ? { title: null } : null;
  return {
    color: { field: "series", type: "nominal", scale: { domain, range: pick(seriesColours) }, legend },
    shape: { field: "series", type: "nominal", scale: { domain, range: pick(seriesShapes) }, legend },
    strokeDash: {
      // Scales of one field share a legend, and a dash would be drawn around its shapes: points keep theirs apart.
      field: marks === "lines" ? "series" : "line",
      type: "nominal",
      scale: { domain, range: pick(seriesDashes) },
      legend: marks === "lines" ? legend : null,
    },
  };
}

export interface ByLayersRow {
  /** "4" or "full". */
  readonly k: string;
  readonly max: number;
  readonly mean: number | null;
  readonly sd: number | null;
  readonly chosen: boolean;
}

/** Score by k: the maximum over seeds, the mean with its standard deviation, the chosen k ringed. */
export function scoreByLayersChart(title: string, metric: string, rows: readonly ByLayersRow[]): ChartSpec {
  const seeds = rows.some(({ sd }) => sd !== null);
  const maximum = seeds ? "max over seeds" : "the one seed";
  const names = seeds ? [maximum, "mean ± sd"] : [maximum];
  const scales = seriesScales(names);
  const x = { field: "k", type: "ordinal", title: "k, layers trained", sort: rows.map(({ k }) => k) };
  const x0 = { ...x, axis: { labelAngle: 0 } };
  const values = rows.flatMap(({ k, max, mean, sd, chosen }): Row[] => [
    { k, score: max, series: maximum, chosen },
    ...(seeds && mean !== null
      ? [{ k, score: mean, low: mean - (sd ?? 0), high: mean + (sd ?? 0), series: "mean ± sd", chosen: false }]
      : []),
  ]);
  const { color, shape, strokeDash } = scales;
  return {
    ...PANEL,
    title,
    data: { values },
    encoding: { x: x0, color },
    layer: [
      {
        transform: [{ filter: "isValid(datum.low)" }],
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { y: { field: "low", ...scoreAxis(metric) }, y2: { field: "high" } },
      },
      {
        transform: [{ calculate: "datum.series", as: "line" }],
        mark: { type: "line", strokeWidth: 1.75 },
        encoding: { y: { field: "score", ...scoreAxis(metric) }, strokeDash },
      },
      {
        mark: { type: "point", filled: true, size: 75, opacity: 1 },
        encoding: { y: { field: "score", ...scoreAxis(metric) }, shape },
      },
      {
        transform: [{ filter: "datum.chosen" }],
        mark: { type: "point", shape: "circle", size: 240, strokeWidth: 1.75, filled: false, color: colour("ink") },
        encoding: { y: { field: "score", ...scoreAxis(metric) }, color: { value: colour("ink") } },
      },
    ],
  };
}

export interface StudentRow {
  readonly layers: string;
  readonly init: string;
  readonly score: number;
}

/** Box plots of students by layers and start, every seed a point; a line for the teacher. */
export function studentsChart(
  title: string,
  metric: string,
  rows: readonly StudentRow[],
  teacher: number | null,
): ChartSpec {
  const names = ["from the teacher", "from the base"].filter((name) => rows.some(({ init }) => init === name));
  const domain = ["from the teacher", "from the base"];
  const range = [colour("blue"), colour("orange")];
  const legend = { title: null, values: names, symbolType: "square" };
  const color = { field: "init", type: "nominal", scale: { domain, range }, legend };
  const shape = { field: "init", type: "nominal", scale: { domain, range: ["diamond", "circle"] }, legend: null };
  const x = { field: "layers", type: "ordinal", title: "layers of the student", axis: { labelAngle: 0 } };
  const xOffset = { field: "init", type: "nominal", scale: { domain } };
  const y = { field: "score", ...scoreAxis(metric) };
  const line = teacherLine(teacher, y);
  return {
    ...PANEL,
    title,
    layer: [
      {
        data: { values: rows },
        mark: {
          type: "boxplot",
          extent: "min-max",
          size: 22,
          box: { fillOpacity: 0.25, strokeWidth: 1.25 },
          median: { color: colour("ink"), thickness: 2 },
          rule: { color: colour("grey"), strokeWidth: 1.25 },
        },
        encoding: { x, xOffset, y, color },
      },
      {
        data: { values: rows },
        mark: { type: "point", filled: true, size: 30, opacity: 0.9 },
        encoding: { x, xOffset, y, color, shape },
      },
      ...(teacher === null ? [] : [line]),
    ],
  };
}

export interface TradeoffRow extends FrontRow {
  readonly label: string;
}

export interface FrontRow {
  /** Layers, or milliseconds. */
  readonly cost: number;
  readonly average: number;
}

export interface TradeoffChart {
  /** What the x axis counts. */
  readonly cost: string;
  /** Whether costs are whole numbers. */
  readonly counts: boolean;
  readonly front: readonly FrontRow[];
  /** The front of choices on teachers' forks alone; null where no student stands elsewhere. */
  readonly sameFork: readonly FrontRow[] | null;
  readonly thresholds: readonly TradeoffRow[];
  readonly methods: readonly TradeoffRow[];
}

/** Score against cost: the Pareto front of all choices, that of the paper's, the thresholds' choices, methods by name. */
export function tradeoffChart({ cost, counts, front, sameFork, thresholds, methods }: TradeoffChart): ChartSpec {
  const fronts = sameFork ? ["any fork", "same fork"] : ["Pareto front"];
  const domain = [...fronts, ...(thresholds.length > 0 ? ["by threshold c"] : []), "method"];
  const scales = seriesScales(domain);
  const named = (rows: readonly (TradeoffRow | FrontRow)[], name: string): Row[] =>
    rows.map((row) => ({ ...row, series: name }));
  const x = {
    field: "cost",
    type: "quantitative",
    title: cost,
    scale: { zero: false, nice: false, padding: 48 },
    axis: counts ? { tickMinStep: 1 } : {},
  };
  const y = {
    field: "average",
    type: "quantitative",
    title: "average score, points",
    scale: { zero: false, nice: true, padding: 14 },
  };
  const legend = { title: null, columns: domain.length > 3 ? 2 : domain.length };
  const color = { ...scales.color, legend };
  const shape = { ...scales.shape, legend };
  // The paper's places lie under the same number of layers on any fork: their names go where there is room.
  const isSame = ({ label }: TradeoffRow) => sameFork !== null && label.includes("@same");
  const under = { align: "left", baseline: "top", dx: 6, dy: 3 };
  const over = { align: "right", baseline: "bottom", dx: -6, dy: -3 };
  const line = (rows: readonly FrontRow[], name: string, dash: readonly number[]) => ({
    data: { values: named(rows, name) },
    layer: [
      {
        mark: { type: "line", interpolate: "step-after", strokeWidth: 1.5, strokeDash: dash },
        encoding: { x, y, color },
      },
      point(24),
    ],
  });
  const point = (size: number) => ({
    mark: { type: "point", filled: true, size, opacity: 1 },
    encoding: { x, y, color, shape },
  });
  const text = (place: object) => ({
    mark: { type: "text", fontSize: 10.5, color: colour("ink"), ...place },
    encoding: { x, y, text: { field: "label" } },
  });
  return {
    ...WIDE,
    layer: [
      line(front, fronts[0] as string, [1, 0]),
      ...(sameFork ? [line(sameFork, "same fork", [6, 3])] : []),
      {
        data: { values: named(thresholds, "by threshold c") },
        layer: [point(70), text(under)],
      },
      ...[methods.filter(isSame), methods.filter((row) => !isSame(row))].map((rows, i) => ({
        data: { values: named(rows, "method") },
        layer: [point(80), text(i === 0 ? under : over)],
      })),
    ],
  };
}

export interface CurveRow {
  readonly x: number;
  readonly value: number;
  readonly series: string;
}

/** Lines of a run each; `dots` where the values are few. */
export function curvesChart(
  title: string,
  xTitle: string,
  yTitle: string,
  names: readonly string[],
  rows: readonly CurveRow[],
  dots: boolean,
): ChartSpec {
  const { color, shape, strokeDash } = seriesScales(names, dots ? "points" : "lines");
  const integers = dots ? wholeNumbers : {};
  const x = { field: "x", type: "quantitative", title: xTitle, scale: { zero: false, nice: false }, ...integers };
  const y = { field: "value", ...scoreAxis(yTitle) };
  const line = {
    transform: [{ calculate: "datum.series", as: "line" }],
    mark: { type: "line", strokeWidth: 1.75 },
    encoding: { x, y, color, strokeDash },
  };
  const points = { mark: { type: "point", filled: true, size: 45, opacity: 1 }, encoding: { x, y, color, shape } };
  return { ...PANEL, title, data: { values: rows }, layer: dots ? [line, points] : [line] };
}

export interface BarRow {
  readonly task: string;
  readonly kind: string;
  readonly from: number;
  readonly to: number;
}

const wholeNumbers = { axis: { tickMinStep: 1, format: "d" } };

/** Horizontal bars from `from` to `to`, a row a task. `counts` are whole numbers. */
export function barsChart(
  xTitle: string,
  kinds: readonly string[],
  rows: readonly BarRow[],
  counts = false,
): ChartSpec {
  const tasks = [...new Set(rows.map(({ task }) => task))];
  const range = [colour("grey"), colour("blue"), colour("orange")].slice(0, kinds.length);
  return {
    width: WIDE.width,
    height: { step: 26 },
    data: { values: rows },
    mark: { type: "bar", height: 16 },
    encoding: {
      y: { field: "task", type: "nominal", title: null, sort: tasks, axis: { grid: false } },
      x: { field: "from", type: "quantitative", title: xTitle, ...(counts ? wholeNumbers : {}) },
      x2: { field: "to" },
      color: {
        field: "kind",
        type: "nominal",
        scale: { domain: [...kinds], range },
        legend: { title: null, symbolType: "square" },
      },
    },
  };
}

/** The teacher's score across a panel, with its name. @param y the axis that it lies on */
export const teacherLine = (score: number | null, y: object) => ({
  data: { values: [{ score, label: "teacher" }] },
  layer: [
    { mark: { type: "rule", strokeDash: [6, 3], color: colour("ink") }, encoding: { y } },
    {
      mark: { type: "text", align: "right", baseline: "bottom", dy: -2, color: colour("ink"), fontSize: 11 },
      encoding: { y, x: { value: PANEL.width }, text: { field: "label" } },
    },
  ],
});
