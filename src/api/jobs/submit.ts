// An experiment on other machines: what is left of its trials as arrays of jobs of a job system.

import { failure, usageError } from "../../errors/errors";
import type { Experiment } from "../../experiment/read";
import type { JobFile, JobStatus, JobSystem, JobWork, Submission, SubmittedArray } from "../../jobs/job-system";
import { fromRanges, type LeftTrial } from "../../jobs/stages";
import type { StoredSubmission } from "../../jobs/submission";
import { type Given, readGiven } from "../../options/given";
import type { Values } from "../../options/option";
import { settingsFrom } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { dryRun, offline } from "../../settings/call";
import { type JobSystemName, jobSettings, onOption } from "../../settings/jobs";
import { type Call, type Caller, callOf } from "../caller";
import { experimentOptions, type OpenedExperiment, openExperiment } from "../experiment/open";
import { lastFinished, secondsOf } from "./seconds";

export const submitOptions = (recipes: Recipes) => {
  const { out, checkpoints, glueData } = experimentOptions(recipes);
  return { ...onOption, out, checkpoints, glueData, ...dryRun, ...offline };
};

export type SubmitOptions = Given<ReturnType<typeof submitOptions>>;

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
  system.check({ experiment, cwd: process.cwd(), out, options: optionsOf(values) });
  const active = await activeJobs(out, system, values.dryRun, call);
  const { work, left, queued, superseded } = await workOf(opened, system, values, active, call);
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
  await requireSharedSemantics(out, call);
  return { ...all, stages: stages(await handOver(work, system, files, { active, superseded }, call)), files: [] };
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
  const given = { ...none, cacheBudget, out, checkpoints, glueData, offline: off };
  const opened = await openExperiment(file, given, call, null, false);
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
): Promise<{
  work: JobWork;
  left: readonly LeftTrial[];
  queued: number;
  superseded: ReadonlySet<SubmittedArray>;
}> {
  const { experiment, resolver, out, steps } = opened;
  const { passWork } = await import("../../experiment/listing.js");
  const { isLastStep, planHash } = await import("../../experiment/plan.js");
  const { arraysOf, listStages } = await import("../../jobs/stages.js");
  const { nextNumber, submissionFolder } = await import("../../jobs/submission.js");
  const plan = planHash(resolver.trials, resolver.base);
  const older = active.find(({ stored }) => stored.submission.plan !== plan);
  if (older) {
    throw usageError(
      `${experiment.file} has changed since ${older.stored.folder} was submitted, and jobs of it have not ended: run flexbert jobs cancel`,
    );
  }
  const open: LeftTrial[] = [];
  const finished = lastFinished();
  await passWork(resolver, resolver.trials, (trial) => {
    const { state, flops, spec } = trial;
    finished.hear(trial);
    if (state === "finished" || state === "unneeded") return;
    open.push({ index: spec.index, method: spec.recipe.method, task: spec.task.name, flops });
  });
  const superseded = supersededBy(open, active, steps);
  const running = active.flatMap(({ jobs }) => jobs.filter(({ array }) => !superseded.has(array)));
  const taken = new Set(running.flatMap(({ array, index }) => fromRanges(array.packs[index] ?? "")));
  const left = open.filter(({ index }) => !taken.has(index));
  const settings = settingsFrom(jobSettings, { ...experiment.jobs });
  const seconds = await secondsOf(finished.trials, settings, call);
  const last = left.length === 0 && active.length > 0 ? [] : steps.filter(isLastStep);
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
    order: steps,
  };
  return { work, left, queued: open.length - left.length, superseded };
}

/**
 * Arrays of earlier submissions that this one does in their place: stages of which nothing has begun, and which come after one
 * of which something failed and is submitted again. They would not wait for it.
 */
function supersededBy(
  open: readonly LeftTrial[],
  active: readonly Active[],
  order: readonly string[],
): ReadonlySet<SubmittedArray> {
  const jobs = active.flatMap((one) => one.jobs);
  const covered = new Set(jobs.flatMap(({ array, index }) => fromRanges(array.packs[index] ?? "")));
  const again = open.filter(({ index }) => !covered.has(index)).map(({ method }) => order.indexOf(method));
  const first = again.reduce((least, one) => Math.min(least, one), order.length);
  const begun = new Set(jobs.filter(({ state }) => state !== "pending").map(({ array }) => array));
  const trains = ({ packs }: SubmittedArray) => packs[0] !== "";
  // Steps after training are done again by what is submitted now, if anything is.
  return new Set(
    jobs
      .map(({ array }) => array)
      .filter(
        (array) => !begun.has(array) && again.length > 0 && (!trains(array) || order.indexOf(array.stage) > first),
      ),
  );
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
  { active, superseded }: { readonly active: readonly Active[]; readonly superseded: ReadonlySet<SubmittedArray> },
  call: Call,
): Promise<Map<string, string>> {
  const { writeJobFiles, writeSubmission } = await import("../../jobs/submission.js");
  for (const { stored, jobs } of active) {
    const arrays = [...new Set(jobs.map(({ array }) => array))].filter((array) => superseded.has(array));
    await system.cancel(stored.submission, arrays);
  }
  const before = [...new Set(active.flatMap(({ jobs }) => jobs.map(({ array }) => array)))].filter(
    (array) => !superseded.has(array),
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
