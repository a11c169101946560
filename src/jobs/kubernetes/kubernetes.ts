// Kubernetes: one file with a Job for each array, indexed, and a small one that lets each stage begin when those before it have
// ended (follow.ts). Later Jobs are suspended until then, so that none holds a GPU while it waits; with a queue of Kueue's they
// get its label then, after which Kueue starts them when there is room.

import path from "node:path";
import { stringify } from "yaml";
import { usageError } from "../../errors/errors";
import type { JobSystemName } from "../../settings/jobs";
import type { JobFile, JobState, JobStatus, JobSystem, JobWork, Submission } from "../job-system";
import { tool } from "../shell";
import { fromRanges, type JobArray } from "../stages";
import { followObjects } from "./follow-job";
import { AFTER, jobState, type KubernetesJob, QUEUE_LABEL } from "./job";
import { jobName, kubernetesOf, labelsOf } from "./names";
import { podSpec } from "./pod";

/** Lists of trials go into a ConfigMap, which may have 1 MiB. */
const LARGEST_ARRAY = 10_000;

/** Indexed Jobs of more than this many completions are refused by the API (KEP-1847's limits). */
const MOST_PARALLEL = 10_000;

const FILE = "jobs.yaml";

export const kubernetes: JobSystem = {
  name: "kubernetes" satisfies JobSystemName,

  check(work) {
    const { experiment, cwd, out } = work;
    const { image, volume } = kubernetesOf(work);
    const missing = Object.entries({ image, volume }).filter(([, value]) => value === undefined);
    if (missing.length > 0) {
      const keys = missing.map(([key]) => `jobs.kubernetes.${key}`).join(" and ");
      throw usageError(
        `${experiment.file}: ${keys}: Kubernetes needs an image with flexbert and a volume that all jobs share`,
      );
    }
    for (const [what, place] of Object.entries({ "the experiment": experiment.file, "--out": out })) {
      const inside = path.relative(cwd, path.resolve(cwd, place));
      if (inside === "" || (!inside.startsWith("..") && !path.isAbsolute(inside))) continue;
      throw usageError(
        `${place}: ${what} must lie in the working folder, which is what the volume holds of the project`,
      );
    }
  },

  async largestArray() {
    return LARGEST_ARRAY;
  },

  write(work) {
    const head =
      `# flexbert: ${work.experiment.name} on Kubernetes (plan ${work.plan}). Stands alone: kubectl apply -f this file; edit it, keep it.\n` +
      `# The volume holds the project at ${kubernetesOf(work).mount}: data, tasks, and the base in its folder cache.\n`;
    const documents = objectsOf(work).map((object) =>
      stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }),
    );
    const file: JobFile = { name: FILE, content: `${head}${documents.join("---\n")}` };
    return [file];
  },

  async submit(work, _, onArray) {
    await tool("kubectl", ["apply", "-f", path.join(work.folder, FILE)], "kubectl");
    for (const array of work.arrays) {
      const packs = array.stage.packs === null ? [""] : array.packs;
      await onArray({ name: array.name, stage: array.stage.name, packs, id: jobName(work, array.name) });
    }
  },

  async look(submission) {
    const printed = await tool("kubectl", ["get", "jobs", ...selector(submission), "--output=json"], "kubectl");
    const found = new Map((JSON.parse(printed).items as KubernetesJob[]).map((job) => [job.metadata.name, job]));
    return submission.arrays.flatMap((array) => statusOf(array, found.get(array.id)));
  },

  async cancel(submission, arrays) {
    if (arrays.length === 0) return;
    const whole = arrays.length === submission.arrays.length;
    const which = whole
      ? ["jobs,configmaps,rolebindings,roles,serviceaccounts", ...selector(submission)]
      : ["jobs", ...arrays.map(({ id }) => id), ...spaceOf(submission)];
    await tool("kubectl", ["delete", ...which, "--ignore-not-found", "--wait=false"], "kubectl");
  },
};

function selector(submission: Submission): string[] {
  const labels = Object.entries(labelsOf(submission.experiment, submission.number)).map(
    ([key, value]) => `${key}=${value}`,
  );
  return [`--selector=${labels.join(",")}`, ...spaceOf(submission)];
}

