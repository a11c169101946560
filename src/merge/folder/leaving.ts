// By what texts of a version's tasks leave early, which one form of its weights decides: int8 answers otherwise than float32, so its
// thresholds are decided on its own answers, and where none holds there its texts go all the way.

import type { WeightForm } from "../../settings/engine";
import type { Blob, Contents, MergedExits, MergedTask } from "./manifest";
import { type Pieces, piecesOf } from "./pieces";

type Forms = Pick<Contents, "int8">;

/** Ramps and rule of a task in one form of the weights; undefined where its texts do not leave by any. */
export function exitsIn({ int8 }: Forms, { name, exits }: MergedTask, form: WeightForm): MergedExits | undefined {
  const rule = form === "int8" ? int8?.tasks[name]?.exits?.rule : exits?.rule;
  return exits && rule ? { ...exits, rule } : undefined;
}

/** Parts of a version's weights. */
type Weights = Pick<Contents, "embeddings" | "trunk" | "tasks">;

/** What a version holds in one form: the blobs of that form, and what its texts leave by. */
export function contentsIn(contents: Weights & Forms, form: WeightForm): Weights {
  const { int8 } = contents;
  const { embeddings, trunk } = form === "int8" && int8 ? int8 : contents;
  const tasks = contents.tasks.map((task): MergedTask => {
    const { exits: _, ...own } = task;
    const { file, sha256 } = form === "int8" && int8 ? (int8.tasks[task.name] as Blob) : task;
    const exits = exitsIn(contents, task, form);
    return { ...own, file, sha256, ...(exits ? { exits } : {}) };
  });
  return { embeddings, trunk, tasks };
}

/** What a task's texts leave by; or why they do not, though it has ramps, in words that follow its name. */
export interface Leaving {
  readonly exits?: MergedExits;
  readonly noExits?: string;
}

/** @param form of the weights that are to run */
export function leavingIn(contents: Contents, task: MergedTask, form: WeightForm): Leaving {
  if (!task.exits) return {};
  const exits = exitsIn(contents, task, form);
  if (!exits) return { noExits: whyNone(contents, task, form) };
  const pieces = piecesOf(contents.pieces, form);
  // A flexbert that knows no exits keeps a task's rule and writes the graphs without those of its ramps.
  if (pieces && !hasGraphs(pieces, task, exits)) {
    return { noExits: "has a rule, and the folder no graphs of its ramps: an older flexbert changed it. Merge again" };
  }
  return { exits };
}

function whyNone({ int8 }: Forms, { name, exits }: MergedTask, form: WeightForm): string {
  if (!exits?.rule) return "has ramps, and no rule by which texts leave. Decide one by flexbert exits, and merge again";
  const of = int8?.tasks[name]?.exits;
  const why = of?.why ?? "its ramps were never measured there: flexbert quantize does it";
  return `has no early exits in ${form} (${why}). --weights float32 has them`;
}

function hasGraphs({ exits }: Pieces, { name, fork }: MergedTask, { rule }: MergedExits): boolean {
  const own = exits?.tasks[name];
  const stops = rule?.stops ?? [];
  const ends = [...(exits?.stretches ?? []), ...(own?.parts ?? [])].map(({ to }) => to);
  const reaches = fork === null || exits?.stretches.some(({ to }) => to === fork);
  return own !== undefined && reaches === true && stops.every((stop) => own.ramps[stop] && ends.includes(stop));
}
