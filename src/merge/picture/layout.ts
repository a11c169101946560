// Where the boxes of a merged model's picture stand: the trunk goes down, a row a box or more, and each task leaves to the
// right in a row of its own. The terminal's picture and the SVG are drawn from the same rows.

import type { TaskBranch } from "../../model/multi-head";

/** What is drawn: of the shared layers how many there are, of tasks where they leave. An outline, or a manifest. */
export interface Drawn<T extends TaskBranch = TaskBranch> {
  readonly trunk: readonly unknown[];
  readonly tasks: readonly T[];
}

export interface PictureRow<T extends TaskBranch = TaskBranch> {
  /** The shared box of this row; null where the trunk only passes by. */
  readonly trunk: string | null;
  /** Whether the trunk goes on below this row. */
  readonly goesOn: boolean;
  /** A task that leaves here, with its own boxes from left to right. */
  readonly branch: { readonly task: T; readonly boxes: readonly string[] } | null;
  /** Whether another task leaves below from the same box. */
  readonly branchesOn: boolean;
}

const layer = (index: number) => `layer ${index}`;

const boxesOf = ({ fork, layers }: TaskBranch): string[] => [
  ...(fork === null ? ["embeddings"] : []),
  ...Array.from({ length: layers }, (_, i) => layer((fork ?? 0) + i)),
  "head",
];

/** From the text down. Tasks with embeddings of their own stand below all others and leave no trunk. */
export function layoutOf<T extends TaskBranch>({ trunk, tasks }: Drawn<T>): PictureRow<T>[] {
  const sharing = tasks.filter(({ fork }) => fork !== null);
  const shared = sharing.length > 0 ? ["embeddings", ...trunk.map((_, i) => layer(i))] : [];
  const rows = shared.flatMap((box, depth): PictureRow<T>[] => {
    const leaving = sharing.filter(({ fork }) => fork === depth);
    const last = depth === shared.length - 1;
    return Array.from({ length: Math.max(1, leaving.length) }, (_, i) => {
      const task = leaving[i];
      return {
        trunk: i === 0 ? box : null,
        goesOn: !last,
        branch: task ? { task, boxes: boxesOf(task) } : null,
        branchesOn: i < leaving.length - 1,
      };
    });
  });
  const own = tasks.filter(({ fork }) => fork === null);
  return [
    ...rows,
    ...own.map((task) => ({ trunk: null, goesOn: false, branch: { task, boxes: boxesOf(task) }, branchesOn: false })),
  ];
}
