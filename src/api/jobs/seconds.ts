// What a trial is thought to take, to pack short ones: by the runs that are finished, else by what a device of the kind does.

import { readRecord } from "../../checkpoints/runs/run-folder";
import type { ListedTrial } from "../../experiment/listing";
import type { LeftTrial } from "../../jobs/stages";
import type { SettingsOf } from "../../options/settings";
import type { jobSettings } from "../../settings/jobs";
import type { Call } from "../caller";

/** Finished runs that are looked at. */
const LOOKED_AT = 20;

/** Operations a second where nothing has been measured: 20 GFLOP/s a CPU, 10 TFLOP/s a GPU. Low, so that packs stay small. */
const ASSUMED = { cpu: 20e9, gpu: 10e12 };

/** Of a job before its first step: Node, data, the base, compiling. */
const START = 5;

/** The finished trials that are looked at, out of all. */
export function lastFinished(): { readonly trials: readonly ListedTrial[]; hear(trial: ListedTrial): void } {
  const trials: ListedTrial[] = [];
  return {
    trials,
    hear(trial) {
      if (trial.state !== "finished" || trial.folder === null) return;
      trials.push(trial);
      if (trials.length > LOOKED_AT) trials.shift();
    },
  };
}

/** @param finished as lastFinished has them */
export async function secondsOf(
  finished: readonly ListedTrial[],
  { gpus, cpus, pack }: SettingsOf<typeof jobSettings>,
  { reporter }: Call,
): Promise<(trial: LeftTrial) => number> {
  if (pack !== "auto") return () => 0;
  let [seconds, flops] = [0, 0];
  for (const { folder, flops: work } of finished) {
    const record = await readRecord(folder as string);
    if (!record || record.seconds <= 0) continue;
    seconds += record.seconds;
    flops += work;
  }
  const assumed = gpus > 0 ? ASSUMED.gpu : ASSUMED.cpu * cpus;
  const rate = seconds > 0 ? flops / seconds : assumed;
  const what = seconds > 0 ? `as ${finished.length} finished trials had` : "assumed, as no trial is finished";
  reporter.log(`packing trials shorter than a minute by ${(rate / 1e9).toFixed(0)} GFLOP/s, ${what}`);
  return ({ flops: work }) => START + work / rate;
}
