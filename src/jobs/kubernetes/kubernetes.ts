// Kubernetes: one file with a Job for each array, indexed, and a small one that lets each stage begin when those before it have
// ended (follow.ts). Later Jobs are suspended until then, so that none holds a GPU while it waits; with a queue of Kueue's they
// get its label then, after which Kueue starts them when there is room.

import path from "node:path";
import { stringify } from "yaml";
import { usageError } from "../../errors/errors";
import { onOneLine } from "../../errors/printable";
import type { JobSystemName } from "../../settings/jobs";
import type { JobFile, JobState, JobStatus, JobSystem, JobWork, Submission } from "../job-system";
import { tool } from "../shell";
import { fromRanges, type JobArray } from "../stages";
import { followObjects } from "./follow-job";
import { AFTER, jobState, type KubernetesJob, QUEUE_LABEL } from "./job";
import { jobName, kubernetesOf, labelsOf } from "./names";
import { podSpec } from "./pod";

/** Completions, and pods at once, of an indexed Job with retries an index: the API takes more completions than that with fewer pods only. */
const LARGEST_ARRAY = 10_000;

/** Bytes of a ConfigMap, which has the file and the lists of trials. */
const LARGEST_CONFIG = 2 ** 20;

const FILE = "jobs.yaml";

export const kubernetes: JobSystem = {
  name: "kubernetes" satisfies JobSystemName,

  check(work) {
    const { experiment, cwd, out, options } = work;
    const { image, volume } = kubernetesOf(work);
    const missing = Object.entries({ image, volume }).filter(([, value]) => value === undefined);
    if (missing.length > 0) {
      const keys = missing.map(([key]) => `jobs.kubernetes.${key}`).join(" and ");
      throw usageError(
        `${experiment.file}: ${keys}: Kubernetes needs an image with flexbert and a volume that all jobs share`,
      );
    }
    const option = (flag: string) => (options.includes(flag) ? [[flag, options[options.indexOf(flag) + 1] ?? ""]] : []);
    const places = [
      ["the experiment", experiment.file],
      ["--out", out],
      ...option("--checkpoints"),
      ...option("--glue-data"),
    ];
    for (const [what, place] of places as [string, string][]) {
      if (isInside(cwd, place)) continue;
      throw usageError(
        `${place}: ${what} must lie in the working folder, which is what the volume holds of the project`,
      );
    }
    if (experiment.jobs?.node_cache?.includes("$")) {
      throw usageError(
        `${experiment.file}: jobs.node_cache: ${experiment.jobs.node_cache}: Kubernetes mounts a node's folder by its path. Name one without variables`,
      );
    }
    if (/[:\p{Cc}]/u.test(experiment.file)) {
      throw usageError(
        `${JSON.stringify(experiment.file)}: Kubernetes mounts no file with a colon or a line end in its path. Rename it`,
      );
    }
  },

  async largestArray() {
    return LARGEST_ARRAY;
  },

  write(work) {
    const head =
      `# flexbert: ${onOneLine(work.experiment.name)} on Kubernetes (plan ${work.plan}). Stands alone: edit it, keep it,\n` +
      "# kubectl apply --server-side -f this file (its ConfigMap may be larger than what apply keeps of it on the client's side).\n" +
      `# The volume holds the project at ${kubernetesOf(work).mount}: data, tasks, and the base in its folder cache.\n`;
    const documents = objectsOf(work).map((object) =>
      stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }),
    );
    const file: JobFile = { name: FILE, content: `${head}${documents.join("---\n")}` };
    return [file];
  },

  async submit(work, _, onArray) {
    await requireNew(work);
    try {
      await tool("kubectl", ["apply", "--server-side", "-f", path.join(work.folder, FILE)], "kubectl");
    } catch (error) {
      await removeAll(selector(work.experiment.name, work.number, kubernetesOf(work).namespace)).catch(() => undefined);
      throw error; // it is the error to show, whatever is left
    }
    for (const array of work.arrays) {
      const packs = array.stage.packs === null ? [""] : array.packs;
      await onArray({ name: array.name, stage: array.stage.name, packs, id: jobName(work, array.name) });
    }
  },

  async look(submission) {
    const printed = await tool("kubectl", ["get", "jobs", ...selectorOf(submission), "--output=json"], "kubectl");
    const found = new Map((JSON.parse(printed).items as KubernetesJob[]).map((job) => [job.metadata.name, job]));
    return submission.arrays.flatMap((array) => statusOf(array, found.get(array.id)));
  },

  async cancel(submission, arrays) {
    if (arrays.length === 0) return;
    if (arrays.length === submission.arrays.length) return removeAll(selectorOf(submission));
    await remove(["jobs", ...arrays.map(({ id }) => id), ...spaceOf(submission.namespace)]);
  },

  whereLog(submission, _, { id }, index) {
    const pod = `batch.kubernetes.io/job-name=${id},batch.kubernetes.io/job-completion-index=${index}`;
    return ["kubectl", "logs", `--selector=${pod}`, "--tail=-1", ...spaceOf(submission.namespace)].join(" ");
  },
};

