// What is read of a Job, and what is written on it beside its own.

/** Annotation of a Job: "ended" or "succeeded", of the stages before it. */
export const AFTER = "flexbert/after";
export const QUEUE_LABEL = "kueue.x-k8s.io/queue-name";

/** What is read of a Job. */
export interface KubernetesJob {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly suspend?: boolean };
  readonly status?: {
    readonly active?: number;
    readonly completedIndexes?: string;
    readonly failedIndexes?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** How a Job has ended; null where it has not. */
export function jobState({ status }: KubernetesJob): "succeeded" | "failed" | null {
  const has = (type: string) => status?.conditions?.some((one) => one.type === type && one.status === "True") ?? false;
  return has("Complete") ? "succeeded" : has("Failed") ? "failed" : null;
}
