// An experiment on other machines: its trials as arrays of jobs of a job system, how those stand, and cancelling them.

import path from "node:path";
import { failure, usageError } from "../../errors/errors";
import type { ListedTrial } from "../../experiment/listing";
import type { Experiment } from "../../experiment/read";
import type { JobFile, JobStatus, JobSystem, JobWork, Submission, SubmittedArray } from "../../jobs/job-system";
import type { JobArray } from "../../jobs/stages";
import type { StoredSubmission } from "../../jobs/submission";
import { type Given, readGiven } from "../../options/given";
import { type Definition, optional, type Values } from "../../options/option";
import { text } from "../../options/readers";
import { settingsFrom } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { dryRun, offline } from "../../settings/call";
import { type JobSystemName, jobSettings, onOption } from "../../settings/jobs";
import { type Call, type Caller, callOf } from "../caller";
import { experimentOptions, type OpenedExperiment, openExperiment } from "../experiment/open";
import { secondsOf } from "./seconds";

export const submitOptions = (recipes: Recipes) => {
  const { out, checkpoints, glueData } = experimentOptions(recipes);
  return { ...onOption, out, checkpoints, glueData, ...dryRun, ...offline };
};

const outOption: { readonly out: Definition<string | undefined> } = {
  out: optional(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "where results go (default results/NAME)",
    inConfig: false,
  }),
};

export const jobsOptions = outOption;

export type SubmitOptions = Given<ReturnType<typeof submitOptions>>;
export type JobsOptions = Given<typeof jobsOptions>;

export interface SubmittedJobs {
  readonly system: JobSystemName;
  /** The submission's folder with its scripts, logs and exit codes. */
  readonly folder: string;
  readonly plan: string;
  /** Trials that were submitted, those that jobs of earlier submissions have, and those that are finished. */
  readonly trials: number;
  readonly queued: number;
  readonly finished: number;
  /** In their order; without ids after a dry run. */
  readonly stages: readonly {
    readonly stage: string;
    readonly array: string;
    readonly jobs: number;
    readonly id: string | null;
  }[];
  /** What a dry run would hand over. */
  readonly files: readonly JobFile[];
}

/**
 * Submits what is left of an experiment. Throws UserError (2) for a file or settings with which no job could run, (1) where the
 * job system refuses: what it had taken by then is cancelled.
 */
export async function submitJobs(file: string, options: SubmitOptions, caller: Caller = {}): Promise<SubmittedJobs> {
  const call = callOf(caller);
  const values = readGiven(submitOptions(call.recipes), options);
  const { systems } = await import("../../jobs/job-systems.js");
  if (values.on === undefined) throw usageError(`--on is missing: ${Object.keys(systems).join(" or ")}`);
  const system = systems[values.on];
  const opened = await openForJobs(file, values, call);
  const { experiment, out } = opened;
  system.check({ experiment, cwd: process.cwd(), out });
  if (!values.dryRun) await requireSharedSemantics(out, call);
  const active = await activeJobs(out, system, values.dryRun, call);
  const { work, left, queued } = await workOf(opened, system, values, active, call);
  const files = system.write(work);
  const trials = left.length;
  const stages = (ids: ReadonlyMap<string, string>) =>
    work.arrays.map((array) => ({
      ...{ stage: array.stage.name, array: array.name, jobs: Math.max(1, array.packs.length) },
      id: ids.get(array.name) ?? null,
    }));
  const common = { system: system.name, folder: work.folder, plan: work.plan, trials, queued };
  const all = { ...common, finished: opened.resolver.trials.length - trials - queued };
  if (work.arrays.length === 0 || values.dryRun) return { ...all, stages: stages(new Map()), files };
  return { ...all, stages: stages(await handOver(work, system, files, active, call)), files: [] };
}

type SubmitValues = Values<ReturnType<typeof submitOptions>>;

