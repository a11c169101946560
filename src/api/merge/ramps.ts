// Which ramps a merge takes along: those of the very run that is merged, where a rule was decided by which its texts leave. What stays
// behind is said, with the command that would change it.

import { listRuns, type StoredRun } from "../../checkpoints/runs/run-folder";
import { isMergedFolder } from "../../merge/folder/pointer";
import type { Selection } from "../../merge/merge";
import type { Call } from "../caller";

/** @param out the folder as it is before: tasks whose texts leave early there and will not are told */
export async function withRamps(
  selections: readonly Selection[],
  out: string,
  call: Pick<Call, "reporter">,
): Promise<Selection[]> {
  const { findRamps } = await import("../../recipes/ramps/find.js");
  const leaving = await leavingIn(out);
  const found: Selection[] = [];
  for (const selection of selections) {
    const { task, run } = selection;
    const ramps = await findRamps(run, task);
    if (ramps?.rule) call.reporter.log(`${task.name}: its ramps come along, of ${ramps.run.folder}`);
    else
      tellBehind(selection, ramps ? heldBack(ramps.run, ramps.why) : await behind(run), leaving.has(task.name), call);
    found.push(ramps?.rule ? { ...selection, exits: ramps } : selection);
  }
  return found;
}

/** Names of the folder's tasks whose texts leave early. */
async function leavingIn(out: string): Promise<ReadonlySet<string>> {
  if (!isMergedFolder(out)) return new Set();
  const { readManifest } = await import("../../merge/folder/version.js");
  const { tasks } = await readManifest(out);
  return new Set(tasks.flatMap(({ name, exits }) => (exits?.rule ? [name] : [])));
}

const heldBack = ({ folder }: StoredRun, why: string | null) => `its ramps in ${folder} stay behind: ${why}`;

/** Why ramps that lie beside a run are none of it; null where there are none at all. */
async function behind({ folder, record }: StoredRun): Promise<string | null> {
  const { rampsFolder } = await import("../../recipes/ramps/decision.js");
  const beside = await listRuns(rampsFolder({ folder }));
  const own = beside.find(({ record: ramps }) => ramps.teacher?.sha256 === record.sha256);
  if (own)
    return heldBack(own, own.record.state === "finished" ? "its texts cannot leave early" : "they are not finished");
  const [other] = beside.flatMap(({ record: ramps }) => ramps.teacher?.folder ?? []);
  return other === undefined ? null : `no ramps come along: there are some of ${other}, and ${folder} is merged`;
}

function tellBehind(
  { task, run }: Selection,
  why: string | null,
  left: boolean,
  { reporter }: Pick<Call, "reporter">,
): void {
  if (why === null && !left) return;
  const before = left ? "its texts left early until now and will not; " : "";
  reporter.warn(
    `${task.name}: ${before}${why ?? `there are no ramps of ${run.folder}`}. Run: flexbert exits --run ${run.folder}, and merge again`,
  );
}
