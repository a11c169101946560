// Training of one group: the trials of one task in one step, over one trunk cache and, for students, one pass of the
// teacher. Each trial is claimed by the lock of its folder, which a killed process leaves to be taken over.

import { readRecord } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { tryLeaseFolder } from "../files/lock";
import { type OpenSweep, openSweep, revisitedForks } from "../recipes/sweep";
import type { SweepTrial } from "../recipes/trial/trial";
import type { RunContext } from "../training/tracking/tracker";
import { describeSpec, type TrialGroup, type TrialSpec } from "./plan";
import type { Resolution, Resolver } from "./resolve";

export interface OpenGroup {
  /** Trains a trial to its end, or says who has it. What another process finished meanwhile is left as it is. */
  train(spec: TrialSpec): Promise<"done" | { readonly heldBy: string }>;
  dispose(): Promise<void>;
}

/** Opens a group. Nothing is computed before its first trial is claimed. */
export function openGroup({ task, trials }: TrialGroup, resolver: Resolver, context: RunContext<Engine>): OpenGroup {
  let opened: OpenSweep | null = null;
  // A trial that another host took over, because this process gave no sign of life: it was suspended, say.
  const taken = new AbortController();
  const signal = AbortSignal.any([context.signal, taken.signal]);
  const open = async ({ sweep }: Extract<Resolution, { kind: "trial" }>) => {
    const all: SweepTrial[] = [];
    for (const spec of trials) {
      const found = await resolver.resolve(spec);
      if (found.kind === "trial") all.push(found);
    }
    return openSweep(sweep, resolver.run(task), { ...context, signal }, revisitedForks(all, sweep.teacher));
  };
  return {
    async train(spec) {
      const found = await resolver.resolve(spec);
      if (found.kind !== "trial") throw new Error(`trial ${spec.index} is ${found.kind}, not ready`);
      const claim = await tryLeaseFolder(found.trial.folder, `trial ${spec.index}`);
      if ("heldBy" in claim) return claim;
      const stop = () => taken.abort();
      claim.lost.addEventListener("abort", stop);
      try {
        const record = await readRecord(found.trial.folder);
        const counts = resolver.counts(spec, record);
        if (record?.state === "finished" && counts) return "done";
        opened ??= await open(found);
        const label = `trial ${spec.index}, ${describeSpec(spec)}`;
        await opened.train(found, { label, force: record !== null && !counts, locked: true });
        return "done";
      } catch (error) {
        if (!taken.signal.aborted || context.signal.aborted) throw error;
        return { heldBy: `${found.trial.folder} was taken over while this process gave no sign of life` };
      } finally {
        claim.lost.removeEventListener("abort", stop);
        await claim.unlock();
      }
    },
    async dispose() {
      await opened?.dispose();
    },
  };
}