async function openForJobs(
  file: string,
  values: Pick<SubmitValues, "out" | "checkpoints" | "glueData" | "offline">,
  call: Call,
): Promise<OpenedExperiment> {
  const { workOptions } = await import("../../settings/work.js");
  const none = { from: undefined, only: undefined, trial: undefined, shard: undefined, force: false };
  const cacheBudget = workOptions.cacheBudget.read(workOptions.cacheBudget.fallback);
  const { out, checkpoints, glueData, offline: off } = values;
  const opened = await openExperiment(file, { ...none, cacheBudget, out, checkpoints, glueData, offline: off }, call);
  const { search } = opened.experiment;
  if (search === "full") return opened;
  throw usageError(
    `${file} has search: ${search}, which decides by itself what is trained when. Start flexbert run ${file} as several tasks of a ` +
      "job of your own: they share the work",
  );
}

/** Throws failure (1) where the results' disk lacks what claims and results stand on. */
async function requireSharedSemantics(out: string, call: Call): Promise<void> {
  const { probeFolder } = await import("../../jobs/probe/probe.js");
  const problems = (await probeFolder(out, call.signal)).filter(({ problem }) => problem !== null);
  if (problems.length === 0) return;
  throw failure([
    `${out}: its file system lacks what jobs on several machines need (docs/scale.md). Give --out on another`,
    ...problems.map(({ what, problem }) => `  ${what}: ${problem}`),
  ]);
}

interface Active {
  readonly stored: StoredSubmission;
  readonly jobs: readonly JobStatus[];
}

/** Jobs of earlier submissions that have not ended; none are looked for by a dry run where there is no job system to ask. */
async function activeJobs(out: string, system: JobSystem, dry: boolean, call: Call): Promise<Active[]> {
  const { readSubmissions } = await import("../../jobs/submission.js");
  const { isActive } = await import("../../jobs/job-system.js");
  const { systems } = await import("../../jobs/job-systems.js");
  const found: Active[] = [];
  for (const stored of await readSubmissions(out)) {
    const { submission, folder } = stored;
    const other = systems[submission.system];
    const jobs = await other.look(submission, folder).catch((error: Error) => {
      if (!dry) throw error;
      call.reporter.log(`${folder}: not looked at (${error.message})`);
      return [];
    });
    const active = jobs.filter(isActive);
    if (active.length === 0) continue;
    if (submission.system === system.name) found.push({ stored, jobs: active });
    else
      throw usageError(
        `${folder} has jobs on ${submission.system} that have not ended: wait, or run flexbert jobs cancel`,
      );
  }
  return found;
}

async function workOf(
  opened: OpenedExperiment,
  system: JobSystem,
  values: SubmitValues,
  active: readonly Active[],
  call: Call,
): Promise<{ work: JobWork; left: readonly ListedTrial[]; queued: number }> {
  const { experiment, resolver, out, steps } = opened;
  const { listWork } = await import("../../experiment/listing.js");
  const { isLastStep, planHash } = await import("../../experiment/plan.js");
  const { arraysOf, fromRanges, listStages } = await import("../../jobs/stages.js");
  const { nextNumber, submissionFolder } = await import("../../jobs/submission.js");
  const plan = planHash(resolver.trials, resolver.base);
  const older = active.find(({ stored }) => stored.submission.plan !== plan);
  if (older) {
    throw usageError(
      `${experiment.file} has changed since ${older.stored.folder} was submitted, and jobs of it have not ended: run flexbert jobs cancel`,
    );
  }
  const { trials } = await listWork(resolver, resolver.trials);
  const open = trials.filter(({ state }) => state !== "finished" && state !== "unneeded");
  const taken = new Set(
    active.flatMap(({ jobs }) => jobs.flatMap(({ array, index }) => fromRanges(array.packs[index] ?? ""))),
  );
  const left = open.filter(({ spec }) => !taken.has(spec.index));
  const settings = settingsFrom(jobSettings, { ...experiment.jobs });
  const seconds = await secondsOf(trials, settings, call);
  const last = left.length === 0 && taken.size > 0 ? [] : steps.filter(isLastStep);
  const stages = listStages(left, last, settings.pack, seconds);
  const number = await nextNumber(out);
  const largest = await system.largestArray().catch(async (error: Error) => {
    if (!values.dryRun) throw error;
    const { DEFAULT_ARRAY } = await import("../../jobs/slurm.js");
    call.reporter.log(`${error.message}; arrays of at most ${DEFAULT_ARRAY}, as Slurm has by default`);
    return DEFAULT_ARRAY;
  });
  const work = {
    ...{ experiment, plan, cwd: process.cwd(), out, number, settings, folder: submissionFolder(out, number) },
    text: await textOf(experiment),
    options: optionsOf(values),
    arrays: arraysOf(stages, largest),
  };
  return { work, left, queued: open.length - left.length };
}

