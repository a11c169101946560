// Stages on Kubernetes, which wait for each other because a pod says so.

import { option, optional, type Values } from "../../options/option";
import { duration, text } from "../../options/readers";
import { type Caller, callOf } from "../caller";

export const followOptions = {
  queue: optional(text, {
    flag: "--queue",
    value: "<name>",
    help: "Kueue's local queue, which then starts the Jobs",
    inConfig: false,
  }),
  every: option(duration, {
    flag: "--every",
    value: "<time>",
    help: "between two looks at a Job",
    fallback: "10s",
    inConfig: false,
  }),
};

/** Throws modelError (4) where a stage needs Jobs that failed; usageError (2) outside a pod. */
export async function followJobs(
  stages: readonly string[],
  { queue, every }: Values<typeof followOptions>,
  caller: Caller = {},
): Promise<void> {
  const { reporter, signal } = callOf(caller);
  const { clusterApi, followStages } = await import("../../jobs/kubernetes/follow.js");
  const names = stages.map((stage) => stage.split(",").filter((name) => name !== ""));
  await followStages(names, { api: await clusterApi(), queue, pause: every }, { reporter, signal });
}
