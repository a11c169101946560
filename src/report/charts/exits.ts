// Score against layers as texts leave the earlier the more doubt is allowed, beside students, whose texts all take the same.

import { type ChartSpec, PANEL, scoreAxis, seriesScales } from "./charts";
import { colour } from "./palette";

export interface ExitRow {
  /** Encoder layers that a row takes on average. */
  readonly layers: number;
  readonly score: number;
}

export interface ExitsChart {
  /** From the fewest layers to the whole way. */
  readonly curve: readonly ExitRow[];
  /** Where the rule stands; null where there is none. */
  readonly rule: ExitRow | null;
  readonly students: readonly ExitRow[];
}

const NAMES = ["exits", "students"];

/** The curve as a line with a point for each threshold, the rule's ringed; students as points. */
export function exitsChart(title: string, metric: string, { curve, rule, students }: ExitsChart): ChartSpec {
  const names = students.length > 0 ? NAMES : NAMES.slice(0, 1);
  const { color, shape } = seriesScales(names);
  const x = {
    field: "layers",
    type: "quantitative",
    title: "layers a row takes, mean",
    scale: { zero: false, nice: true },
    axis: { tickMinStep: 1 },
  };
  const y = { field: "score", ...scoreAxis(metric) };
  const named = (rows: readonly ExitRow[], series: string) => ({ values: rows.map((row) => ({ ...row, series })) });
  const point = (size: number) => ({
    mark: { type: "point", filled: true, size, opacity: 1 },
    encoding: { x, y, color, shape },
  });
  return {
    ...PANEL,
    title,
    layer: [
      {
        data: named(curve, "exits"),
        layer: [{ mark: { type: "line", strokeWidth: 1.75 }, encoding: { x, y, color } }, point(24)],
      },
      ...(students.length > 0 ? [{ data: named(students, "students"), layer: [point(75)] }] : []),
      ...(rule === null
        ? []
        : [
            {
              data: { values: [rule] },
              mark: { type: "point", shape: "circle", size: 240, strokeWidth: 1.75, filled: false },
              encoding: { x, y, color: { value: colour("ink") } },
            },
          ]),
    ],
  };
}