async function textOf({ file }: Experiment): Promise<string> {
  const { readYamlText } = await import("../../options/yaml-file.js");
  return readYamlText(file, "the experiment file");
}

const optionsOf = ({ checkpoints, glueData, offline: off }: SubmitValues): string[] => [
  ...(checkpoints === undefined ? [] : ["--checkpoints", checkpoints]),
  ...(glueData === "glue-data" ? [] : ["--glue-data", glueData]),
  ...(off ? ["--offline"] : []),
];

/** The ids of what was handed over, by array. */
async function handOver(
  work: JobWork,
  system: JobSystem,
  files: readonly JobFile[],
  active: readonly Active[],
  call: Call,
): Promise<Map<string, string>> {
  const { writeJobFiles, writeSubmission } = await import("../../jobs/submission.js");
  const training = new Set(work.experiment.blocks.map(({ recipe }) => recipe.method));
  // Their select, merge and report would wait for a trial that failed: these do them.
  for (const { stored, jobs } of active) {
    const steps = [...new Set(jobs.map(({ array }) => array))].filter(({ stage }) => !training.has(stage));
    await system.cancel(stored.submission, steps);
  }
  const before = [...new Set(active.flatMap(({ jobs }) => jobs.map(({ array }) => array)))].filter(({ stage }) =>
    training.has(stage),
  );
  await writeJobFiles(work.folder, files);
  const arrays: SubmittedArray[] = [];
  const record = (): Submission => {
    const { plan, number, experiment } = work;
    const space = system.name === "kubernetes" ? experiment.jobs?.kubernetes?.namespace : undefined;
    return {
      ...(space === undefined ? {} : { namespace: space }),
      format: 1,
      system: system.name,
      number,
      experiment: experiment.name,
      plan,
      at: new Date().toISOString(),
      arrays,
    };
  };
  try {
    await system.submit(work, before, async (array) => {
      arrays.push(array);
      await writeSubmission(work.folder, record());
    });
  } catch (error) {
    await system
      .cancel(record(), arrays)
      .catch((cause: Error) => call.reporter.warn(`not cancelled: ${cause.message}`));
    throw error;
  }
  return new Map(arrays.map(({ name, id }) => [name, id]));
}

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
  readonly log: string;
  /** The log's last error; null where it has none. */
  readonly error: string | null;
}

/** How the jobs of an experiment stand. Throws usageError (2) where none were submitted. */
export async function jobsStatus(file: string, options: JobsOptions = {}): Promise<JobsStatus> {
  const { name, stored } = await submissionsOf(file, options);
  const { systems } = await import("../../jobs/job-systems.js");
  const { lastError, logFile } = await import("../../jobs/logs.js");
  const submissions: JobsStatus["submissions"][number][] = [];
  const latest = new Map<string, FailedJob | null>();
  for (const { submission, folder } of stored) {
    const jobs = await systems[submission.system].look(submission, folder);
    submissions.push({ system: submission.system, folder, at: submission.at, stages: stagesOf(jobs) });
    for (const job of jobs) {
      const { array, index, state, code } = job;
      const trials = array.packs[index] ?? "";
      const key = trials === "" ? array.stage : trials;
      const log = logFile(folder, array.name, index);
      const bad = state === "failed" || state === "gone";
      latest.set(key, bad ? { stage: array.stage, trials, state, code, log, error: await lastError(log) } : null);
    }
  }
  return { experiment: name, submissions, failed: [...latest.values()].filter((one) => one !== null) };
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

export type { JobArray };
