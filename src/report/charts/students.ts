// Charts of students on several forks, and of what each means of teaching them gave.

import { type ChartSpec, PANEL, scoreAxis, seriesScales, teacherLine } from "./charts";
import { colour } from "./palette";

export interface ForkRow {
  readonly fork: number;
  /** "1 layer" */
  readonly layers: string;
  readonly score: number;
  /** Whether it is its teacher's. */
  readonly same: boolean;
}

/** Score by fork, a line a number of layers; the paper's place ringed, a rule for the teacher. */
export function forksChart(
  title: string,
  metric: string,
  names: readonly string[],
  rows: readonly ForkRow[],
  teacher: number | null,
): ChartSpec {
  const { color, shape, strokeDash } = seriesScales(names);
  const forks = [...new Set(rows.map(({ fork }) => fork))].sort((a, b) => a - b);
  const x = {
    field: "fork",
    type: "ordinal",
    title: "fork: frozen layers below",
    sort: forks,
    axis: { labelAngle: 0 },
  };
  const y = { field: "score", ...scoreAxis(metric) };
  const values = rows.map(({ layers, ...row }) => ({ ...row, series: layers }));
  const line = teacherLine(teacher, y);
  return {
    ...PANEL,
    title,
    layer: [
      {
        data: { values },
        encoding: { x, y, color },
        layer: [
          {
            transform: [{ calculate: "datum.series", as: "line" }],
            mark: { type: "line", strokeWidth: 1.75 },
            encoding: { strokeDash },
          },
          { mark: { type: "point", filled: true, size: 75, opacity: 1 }, encoding: { shape } },
          {
            transform: [{ filter: "datum.same" }],
            mark: { type: "point", shape: "circle", size: 240, strokeWidth: 1.75, filled: false },
            encoding: { color: { value: colour("ink") } },
          },
        ],
      },
      ...(teacher === null ? [] : [line]),
    ],
  };
}

export interface GainRow {
  /** "--init-layers top" */
  readonly means: string;
  /** Points of one pair of runs. */
  readonly gain: number;
}

/** Every pair's gain as a point, a row a means, the mean as a tick; to the right of the rule it helped. */
export function gainsChart(names: readonly string[], rows: readonly GainRow[]): ChartSpec {
  const x = { field: "gain", type: "quantitative", title: "gain, points" };
  const y = { field: "means", type: "nominal", title: null, sort: [...names], axis: { grid: true, labelLimit: 220 } };
  return {
    width: PANEL.width,
    height: { step: 26 },
    data: { values: rows },
    layer: [
      {
        data: { values: [{ gain: 0 }] },
        mark: { type: "rule", color: colour("grey"), strokeDash: [6, 3] },
        encoding: { x },
      },
      {
        mark: { type: "point", filled: true, size: 36, opacity: 0.55, color: colour("blue") },
        encoding: { x, y },
      },
      {
        mark: { type: "tick", thickness: 3, size: 18, color: colour("orange") },
        encoding: { x: { ...x, aggregate: "mean" }, y },
      },
    ],
  };
}
