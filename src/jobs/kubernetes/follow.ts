// What makes stages wait on Kubernetes, which has no dependencies between Jobs: a pod beside them that looks at the Jobs of one
// stage until they have ended, and starts those of the next. It may read and patch the submission's Jobs and nothing else.
// Killed, it begins again and finds what it has started started.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { failure, modelError, oneLine, UserError, usageError } from "../../errors/errors";
import { Interrupted, type Reporter } from "../../messages/reporter";
import { AFTER, jobState, type KubernetesJob, QUEUE_LABEL } from "./job";

/** Where a pod finds who it is. */
export const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface Api {
  get(job: string): Promise<KubernetesJob>;
  patch(job: string, change: object): Promise<void>;
}

/** The cluster's API as a pod reaches it. Throws usageError (2) outside a pod. */
export async function clusterApi(env: NodeJS.ProcessEnv = process.env, account = ACCOUNT): Promise<Api> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (!host) throw usageError("jobs follow runs in a pod of Kubernetes, as jobs submit --on kubernetes writes it");
  const space = (await readFile(`${account}/namespace`, "utf8")).trim();
  const authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const url = (job: string) => `https://${authority}/apis/batch/v1/namespaces/${space}/jobs/${job}`;
  const ask = async (job: string, init: RequestInit & { headers?: Record<string, string> } = {}) => {
    // Read each time: the kubelet replaces a token before it runs out.
    const token = (await readFile(`${account}/token`, "utf8")).trim();
    const headers = { ...init.headers, authorization: `Bearer ${token}`, accept: "application/json" };
    const answer = await fetch(url(job), { ...init, headers, signal: AbortSignal.timeout(30_000) });
    if (answer.ok) return (await answer.json()) as KubernetesJob;
    const said = `the API answered ${answer.status} for the Job ${job}`;
    if (answer.status === 404) throw modelError(`${said}: it was deleted. Submit again`);
    throw new Error(said);
  };
  return {
    get: (job) => ask(job),
    async patch(job, change) {
      const headers = { "content-type": "application/merge-patch+json" };
      await ask(job, { method: "PATCH", headers, body: JSON.stringify(change) });
    },
  };
}

/** Failures of the API in a row that are waited out. */
const PATIENCE = 60;

/**
 * Starts each stage when those before it have ended.
 * @param stages the names of each one's Jobs
 * @param pause milliseconds between two looks
 * @throws modelError (4) where a stage needs all of those before it and one of their Jobs failed
 */
export async function followStages(
  stages: readonly (readonly string[])[],
  { api, queue, pause }: { readonly api: Api; readonly queue: string | undefined; readonly pause: number },
  { reporter, signal }: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<void> {
  const failed: string[] = [];
  const patiently = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      if (signal.aborted) throw new Interrupted(null);
      try {
        return await ask();
      } catch (error) {
        if (error instanceof UserError) throw error;
        if (tries >= PATIENCE)
          throw failure(`${oneLine(error)}, ${tries} times in a row. Submit again for what is left`, error);
        if (tries === 1) reporter.log(`${(error as Error).message}: asking again`);
        await sleep(pause, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  const start = queue === undefined ? { spec: { suspend: false } } : { metadata: { labels: { [QUEUE_LABEL]: queue } } };
  for (const [i, names] of stages.entries()) {
    for (const name of names) {
      const job = await patiently(() => api.get(name));
      if (i === 0 || jobState(job) !== null) continue;
      if (job.metadata.annotations?.[AFTER] !== "ended" && failed.length > 0) {
        throw modelError(
          `${name} needs all that comes before it, and ${failed.join(", ")} failed. Submit again for what is left`,
        );
      }
      await patiently(() => api.patch(name, start));
      reporter.log(`${name}: started`);
    }
    for (const name of names) {
      for (let ended: "succeeded" | "failed" | null = null; ended === null; ) {
        ended = jobState(await patiently(() => api.get(name)));
        if (ended === null) await sleep(pause, undefined, { signal }).catch(() => undefined);
        else reporter.log(`${name}: ${ended}`);
        if (ended === "failed") failed.push(name);
      }
    }
  }
}
