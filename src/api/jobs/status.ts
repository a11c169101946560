// How the jobs of an experiment stand, and cancelling them.

import path from "node:path";
import { usageError } from "../../errors/errors";
import type { JobStatus, JobSystem } from "../../jobs/job-system";
import type { StoredSubmission } from "../../jobs/submission";
import { type Given, readGiven } from "../../options/given";
import type { JobSystemName } from "../../settings/jobs";
import { outOption } from "../experiment/open";

export const jobsOptions = outOption;

export type JobsOptions = Given<typeof jobsOptions>;

export interface JobsStatus {
  readonly experiment: string;
  readonly submissions: readonly {
    readonly system: JobSystemName;
    readonly folder: string;
    readonly at: string;
    readonly stages: readonly StageStatus[];
  }[];
  /** Jobs of the newest submission of their trials that ended with an error or are gone. */
  readonly failed: readonly FailedJob[];
}

export interface StageStatus {
  readonly stage: string;
  readonly ids: readonly string[];
  readonly jobs: number;
  readonly pending: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly gone: number;
  /** What the job system says of the first that is pending. */
  readonly reason: string | null;
}

export interface FailedJob {
  readonly stage: string;
  /** "4-5"; empty for a step after training. */
  readonly trials: string;
  readonly state: "failed" | "gone";
  readonly code: number | null;
  /** Its file, or the command that prints it where it is no file here. */
  readonly log: string;
  /** The log's last error; null where it has none, or is no file. */
  readonly error: string | null;
}

/** How the jobs of an experiment stand. Throws usageError (2) where none were submitted. */
export async function jobsStatus(file: string, options: JobsOptions = {}): Promise<JobsStatus> {
  const { name, stored } = await submissionsOf(file, options);
  const { systems } = await import("../../jobs/job-systems.js");
  const { fromRanges } = await import("../../jobs/stages.js");
  const submissions: JobsStatus["submissions"][number][] = [];
  /** Of each trial, and of each step after training, the job that had it last. */
  const latest = new Map<number | string, SubmittedJob>();
  for (const from of stored) {
    const { submission, folder } = from;
    const jobs = await systems[submission.system].look(submission, folder);
    submissions.push({ system: submission.system, folder, at: submission.at, stages: stagesOf(jobs) });
    for (const job of jobs) {
      const trials = job.array.packs[job.index] ?? "";
      const submitted = { job, from };
      for (const key of trials === "" ? [job.array.stage] : fromRanges(trials)) latest.set(key, submitted);
    }
  }
  const failed: FailedJob[] = [];
  for (const submitted of new Set(latest.values())) {
    const one = await failedJob(submitted, systems);
    if (one) failed.push(one);
  }
  return { experiment: name, submissions, failed };
}

interface SubmittedJob {
  readonly job: JobStatus;
  readonly from: StoredSubmission;
}

async function failedJob(
  { job: { array, index, state, code }, from: { submission, folder } }: SubmittedJob,
  systems: Readonly<Record<JobSystemName, JobSystem>>,
): Promise<FailedJob | null> {
  if (state !== "failed" && state !== "gone") return null;
  const { lastError } = await import("../../jobs/logs.js");
  const log = systems[submission.system].whereLog(submission, folder, array, index);
  const trials = array.packs[index] ?? "";
  return { stage: array.stage, trials, state, code, log, error: await lastError(log) };
}

function stagesOf(jobs: readonly JobStatus[]): StageStatus[] {
  return [...new Set(jobs.map(({ array }) => array.stage))].map((stage) => {
    const own = jobs.filter(({ array }) => array.stage === stage);
    const count = (wanted: JobStatus["state"]) => own.filter(({ state }) => state === wanted).length;
    return {
      stage,
      ids: [...new Set(own.map(({ array }) => array.id))],
      jobs: own.length,
      ...{ pending: count("pending"), running: count("running"), done: count("done") },
      ...{ failed: count("failed"), gone: count("gone") },
      reason: own.find(({ state }) => state === "pending")?.reason ?? null,
    };
  });
}

/** Cancels what has not ended, and returns its ids. Trials keep their states. */
export async function cancelJobs(
  file: string,
  options: JobsOptions = {},
): Promise<{ readonly cancelled: readonly string[] }> {
  const { stored } = await submissionsOf(file, options);
  const { systems } = await import("../../jobs/job-systems.js");
  const { isActive } = await import("../../jobs/job-system.js");
  const cancelled: string[] = [];
  for (const { submission, folder } of stored) {
    const system = systems[submission.system];
    const active = (await system.look(submission, folder)).filter(isActive);
    const arrays = [...new Set(active.map(({ array }) => array))];
    await system.cancel(submission, arrays);
    cancelled.push(...arrays.map(({ id }) => id));
  }
  return { cancelled };
}

async function submissionsOf(
  file: string,
  options: JobsOptions,
): Promise<{ name: string; stored: readonly StoredSubmission[] }> {
  const { out } = readGiven(jobsOptions, options);
  const { readSubmissions } = await import("../../jobs/submission.js");
  const name = path.basename(file).replace(/\.ya?ml$/i, "");
  const folder = out ?? path.join("results", name);
  const stored = await readSubmissions(folder);
  if (stored.length > 0) return { name, stored };
  throw usageError(`${folder} has no submitted jobs. Run: flexbert jobs submit ${file} --on slurm, or give --out`);
}
