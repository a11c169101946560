// The pod of a Job's index: the project's volume as working folder, the experiment's file laid over its own place there, so that
// what the file names relative to itself is found, and a container that may write there and in /tmp alone.

import path from "node:path";
import type { JobWork } from "../job-system";
import { runLine, usesGpu } from "../run-line";
import type { JobArray } from "../stages";
import { jobName, kubernetesOf } from "./names";

const CONFIG = "/etc/flexbert";

/** Where a pod that trains has its node's folder. */
const NODE_CACHE = "/node-cache";

/** Seconds after SIGTERM in which a state is saved. */
const GRACE = 120;

export function podSpec(work: JobWork, array: JobArray): object {
  const own = kubernetesOf(work);
  const { settings } = work;
  const shared = array.stage.packs === null ? undefined : settings.nodeCache;
  const size = {
    cpu: String(settings.cpus),
    memory: `${Math.ceil(settings.memory / 2 ** 20)}Mi`,
    ...(usesGpu(work, array) ? { [own.gpuResource]: String(settings.gpus) } : {}),
  };
  return {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: GRACE,
    ...unprivileged(own.user),
    containers: [
      {
        ...container(work, commandOf(work, array)),
        resources: { requests: size, limits: size },
        env: [
          { name: "FLEXBERT_CACHE", value: `${own.mount}/cache` },
          { name: "HOME", value: "/tmp" },
          { name: "NO_COLOR", value: "1" },
        ],
        volumeMounts: [
          { name: "work", mountPath: own.mount },
          {
            name: "files",
            mountPath: path.posix.join(own.mount, inside(work, work.experiment.file)),
            subPath: "experiment.yaml",
            readOnly: true,
          },
          { name: "files", mountPath: CONFIG, readOnly: true },
          { name: "tmp", mountPath: "/tmp" },
          ...(shared === undefined ? [] : [{ name: "node", mountPath: NODE_CACHE }]),
        ],
      },
    ],
    volumes: [
      { name: "work", persistentVolumeClaim: { claimName: own.volume } },
      { name: "files", configMap: { name: jobName(work, "files") } },
      { name: "tmp", emptyDir: {} },
      // An emptyDir is a pod's own. The folder must be there: what the node would make is root's.
      ...(shared === undefined ? [] : [{ name: "node", hostPath: { path: shared, type: "Directory" } }]),
    ],
  };
}

/** A pod that no user of the cluster's owns anything by. */
export const unprivileged = (user: number) => ({
  automountServiceAccountToken: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    fsGroup: user,
    seccompProfile: { type: "RuntimeDefault" },
  },
});

/** @param command what a shell runs; `exec` in it makes flexbert the process that is sent SIGTERM */
export const container = (work: JobWork, command: string) => ({
  name: "flexbert",
  image: kubernetesOf(work).image,
  workingDir: kubernetesOf(work).mount,
  command: ["/bin/sh", "-c", command],
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
});

const inside = ({ cwd }: JobWork, file: string) =>
  path.relative(cwd, path.resolve(cwd, file)).replaceAll(path.sep, "/") || ".";

function commandOf(work: JobWork, array: JobArray): string {
  const { experiment } = work;
  const there = {
    ...work,
    out: inside(work, work.out),
    options: work.options.map((word) => (path.isAbsolute(word) ? inside(work, word) : word)),
    experiment: { ...experiment, file: inside(work, experiment.file) },
  };
  const shared = work.settings.nodeCache === undefined ? undefined : NODE_CACHE;
  const line = `${kubernetesOf(work).command} ${runLine(there, array, shared)}`;
  if (array.stage.packs === null) return `exec ${line}`;
  return `exec ${line} --trial "$(sed -n "$((JOB_COMPLETION_INDEX + 1))p" ${CONFIG}/${array.name}.txt)"`;
}
