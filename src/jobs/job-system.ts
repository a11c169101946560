// What a job system is: one object in one file (slurm.ts, kubernetes/kubernetes.ts), over arrays of jobs that stages.ts derives
// from the plan. A new one is such a file, its name in settings/jobs.ts and its line in job-systems.ts.

import type { Experiment } from "../experiment/read";
import type { SettingsOf } from "../options/settings";
import type { JobSystemName, jobSettings } from "../settings/jobs";
import type { JobArray } from "./stages";

/** All that the files of a submission say. Paths are relative to the working folder, or absolute. */
export interface JobWork {
  readonly experiment: Experiment;
  /** The file as it was read. */
  readonly text: string;
  /** As `planHash` has it. */
  readonly plan: string;
  /** Where the project lies here. */
  readonly cwd: string;
  /** The experiment's results, which all jobs share. */
  readonly out: string;
  /** What else each `flexbert run` is given. */
  readonly options: readonly string[];
  /** The number of the submission, from 1. */
  readonly number: number;
  /** Where its files, logs and exit codes lie. */
  readonly folder: string;
  readonly settings: SettingsOf<typeof jobSettings>;
  /** In their order. */
  readonly arrays: readonly JobArray[];
  /** The names of all stages of the file, in their order. */
  readonly order: readonly string[];
}

export interface JobFile {
  readonly name: string;
  readonly content: string;
  /** A script that is run as it is. */
  readonly executable?: boolean;
}

/** An array as it was handed over. */
export interface SubmittedArray {
  readonly name: string;
  readonly stage: string;
  readonly packs: readonly string[];
  /** How the job system knows it. */
  readonly id: string;
}

/** submission.json. */
export interface Submission {
  readonly format: 1;
  readonly flexbert?: string;
  readonly system: JobSystemName;
  readonly number: number;
  readonly experiment: string;
  readonly plan: string;
  readonly at: string;
  /** Of Kubernetes' objects, where the file names one. */
  readonly namespace?: string;
  readonly arrays: readonly SubmittedArray[];
}

/**
 * pending: not begun, or put back into the queue; done: ended with 0; failed: ended otherwise; gone: the job system has it no
 * more and it left no exit code: cancelled, or killed with its node.
 */
export type JobState = "pending" | "running" | "done" | "failed" | "gone";

export interface JobStatus {
  readonly array: SubmittedArray;
  readonly index: number;
  readonly state: JobState;
  /** Of one that has ended and said so. */
  readonly code: number | null;
  /** What the job system says of it: "Priority", "DependencyNeverSatisfied". */
  readonly reason: string | null;
}

export interface JobSystem {
  readonly name: JobSystemName;
  /** Throws usageError (2) for settings with which no job could run. */
  check(work: Pick<JobWork, "experiment" | "cwd" | "out" | "options">): void;
  /** Jobs that one array may have; asks the site. */
  largestArray(): Promise<number>;
  /** Files that stand alone: whoever has them can submit, edit and keep them. */
  write(work: JobWork): readonly JobFile[];
  /**
   * Hands over what `write` wrote into the folder.
   * @param before active arrays of earlier submissions that train what these need
   * @param onArray hears each array as soon as it is handed over
   */
  submit(
    work: JobWork,
    before: readonly SubmittedArray[],
    onArray: (array: SubmittedArray) => Promise<void>,
  ): Promise<void>;
  /** How the jobs of a submission stand. */
  look(submission: Submission, folder: string): Promise<JobStatus[]>;
  /** Where a job's log is: a file, or what prints it. */
  whereLog(submission: Submission, folder: string, array: SubmittedArray, index: number): string;
  /** Cancels arrays; those that have ended stay as they are. */
  cancel(submission: Submission, arrays: readonly SubmittedArray[]): Promise<void>;
}

export const isActive = ({ state }: Pick<JobStatus, "state">) => state === "pending" || state === "running";
