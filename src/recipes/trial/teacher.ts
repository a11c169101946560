// The teacher of a task's students: whether a run can be one, and what it says of the train rows.

import type { BaseDescription } from "../../checkpoints/bases/base";
import { loadBranch, type StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError } from "../../errors/errors";
import { branchAxes } from "../../model/branch";
import type { HostTensors } from "../../model/tensors";
import { outputSize, type Task } from "../../tasks/task";
import { splitLogits } from "../../training/loop/branch-source";
import { logitsStep } from "../../training/step/step";
import type { Preparation } from "../recipe";
import type { PlacedTeacher } from "./initial-branch";

/** Throws modelError (4) for a run of another base or with other labels. */
export function checkTeacher({ record, folder }: StoredRun, task: Task, base: BaseDescription): void {
  if (record.base.sha256 !== base.sha256) {
    throw modelError(
      `the teacher ${folder} was trained on ${record.base.name} (sha256 ${record.base.sha256.slice(0, 8)}), ` +
        `the base is ${base.name} (${base.sha256.slice(0, 8)}). Give --base ${record.base.name}`,
    );
  }
  if (record.labels.join("\n") !== task.labels.join("\n")) {
    throw modelError(
      `the teacher ${folder} has labels ${record.labels.join(", ")}; ${task.name} has ${task.labels.join(", ")}`,
    );
  }
}

/** The teacher's tensors, checked against the hash in its record. */
export const teacherBranch = ({ teacher }: Preparation): Promise<HostTensors> => loadBranch(teacher as StoredRun);

/** The same with where its layers stand. */
export const placedTeacher = async (preparation: Preparation): Promise<PlacedTeacher> => ({
  branch: await teacherBranch(preparation),
  place: (preparation.teacher as StoredRun).record,
});

/** Its logits [rows, outputs] on every train row, without dropout. */
export async function teacherLogits(
  branch: HostTensors,
  { task, base, teacher, under, engine, reporter, signal }: Preparation,
): Promise<Float32Array> {
  const place = (teacher as StoredRun).record;
  const { train } = await under(place);
  const entries = { logits: logitsStep(place, base.config, await task.kind.head()) };
  const program = await engine.load(branch, entries, { logits: branchAxes });
  try {
    reporter.log(`${task.name}: computing the teacher's outputs on ${train.rows.ids.length} rows`);
    return await splitLogits(program, "logits", train, outputSize(task), signal);
  } finally {
    program.dispose();
  }
}
