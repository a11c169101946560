// The ramps of a run, among those that lie beside it: checkpoints/<base>/<task>/exits.

import path from "node:path";
import { listRuns, type StoredRun } from "../../checkpoints/runs/run-folder";
import type { TaskExits } from "../../exits/exits";
import { ownLayers } from "../../model/place";
import { rampLayers } from "../../model/ramp-names";
import type { HostTensors } from "../../model/tensors";
import type { Task } from "../../tasks/task";
import { readExits } from "./decide";
import { loadRamps } from "./outputs";

/** What trains ramps, by its name in folders and records. */
export const EXITS = "exits";

export interface FoundRamps extends TaskExits {
  readonly run: StoredRun;
  /** Their tensors, checked against the hash in their record. */
  load(): Promise<HostTensors>;
}

/**
 * The ramps of exactly this branch, by its hash; of several seeds first those for which a rule was decided, then those with the best
 * score, then the newest. null where there are none.
 */
export async function findRamps({ folder, record }: StoredRun, task: Task): Promise<FoundRamps | null> {
  const { leaving } = task.kind;
  if (!leaving) return null;
  const [, top] = ownLayers(record);
  const beside = path.join(path.dirname(path.dirname(path.resolve(folder))), EXITS);
  const own = (await listRuns(beside)).filter(
    ({ record: ramps }) => ramps.state === "finished" && ramps.teacher?.sha256 === record.sha256,
  );
  const found: FoundRamps[] = [];
  for (const run of own) {
    const rule = await readExits(run, Object.keys(leaving.criteria), top);
    found.push({ run, layers: rampLayers(top), rule, load: () => loadRamps(run) });
  }
  const order = (a: FoundRamps, b: FoundRamps) =>
    Number(b.rule !== null) - Number(a.rule !== null) ||
    (b.run.record.score ?? -1) - (a.run.record.score ?? -1) ||
    (b.run.record.finishedAt ?? "").localeCompare(a.run.record.finishedAt ?? "");
  return found.sort(order)[0] ?? null;
}
