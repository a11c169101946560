// A merged folder of three tiny tasks with two versions, of the runs that 0.1.0 left: mood's branch is another in each.

import { cpSync } from "node:fs";
import path from "node:path";
import { merge, updateTasks } from "../../src/api/merge/merge";

export interface TwoVersions {
  readonly merged: string;
  /** The version that a change of mood made from the first one; the second is current. */
  readonly first: string;
  readonly second: string;
}

/** Tasks: mood (single texts), verdict (pairs) and closeness (pairs, a value). */
export async function twoVersions(folder: string): Promise<TwoVersions> {
  cpSync(path.join(__dirname, "../fixtures/v0.1.0"), folder, { recursive: true });
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  const merged = path.join(folder, "served");
  const common = {
    ...{ base: "tiny", checkpoints: path.join(folder, "checkpoints"), tasks: path.join(folder, "tasks.yaml") },
    ...({ engine: "onnx", threads: 1, noOnnx: true } as const),
  };
  const { version: first } = await merge({ ...common, out: merged });
  const { version: second } = await updateTasks({ ...common, merged, task: "mood", select: "teacher" });
  return { merged, first, second };
}
