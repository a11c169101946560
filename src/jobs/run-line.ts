// The command that a job runs: what `flexbert run` is told in every job of a submission.

import { defaultOf } from "../options/settings";
import { workOptions } from "../settings/work";
import type { JobWork } from "./job-system";
import { shellWord } from "./shell";
import type { JobArray } from "./stages";

/**
 * What a shell is given after "flexbert", without the words that name the job's trials.
 * @param nodeCache a word of a shell's, in which it may put a node's own variables
 */
export function runLine(work: JobWork, array: JobArray, nodeCache: string | undefined): string {
  const shared = nodeCache === undefined || array.stage.packs === null ? [] : ["--node-cache", nodeCache];
  return [...runWords(work, array).map(shellWord), ...shared].join(" ");
}

function runWords(work: JobWork, array: JobArray): string[] {
  const { experiment, out, plan, options, settings } = work;
  const words = ["run", experiment.file, "--out", out, "--plan", plan, ...options];
  const engine = settings.engine === "auto" ? [] : ["--engine", settings.engine];
  const device = settings.device === "cpu" || !usesGpu(work, array) ? [] : ["--device", settings.device];
  const save =
    settings.saveEvery === defaultOf(workOptions.saveEvery) ? [] : ["--save-every", String(settings.saveEvery)];
  words.push(...save, ...engine, ...device, "--threads", String(settings.cpus));
  return array.stage.packs === null ? [...words, "--only", array.stage.name] : words;
}

/** Steps after training run on the CPU: they read files, and compare outputs of a few rows. */
export const usesGpu = ({ settings }: Pick<JobWork, "settings">, { stage }: JobArray): boolean =>
  settings.gpus > 0 && stage.packs !== null;
