// Training of one group: the trials of one task in one step, over one trunk cache and, for students, one pass of the
// teacher. Each trial is claimed by the lock of its folder, which a killed process leaves to be taken over.

import { readRecord } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { tryLockFolder } from "../files/lock";
import { type PreparedTeacher, prepareTeacher, studentWork } from "../recipes/distill";
import { finetuneWork } from "../recipes/finetune";
import { runLockedTrial, type TrialWork } from "../recipes/trial/trial";
import { openTrunks, type Trunks } from "../recipes/trial/trunks";
import type { RunContext } from "../training/tracking/tracker";
import { describeSpec, type TrialGroup, type TrialSpec } from "./plan";
import type { Resolution, Resolver } from "./resolve";

type Trial = Extract<Resolution, { kind: "trial" }>;

export interface OpenGroup {
  /** Trains a trial to its end, or says who has it. What another process finished meanwhile is left as it is. */
  train(spec: TrialSpec): Promise<"done" | { readonly heldBy: string }>;
  dispose(): Promise<void>;
}

/** Opens a group. Nothing is computed before its first trial is claimed. */
export function openGroup(group: TrialGroup, resolver: Resolver, context: RunContext<Engine>): OpenGroup {
  const { task } = group;
  const { base } = resolver;
  const run = resolver.run(task);
  let trunks: Trunks | null = null;
  let prepared: PreparedTeacher | null = null;

  const workOf = async (spec: TrialSpec, { settings, teacher }: Trial): Promise<TrialWork> => {
    trunks ??= openTrunks(task, base, settings.data, run, context);
    if (!teacher || !spec.distillation) return finetuneWork(settings, trunks);
    const { record } = teacher;
    prepared ??= await prepareTeacher({ task, base, teacher }, record, await trunks.under(record), context);
    return studentWork(settings, spec.distillation, prepared);
  };

  return {
    async train(spec) {
      const found = await resolver.resolve(spec);
      if (found.kind !== "trial") throw new Error(`trial ${spec.index} is ${found.kind}, not ready`);
      const { trial, settings } = found;
      const claim = await tryLockFolder(trial.folder, `trial ${spec.index}`);
      if ("heldBy" in claim) return claim;
      try {
        const record = await readRecord(trial.folder);
        const counts = resolver.counts(spec, record);
        if (record?.state === "finished" && counts) return "done";
        const label = `trial ${spec.index}, ${describeSpec(spec)}`;
        const work = { ...(await workOf(spec, found)), label };
        await runLockedTrial({ trial, settings, run: { ...run, force: record !== null && !counts }, work }, context);
        return "done";
      } finally {
        await claim.unlock();
      }
    },
    async dispose() {
      await trunks?.dispose();
    },
  };
}
