// Draws charts as SVG, without a browser: Vega-Lite and Vega, loaded when the first chart is drawn. They are ES modules
// with top-level await, which only Node's own import() loads; under Jest a report is drawn in a child process.

import { escapeXml } from "../../messages/markup";
import type { ChartSpec } from "./charts";
import { colour, darkChartRules } from "./palette";

/** A drawn chart: what is inside of its <svg>, and its size. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

export type Draw = (spec: ChartSpec) => Promise<Drawing>;

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

const theme = {
  background: null,
  padding: { left: 4, right: 10, top: 4, bottom: 4 },
  font: FONT,
  // The picture has one text for those who do not see it; its parts would be read out one by one.
  aria: false,
  view: { stroke: null },
  title: { anchor: "start", color: colour("ink"), fontSize: 14, fontWeight: 600, offset: 8 },
  axis: {
    labelColor: colour("faint"),
    titleColor: colour("ink"),
    gridColor: colour("line"),
    domainColor: colour("grey"),
    tickColor: colour("grey"),
    labelFontSize: 11,
    titleFontSize: 11.5,
    titleFontWeight: "normal",
    tickCount: 6,
  },
  axisX: { grid: false },
  legend: {
    orient: "bottom",
    direction: "horizontal",
    labelColor: colour("ink"),
    labelFontSize: 11,
    titleColor: colour("ink"),
    symbolSize: 70,
    labelLimit: 220,
    columns: 2,
  },
};

/** Throws for a specification that Vega-Lite refuses: a defect of charts.ts. */
export async function draw(spec: ChartSpec): Promise<Drawing> {
  const vega = await import("vega");
  const { compile } = await import("vega-lite");
  const logger = vega.logger(vega.Error);
  const { spec: compiled } = compile({ ...spec, config: theme } as unknown as Parameters<typeof compile>[0], {
    logger,
  });
  const view = new vega.View(vega.parse(compiled), { renderer: "none", logger });
  try {
    return takeBody(await view.toSVG());
  } finally {
    view.finalize();
  }
}

function takeBody(svg: string): Drawing {
  const [, width, height, body] = /^<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)<\/svg>$/s.exec(svg) ?? [];
  if (body === undefined) throw new Error(`Vega drew no <svg> with a viewBox: ${svg.slice(0, 200)}`);
  // What listens to a mouse on Vega's own pages has nobody to listen to here.
  const still = body.replaceAll(' pointer-events="none"', "").replaceAll(' aria-hidden="true"', "");
  return { width: Number(width), height: Number(height), body: still };
}

/** A chart as a file of its own, with a background and both colour schemes: for the Markdown file. */
export function standaloneSvg({ width, height, body }: Drawing, alt: string): string {
  const dark = `@media screen and (prefers-color-scheme: dark){${darkChartRules("")}}`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `role="img"><title>${escapeXml(alt)}</title><style>${dark}</style>` +
    `<rect width="100%" height="100%" fill="${colour("paper")}"/>${body}</svg>\n`
  );
}

/** A chart inside a page, whose style sheet colours it. */
export function inlineSvg({ width, height, body }: Drawing, alt: string): string {
  return (
    `<svg class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ` +
    `aria-label="${escapeXml(alt)}">${body}</svg>`
  );
}
