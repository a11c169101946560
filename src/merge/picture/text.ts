// A merged model's picture in characters, for terminals and model cards.

import { type Drawn, layoutOf, type PictureRow } from "./layout";

/** @param note what stands behind a task's name, such as its time */
export function textPicture(model: Drawn, note: (task: string) => string = () => ""): string {
  const rows = layoutOf(model);
  const width = Math.max(...rows.map(({ trunk }) => (trunk === null ? 0 : trunk.length + 2)), 2);
  const lines: string[] = [];
  for (const [i, row] of rows.entries()) {
    // The trunk's line between two boxes, where no row of a task stands between them.
    if (i > 0 && row.trunk !== null) lines.push(linkLine(width));
    lines.push(rowLine(row, rows[i - 1], width, note));
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}

/** The trunk passes below the middle of its boxes. */
const middle = (width: number) => Math.floor((width - 1) / 2);

const linkLine = (width: number) => `${" ".repeat(middle(width))}│`;

function rowLine(
  { trunk, goesOn, branch, branchesOn }: PictureRow,
  before: PictureRow | undefined,
  width: number,
  note: (task: string) => string,
): string {
  const passing = goesOn ? linkLine(width) : "";
  const left = (trunk === null ? passing : `[${centred(trunk, width - 2)}]`).padEnd(width);
  if (!branch) return left;
  const below = before?.branchesOn ?? false;
  const fork = trunk === null && !below ? "   " : below ? (branchesOn ? " ├─" : " └─") : branchesOn ? "─┬─" : "───";
  return `${left}${fork}${branch.boxes.map((box) => `[${box}]`).join("─")} ${branch.task.name}${note(branch.task.name)}`;
}

const centred = (text: string, width: number) => text.padStart(Math.floor((width + text.length) / 2)).padEnd(width);
