// The `jobs:` section of an experiment file: what a job of a job system is given. Nothing here changes a weight, so none of it
// is part of an id. The flags are no flags of a command: their names are the section's keys.

import { option, optional } from "../options/option";
import { bytes, choice, duration, integer, list, text } from "../options/readers";
import { deviceOption, engineOptions } from "./engine";
import { workOptions } from "./work";

export const jobSystems = ["slurm", "kubernetes"] as const;
export type JobSystemName = (typeof jobSystems)[number];

/** "auto", or how many trials a job trains one after the other. */
function packSize(given: unknown): "auto" | number {
  if (given === "auto") return given;
  try {
    return integer({ min: 1 })(given);
  } catch {
    throw new Error('"auto" or a whole number of at least 1');
  }
}

/** A name as Slurm and Kubernetes know partitions, accounts, claims and the like: it goes into scripts. */
function plainName(given: unknown): string {
  const name = text(given);
  if (!/^[\w][\w.,:/@-]*$/.test(name)) throw new Error("a name of letters, digits and . , : / @ _ -");
  return name;
}

/** A name of Kubernetes' API: of a namespace, a queue, a claim or a class of volumes. */
function apiName(given: unknown): string {
  const name = text(given);
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new Error("a name of at most 63 small letters, digits and dashes, such as team-a");
  }
  return name;
}

/** Options of sbatch, each on a line of its own in a script. */
function sbatchOptions(given: unknown): string[] {
  const options = list(given);
  if (options.every((one) => /^-[^\p{Cc}]*$/u.test(one))) return options;
  throw new Error('options that begin with "-", such as --exclusive');
}

function absolutePath(given: unknown): string {
  const folder = text(given);
  if (!/^\/[\w./-]*$/.test(folder)) throw new Error("an absolute path without blanks, such as /project");
  return folder;
}

/** A folder on a node; in it the node's own variables, such as $TMPDIR. */
function nodeFolder(given: unknown): string {
  const folder = text(given);
  if (!/^(\/|\$[A-Za-z_])[\w./$-]*$/.test(folder)) {
    throw new Error("an absolute path without blanks, such as /scratch/$USER, or $TMPDIR");
  }
  return folder;
}

/** What every job system gives a job. */
export const jobSettings = {
  gpus: option(integer({ min: 0, max: 1 }), {
    flag: "--gpus",
    help: "GPUs of a job: 1, or 0 for training on CPUs",
    fallback: 0,
  }),
  cpus: option(integer({ min: 1, max: 1024 }), { flag: "--cpus", help: "CPUs of a job: its threads", fallback: 2 }),
  memory: option(bytes(), { flag: "--memory", help: "of a job", fallback: "8GiB" }),
  parallel: optional(integer({ min: 1 }), { flag: "--parallel", help: "jobs of a stage that run at once" }),
  pack: option(packSize, {
    flag: "--pack",
    help: "trials a job: a number, or auto, which packs those that are shorter than a minute",
    fallback: "auto",
  }),
  saveEvery: workOptions.saveEvery,
  nodeCache: optional(nodeFolder, {
    flag: "--node-cache",
    help: "on each node's own disk, in which jobs of one node share trunk activations",
  }),
  engine: engineOptions.engine,
  device: deviceOption.device,
};

export const slurmSettings = {
  partition: optional(plainName, { flag: "--partition", help: "of jobs that train" }),
  cpuPartition: optional(plainName, { flag: "--cpu-partition", help: "of select, merge and report" }),
  account: optional(plainName, { flag: "--account", help: "who pays" }),
  qos: optional(plainName, { flag: "--qos", help: "quality of service" }),
  time: optional(duration, { flag: "--time", help: "limit of a job, such as 4h: it saves and is queued again" }),
  gres: optional(plainName, { flag: "--gres", help: "what asks for a GPU in place of --gpus, such as gpu:a100:1" }),
  command: optional(text, { flag: "--command", help: "what starts flexbert on a node (default: as it was started)" }),
  setup: optional(text, { flag: "--setup", help: "shell lines before it, such as module load" }),
  options: optional(sbatchOptions, { flag: "--options", help: "further options of sbatch" }),
};

export const kubernetesSettings = {
  image: optional(plainName, { flag: "--image", help: "with flexbert in it" }),
  volume: optional(apiName, { flag: "--volume", help: "claim of the volume that all jobs share" }),
  mount: option(absolutePath, {
    flag: "--mount",
    help: "where that is mounted: jobs work there",
    fallback: "/project",
  }),
  namespace: optional(apiName, { flag: "--namespace", help: "of all objects" }),
  queue: optional(apiName, { flag: "--queue", help: "Kueue's local queue" }),
  command: option(text, { flag: "--command", help: "what starts flexbert in the image", fallback: "flexbert" }),
  gpuResource: option(plainName, { flag: "--gpu-resource", help: "name of a GPU", fallback: "nvidia.com/gpu" }),
  retries: option(integer({ min: 0 }), { flag: "--retries", help: "of an index that failed by itself", fallback: 2 }),
  maxFailed: optional(integer({ min: 0 }), { flag: "--max-failed", help: "failed indexes that end a stage at once" }),
  keep: option(duration, { flag: "--keep", help: "how long a finished Job stays", fallback: "7d" }),
  user: option(integer({ min: 1 }), { flag: "--user", help: "number of user and group", fallback: 1000 }),
  storage: optional(bytes(), { flag: "--storage", help: "makes the claim, of that size" }),
  storageClass: optional(apiName, { flag: "--storage-class", help: "of the claim that is made" }),
};

export const onOption = {
  on: optional(choice(jobSystems), { flag: "--on", value: "<system>", help: "slurm or kubernetes", inConfig: false }),
};
