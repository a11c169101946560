// A merged model's picture as SVG, light and dark, with nothing outside the file: the trunk in one colour, each task's own
// boxes in another, and what reads it aloud in the title.

import { escapeXml } from "../../messages/markup";
import { formatCount } from "../../messages/quantities";
import { layoutOf } from "./layout";
import type { ModelOutline } from "./outline";

const box = { width: 98, height: 30, gap: 18, rowGap: 14, margin: 20 };
const step = box.height + box.rowGap;

const STYLE = `
  .picture { font: 13px system-ui, sans-serif; }
  .picture rect { fill: #fff; stroke: #7b8794; }
  .picture .trunk { fill: #dbe7f3; stroke: #5b84b1; }
  .picture .own { fill: #f7e3d0; stroke: #c07a35; }
  .picture text { fill: #1b2733; }
  .picture .note { fill: #52606d; }
  .picture path { fill: none; stroke: #7b8794; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .picture .trunk { fill: #1f3a56; stroke: #7fa8d3; }
    .picture .own { fill: #553313; stroke: #e0a263; }
    .picture text { fill: #e4e7eb; }
    .picture .note { fill: #9aa5b1; }
    .picture path { stroke: #9aa5b1; }
  }`;

/** @param note what stands behind a task's figures, such as its time */
export function svgPicture(outline: ModelOutline, note: (task: string) => string = () => ""): string {
  const rows = layoutOf(outline);
  const x = (column: number) => box.margin + column * (box.width + box.gap);
  const y = (row: number) => box.margin + row * step;
  const shapes: string[] = [];
  let trunkRow: number | null = null;
  for (const [row, { trunk, branch }] of rows.entries()) {
    if (trunk !== null) {
      if (trunkRow !== null)
        shapes.push(line(x(0) + box.width / 2, y(trunkRow) + box.height, x(0) + box.width / 2, y(row)));
      trunkRow = row;
      shapes.push(boxAt(x(0), y(row), trunk, "trunk"));
    }
    if (!branch) continue;
    if (branch.task.fork !== null) shapes.push(leave(x, y, trunkRow as number, row));
    for (const [i, label] of branch.boxes.entries()) {
      if (i > 0) shapes.push(line(x(i) + box.width, y(row) + box.height / 2, x(i + 1), y(row) + box.height / 2));
      shapes.push(boxAt(x(i + 1), y(row), label, "own"));
    }
    const end = x(branch.boxes.length + 1) - box.gap / 2;
    const figures = `${formatCount(branch.task.parameters)}${note(branch.task.name)}`;
    shapes.push(
      `<text x="${end}" y="${y(row) + box.height / 2}" dominant-baseline="central">${escapeXml(branch.task.name)} ` +
        `<tspan class="note">${escapeXml(figures)}</tspan></text>`,
    );
  }
  const columns = Math.max(1, ...rows.map(({ branch }) => (branch?.boxes.length ?? 0) + 1));
  const names = Math.max(0, ...outline.tasks.map(({ name }) => name.length + 10 + note(name).length));
  const [width, height] = [x(columns) + names * 7.5, y(rows.length) - box.rowGap + box.margin];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escapeXml(titleOf(outline))}</title>
<style>${STYLE}
</style>
<g class="picture">
${shapes.join("\n")}
</g>
</svg>
`;
}

function titleOf({ tasks, base, overhead, separate }: ModelOutline): string {
  const leaves = tasks.map(({ name, fork, layers }) =>
    fork === null
      ? `${name} has ${layers} layers and embeddings of its own`
      : `${name} leaves above layer ${fork} with ${layers} of its own`,
  );
  return `A merged model on ${base.name}: ${leaves.join("; ")}. ${overhead.layers} layers in place of ${separate.layers}`;
}

/** From the shared box to a task's first one: straight in its own row, down and across in a lower one. */
function leave(x: (column: number) => number, y: (row: number) => number, from: number, to: number): string {
  const [right, start, end] = [x(0) + box.width, y(from) + box.height / 2, y(to) + box.height / 2];
  if (from === to) return line(right, start, x(1), end);
  const turn = right + box.gap / 2;
  return `<path d="M${turn} ${start} V${end} H${x(1)}"/>`;
}

const line = (x1: number, y1: number, x2: number, y2: number) => `<path d="M${x1} ${y1} L${x2} ${y2}"/>`;

const boxAt = (left: number, top: number, label: string, kind: "trunk" | "own") =>
  `<rect class="${kind}" x="${left}" y="${top}" width="${box.width}" height="${box.height}" rx="5"/>` +
  `<text x="${left + box.width / 2}" y="${top + box.height / 2}" text-anchor="middle" dominant-baseline="central">${escapeXml(label)}</text>`;
