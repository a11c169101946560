// The pod that lets stages begin (follow.ts), as a Job of its own.

import type { JobWork } from "../job-system";
import { shellWord } from "../shell";
import { ACCOUNT } from "./follow";
import { jobName, type KubernetesSettings } from "./names";
import { container, unprivileged } from "./pod";

/** The pod that follows the stages, and what lets it. */
export function followObjects(work: JobWork, own: KubernetesSettings, meta: (name: string) => object): object[] {
  const name = jobName(work, "stages");
  const stages = [...new Set(work.arrays.map(({ stage }) => stage.name))].map((stage) =>
    work.arrays.filter((array) => array.stage.name === stage).map((array) => jobName(work, array.name)),
  );
  if (stages.length < 2) return [];
  const rules = [{ apiGroups: ["batch"], resources: ["jobs"], resourceNames: stages.flat(), verbs: ["get", "patch"] }];
  const queue = own.queue === undefined ? [] : ["--queue", own.queue];
  const words = ["jobs", "follow", ...stages.map((names) => names.join(",")), ...queue].map(shellWord);
  const size = { cpu: "100m", memory: "256Mi" };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: meta(name), automountServiceAccountToken: false },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: meta(name), rules },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: meta(name),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [
        { kind: "ServiceAccount", name, ...(own.namespace === undefined ? {} : { namespace: own.namespace }) },
      ],
    },
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: meta(name),
      spec: {
        backoffLimit: 20,
        ttlSecondsAfterFinished: Math.ceil(own.keep / 1000),
        podFailurePolicy: {
          rules: [
            { action: "FailJob", onExitCodes: { containerName: "flexbert", operator: "In", values: [2, 3, 4, 5, 6] } },
            { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          ],
        },
        template: {
          metadata: { labels: { "app.kubernetes.io/name": "flexbert" } },
          spec: {
            restartPolicy: "Never",
            serviceAccountName: name,
            ...unprivileged(own.user),
            automountServiceAccountToken: true,
            containers: [
              {
                ...container(work, `exec ${own.command} ${words.join(" ")}`),
                workingDir: "/tmp",
                resources: { requests: size, limits: size },
                env: [
                  { name: "HOME", value: "/tmp" },
                  { name: "NODE_EXTRA_CA_CERTS", value: `${ACCOUNT}/ca.crt` },
                ],
                volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
              },
            ],
            volumes: [{ name: "tmp", emptyDir: {} }],
          },
        },
      },
    },
  ];
}