const spaceOf = ({ namespace }: Submission) => (namespace === undefined ? [] : [`--namespace=${namespace}`]);

/** Indexes as a Job's status has them, "0-2,7". */
function statusOf(array: Submission["arrays"][number], job: KubernetesJob | undefined): JobStatus[] {
  const done = new Set(fromRanges(job?.status?.completedIndexes ?? ""));
  const failed = new Set(fromRanges(job?.status?.failedIndexes ?? ""));
  const ended = job === undefined ? null : jobState(job);
  return array.packs.map((_, index): JobStatus => {
    const waiting: JobState = job === undefined || ended !== null ? "gone" : job.status?.active ? "running" : "pending";
    const state: JobState = done.has(index) ? "done" : failed.has(index) ? "failed" : waiting;
    const reason = job?.spec.suspend ? "waits for the stage before it" : null;
    return { array, index, state, code: done.has(index) ? 0 : null, reason: state === "pending" ? reason : null };
  });
}

/** All objects, in the order in which they are made. */
function objectsOf(work: JobWork): object[] {
  const own = kubernetesOf(work);
  const labels = labelsOf(work.experiment.name, work.number);
  const meta = (name: string, more: object = {}) => ({
    name,
    ...(own.namespace === undefined ? {} : { namespace: own.namespace }),
    labels: { ...labels, ...more },
  });
  const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    // Without the labels: cancelling a submission must not take the results with it.
    metadata: { name: own.volume, ...(own.namespace === undefined ? {} : { namespace: own.namespace }) },
    spec: {
      accessModes: ["ReadWriteMany"],
      ...(own.storageClass === undefined ? {} : { storageClassName: own.storageClass }),
      resources: { requests: { storage: `${Math.ceil((own.storage ?? 0) / 2 ** 20)}Mi` } },
    },
  };
  const lists = work.arrays.filter(({ stage }) => stage.packs !== null);
  const config = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: meta(jobName(work, "files")),
    data: {
      "experiment.yaml": work.text,
      ...Object.fromEntries(lists.map(({ name, packs }) => [`${name}.txt`, `${packs.join("\n")}\n`])),
    },
  };
  const jobs = work.arrays.map((array) => jobOf(work, array, meta));
  return [...(own.storage === undefined ? [] : [claim]), config, ...jobs, ...followObjects(work, own, meta)];
}

function jobOf(work: JobWork, array: JobArray, meta: (name: string, labels?: object) => object): object {
  const own = kubernetesOf(work);
  const { stage } = array;
  const completions = Math.max(1, array.packs.length);
  const first = stage.name === work.arrays[0]?.stage.name;
  const queue = first && own.queue !== undefined ? { [QUEUE_LABEL]: own.queue } : {};
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      ...meta(jobName(work, array.name), { "flexbert/stage": stage.name, ...queue }),
      annotations: { [AFTER]: stage.after },
    },
    spec: {
      // Kueue takes a Job with its label that is suspended, and starts it.
      suspend: !first || own.queue !== undefined,
      completionMode: "Indexed",
      completions,
      parallelism: Math.min(completions, work.settings.parallel ?? MOST_PARALLEL),
      backoffLimitPerIndex: own.retries,
      // One trial that diverged stops no other.
      maxFailedIndexes: Math.min(completions, own.maxFailed ?? completions),
      ttlSecondsAfterFinished: Math.ceil(own.keep / 1000),
      podFailurePolicy: {
        rules: [
          // What the file, the data, the base or the engine have against a trial, they have again.
          failurePolicy("FailIndex", [2, 3, 4, 5, 6]),
          // Stopped with its state saved: no failure. 1 and whatever else ended it is tried again, so often.
          failurePolicy("Ignore", [143]),
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        metadata: { labels: { ...labelsOf(work.experiment.name, work.number) } },
        spec: podSpec(work, array),
      },
    },
  };
}

const failurePolicy = (action: string, values: readonly number[]) => ({
  action,
  onExitCodes: { containerName: "flexbert", operator: "In", values },
});