const remove = async (which: readonly string[]): Promise<void> => {
  await tool("kubectl", ["delete", ...which, "--ignore-not-found", "--wait=false"], "kubectl");
};

/** All of a submission but the claim, which has no labels. */
const removeAll = (which: readonly string[]) =>
  remove(["jobs,configmaps,rolebindings,roles,serviceaccounts", ...which]);

function selector(experiment: string, number: number, namespace: string | undefined): string[] {
  const labels = Object.entries(labelsOf(experiment, number)).map(([key, value]) => `${key}=${value}`);
  return [`--selector=${labels.join(",")}`, ...spaceOf(namespace)];
}

const selectorOf = ({ experiment, number, namespace }: Submission) => selector(experiment, number, namespace);

const spaceOf = (namespace: string | undefined) => (namespace === undefined ? [] : [`--namespace=${namespace}`]);

/**
 * Another project's Jobs may have the same names, and apply would take them for these and say that nothing changed; or the same
 * labels, by which these are cancelled.
 */
async function requireNew(work: JobWork): Promise<void> {
  const { namespace } = kubernetesOf(work);
  const names = work.arrays.map((array) => jobName(work, array.name));
  const labelled = selector(work.experiment.name, work.number, namespace);
  for (const which of [[...names, ...spaceOf(namespace), "--ignore-not-found"], labelled]) {
    const found = await tool("kubectl", ["get", "jobs", ...which, "--output=name"], "kubectl");
    const [there] = found.split("\n").filter(Boolean);
    if (there === undefined) continue;
    throw usageError(
      `the cluster has ${there} already, of another project or of results that were removed here: delete it, or rename ` +
        work.experiment.file,
    );
  }
}

/** Whether a path is the folder or lies in it. */
function isInside(folder: string, place: string): boolean {
  const relative = path.relative(folder, path.resolve(folder, place));
  return relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

/** Indexes as a Job's status has them, "0-2,7". */
function statusOf(array: Submission["arrays"][number], job: KubernetesJob | undefined): JobStatus[] {
  const done = new Set(fromRanges(job?.status?.completedIndexes ?? ""));
  const failed = new Set(fromRanges(job?.status?.failedIndexes ?? ""));
  const over = job === undefined || jobState(job) !== null;
  // The controller begins with the lowest indexes; which of them have a pod now the Job does not say, only how many.
  let active = job?.status?.active ?? 0;
  return array.packs.map((_, index): JobStatus => {
    const ended = done.has(index) ? "done" : failed.has(index) ? "failed" : over ? "gone" : null;
    const state: JobState = ended ?? (active-- > 0 ? "running" : "pending");
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
  const size = Object.values(config.data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (size > LARGEST_CONFIG) {
    throw usageError(
      `${work.experiment.file}: its text and lists of trials have ${size} bytes, and a ConfigMap takes ${LARGEST_CONFIG}: give jobs.pack a number`,
    );
  }
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
      parallelism: Math.min(completions, work.settings.parallel ?? LARGEST_ARRAY),
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
