// What the server does now: figures of /v1/stats each second, and the last minute as two curves.

import type { StatsAnswer } from "../../../client/api.js";
import { html, svg } from "./dom.js";
import { counted, ms, rate } from "./words.js";

/** Seconds that the curves show. */
const SPAN = 60;
const curve = { width: 300, height: 50 };

export interface Live {
  show(stats: StatsAnswer): void;
}

export function showLive(figures: HTMLElement, curves: HTMLElement): Live {
  const past: StatsAnswer[] = [];
  return {
    show(stats) {
      past.push(stats);
      if (past.length > SPAN) past.shift();
      const { requests_per_second, texts_per_second, p50_ms, p99_ms, queue, versions, processes, swaps } = stats;
      const shown: [string, string][] = [
        ["texts a second", rate(texts_per_second)],
        ["requests a second", rate(requests_per_second)],
        ["median", ms(p50_ms)],
        ["P99", ms(p99_ms)],
        ["waiting", counted(queue.rows, "row")],
        ["processes", processesOf(processes)],
        [versions.length > 1 ? "versions open" : "version", versions.map(({ version }) => version).join(", ")],
        ["versions taken over", String(swaps)],
      ];
      figures.replaceChildren(
        ...shown.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))),
      );
      curves.replaceChildren(
        curveOf("texts a second, last minute", [past.map((one) => one.texts_per_second)], rate),
        curveOf("median and P99, last minute", [past.map((one) => one.p50_ms), past.map((one) => one.p99_ms)], ms),
      );
    },
  };
}

/** "2, 310 MB", and what is wrong with them. */
function processesOf(processes: StatsAnswer["processes"]): string {
  const memory = processes.reduce((sum, { rss_bytes }) => sum + rss_bytes, 0);
  const restarts = processes.reduce((sum, process) => sum + process.restarts, 0);
  const dead = processes.filter(({ alive }) => !alive).length;
  return [
    String(processes.length),
    `${Math.round(memory / 1e6)} MB`,
    ...(dead > 0 ? [`${dead} starting`] : []),
    ...(restarts > 0 ? [counted(restarts, "restart")] : []),
  ].join(", ");
}

function curveOf(
  name: string,
  series: readonly (readonly (number | null)[])[],
  written: (value: number) => string,
): HTMLElement {
  const known = series.flat().filter((value) => value !== null);
  const most = Math.max(0, ...known);
  const { width, height } = curve;
  const y = (value: number) => height - 2 - (most === 0 ? 0 : value / most) * (height - 4);
  const paths = series.map((values, i) => {
    const from = SPAN - values.length;
    const d = values.reduce<string>((path, value, at) => {
      if (value === null) return path;
      const begins = path === "" || values[at - 1] === null;
      const x = ((from + at) / (SPAN - 1)) * width;
      return `${path}${begins ? "M" : "L"}${x.toFixed(1)} ${y(value).toFixed(1)}`;
    }, "");
    return svg("path", { class: i === 0 ? "curve" : "curve second", d: d || "M0 0" });
  });
  const label = `${name}: ${known.length === 0 ? "none yet" : `at most ${written(most)}`}`;
  const frame = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return html("figure", {}, html("figcaption", {}, label), svg("svg", frame, ...paths));
}
