// Where the boxes of the picture stand: the trunk goes down, each task leaves it to the right in a row of its own, a small
// box a layer. Places alone; picture.ts draws them.

import type { TaskPlace } from "../../../client/api.js";

export interface Cell {
  readonly x: number;
  readonly y: number;
  readonly label: string;
}

export interface TrunkCell extends Cell {
  /** Shared layers that have run when this box has: 0 for the embeddings. */
  readonly depth: number;
  /** From the box above; null at the top. */
  readonly wire: string | null;
}

export interface BranchCell extends Cell {
  /** Encoder layers that a text has passed when this box has run. */
  readonly passed: number;
}

export interface Branch {
  readonly task: string;
  readonly fork: number | null;
  readonly cells: readonly BranchCell[];
  /** Wires from the trunk and between its boxes. */
  readonly wires: readonly string[];
  readonly name: { readonly x: number; readonly y: number };
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly trunk: readonly TrunkCell[];
  readonly branches: readonly Branch[];
}

export const cell = { width: 38, height: 22 };
const [gap, rowGap, margin] = [10, 8, 6];
const trunkWidth = 92;
/** Of a task's name and time. */
const nameWidth = 190;

/** @param depth shared layers, at least as many as the deepest fork */
export function layoutOf(tasks: readonly TaskPlace[], depth: number): Layout {
  const sharing = tasks.filter(({ fork }) => fork !== null);
  const boxes = sharing.length > 0 ? ["embeddings", ...Array.from({ length: depth }, (_, i) => `layer ${i}`)] : [];
  const trunk: TrunkCell[] = [];
  const branches: Branch[] = [];
  let row = 0;
  const yOf = (at: number) => margin + at * (cell.height + rowGap);
  for (const [at, label] of boxes.entries()) {
    const above = trunk.at(-1);
    const place = { x: margin, y: yOf(row) };
    const middle = margin + trunkWidth / 2;
    trunk.push({ ...place, label, depth: at, wire: above ? `M${middle} ${above.y + cell.height}V${place.y}` : null });
    const leaving = sharing.filter(({ fork }) => fork === at);
    for (const [i, task] of leaving.entries()) branches.push(branchOf(task, yOf(row + i), place.y));
    row += Math.max(1, leaving.length);
  }
  for (const task of tasks.filter(({ fork }) => fork === null)) branches.push(branchOf(task, yOf(row++), null));
  const right = Math.max(margin + trunkWidth, ...branches.map(({ name }) => name.x + nameWidth));
  return { width: right + margin, height: yOf(row) - rowGap + margin, trunk, branches };
}

/** @param above the y of the box that it leaves; null for a task that stands alone */
function branchOf({ name: task, fork, layers }: TaskPlace, y: number, above: number | null): Branch {
  const from = fork ?? 0;
  const own = Array.from({ length: layers }, (_, i) => ({ label: String(from + i), passed: from + i + 1 }));
  const boxes = [
    ...(fork === null ? [{ label: "emb", passed: 0 }] : []),
    ...own,
    { label: "head", passed: from + layers },
  ];
  const left = margin + trunkWidth + 2 * gap;
  const step = cell.width + gap;
  const cells = boxes.map((box, i) => ({ x: left + i * step, y, ...box }));
  const middle = (top: number) => top + cell.height / 2;
  const turn = margin + trunkWidth + gap;
  const wires = cells.slice(1).map(({ x }) => `M${x - gap} ${middle(y)}H${x}`);
  if (above !== null) wires.unshift(`M${margin + trunkWidth} ${middle(above)}H${turn}V${middle(y)}H${left}`);
  return { task, fork, cells, wires, name: { x: left + cells.length * step, y: middle(y) } };
}

export const widthOf = (label: string): number => (/^(embeddings|layer )/.test(label) ? trunkWidth : cell.width);
