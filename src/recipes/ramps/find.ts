// The ramps of a run, among those that lie beside it: checkpoints/<base>/<task>/exits.

import { listRuns, type StoredRun } from "../../checkpoints/runs/run-folder";
import type { TaskExits } from "../../exits/exits";
import { ownLayers } from "../../model/place";
import { rampLayers } from "../../model/ramp-names";
import type { HostTensors } from "../../model/tensors";
import { compareScores } from "../../tasks/metrics";
import type { Task } from "../../tasks/task";
import { decisionFor, rampsFolder } from "./decision";
import { loadRamps } from "./outputs";

export interface FoundRamps extends TaskExits {
  readonly run: StoredRun;
  /** Why there is no rule; null where there is one. */
  readonly why: string | null;
  /** Their tensors, checked against the hash in their record. */
  load(): Promise<HostTensors>;
}

/**
 * The ramps of exactly this branch, by its hash: those of the last decision, whatever it was. Where nothing was decided those with the
 * best score, of equals the newest. null where there are none.
 */
export async function findRamps(model: StoredRun, task: Task): Promise<FoundRamps | null> {
  const { leaving } = task.kind;
  if (!leaving) return null;
  const own = (await listRuns(rampsFolder(model))).filter(
    ({ record: ramps }) => ramps.state === "finished" && ramps.teacher?.sha256 === model.record.sha256,
  );
  const order = ({ record: a }: StoredRun, { record: b }: StoredRun) =>
    compareScores(b.score, a.score) || (b.finishedAt ?? "").localeCompare(a.finishedAt ?? "");
  const [best] = own.sort(order);
  if (!best) return null;
  const layers = rampLayers(ownLayers(model.record)[1]);
  const found = (run: StoredRun) => ({ run, layers, load: () => loadRamps(run) });
  const decision = await decisionFor(model, task, leaving);
  if (!decision) return { ...found(best), rule: null, why: "nothing was decided of them yet" };
  const decided = own.find(({ record }) => record.sha256 === decision.ramps);
  if (!decided) return { ...found(best), rule: null, why: "the ramps that were decided on are gone" };
  return { ...found(decided), rule: decision.rule, why: decision.why };
}
