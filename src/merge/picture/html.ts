// A merged model's picture as a page that needs nothing else: the SVG, and the figures as a table.

import { formatBytes } from "../../files/atomic";
import { escapeXml } from "../../messages/markup";
import { formatCount, formatLayers, formatScore } from "../../messages/quantities";
import type { ModelOutline, TaskOutline } from "./outline";

const STYLE = `
  :root { color-scheme: light dark; font: 15px system-ui, sans-serif; }
  body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; }
  th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid #8884; }
  th:first-child, td:first-child { text-align: left; }`;

/** @param ms milliseconds by task, where they were measured */
export function htmlPicture(outline: ModelOutline, svg: string, ms: Readonly<Record<string, number>> | null): string {
  const { base, tasks, overhead, separate, parameters } = outline;
  const head = ["task", "fork", "own layers", "layers alone", "parameters", "size", "dev score", ...(ms ? ["ms"] : [])];
  const rows = tasks.map((task) => [...taskCells(task), ...(ms ? [(ms[task.name] ?? 0).toFixed(1)] : [])]);
  const row = (cells: readonly string[], tag: "td" | "th") =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join("")}</tr>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tasks on one ${escapeXml(base.name)}</title>
<style>${STYLE}
</style>
<h1>Tasks on one ${escapeXml(base.name)}</h1>
<p>${formatLayers(overhead)} of ${separate.layers} that one whole model a task would run (${(100 * overhead.share).toFixed(1)} %);
${formatCount(parameters)} parameters in place of ${formatCount(separate.parameters)}.</p>
<div class="scroll">${svg}</div>
<div class="scroll"><table>
<thead>${row(head, "th")}</thead>
<tbody>
${rows.map((cells) => row(cells, "td")).join("\n")}
</tbody>
</table></div>
</html>
`;
}

/** A task's line: in the page and in the terminal. */
export function taskCells({ name, fork, layers, alone, parameters, bytes, score }: TaskOutline): string[] {
  return [
    name,
    fork === null ? "none" : String(fork),
    String(layers),
    String(alone.layers),
    formatCount(parameters),
    bytes === null ? "-" : formatBytes(bytes),
    formatScore(score),
  ];
}
