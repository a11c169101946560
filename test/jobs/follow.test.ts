// What makes Kubernetes' stages wait, against an API that is told how its Jobs end.

import { expect, test } from "@jest/globals";
import { clusterApi, followStages } from "../../src/jobs/kubernetes/follow";
import { AFTER, type KubernetesJob } from "../../src/jobs/kubernetes/job";

const silent = { log: () => undefined, warn: () => undefined, progress: () => ({ advance() {}, end() {} }) };
const signal = new AbortController().signal;

/** Jobs by name with how each ends; what is asked and patched is written down. A started one ends at the second look. */
function cluster(ends: Readonly<Record<string, "Complete" | "Failed">>, after: Readonly<Record<string, string>> = {}) {
  const events: string[] = [];
  const looks = new Map<string, number>();
  const [first = ""] = Object.keys(ends);
  const started = new Set([first]);
  let failures = 0;
  return {
    events,
    failNext: (count: number) => {
      failures = count;
    },
    api: {
      async get(name: string): Promise<KubernetesJob> {
        if (failures-- > 0) throw new Error("the API answered 500");
        const seen = (looks.get(name) ?? 0) + (started.has(name) ? 1 : 0);
        looks.set(name, seen);
        const ended = seen >= 3;
        if (ended && !events.includes(`${name} ended`)) events.push(`${name} ended`);
        return {
          metadata: { name, annotations: { [AFTER]: after[name] ?? "ended" } },
          spec: { suspend: !started.has(name) },
          status: { conditions: ended ? [{ type: ends[name] as string, status: "True" }] : [] },
        };
      },
      async patch(name: string, change: object) {
        started.add(name);
        events.push(`${name} ${JSON.stringify(change)}`);
      },
    },
  };
}

const follow = (api: ReturnType<typeof cluster>["api"], stages: string[][], queue?: string) =>
  followStages(stages, { api, queue, pause: 1 }, { reporter: silent, signal });

test("each stage is started when all Jobs of the one before have ended, failed ones too", async () => {
  const { api, events, failNext } = cluster({ f0: "Complete", d0: "Failed", d1: "Complete", e0: "Complete" });
  failNext(5);
  await follow(api, [["f0"], ["d0", "d1"], ["e0"]]);
  const start = '{"spec":{"suspend":false}}';
  expect(events).toEqual(["f0 ended", `d0 ${start}`, `d1 ${start}`, "d0 ended", "d1 ended", `e0 ${start}`, "e0 ended"]);
});

test("what needs all before it is not started where one failed", async () => {
  const { api, events } = cluster({ f0: "Failed", s0: "Complete" }, { s0: "succeeded" });
  await expect(follow(api, [["f0"], ["s0"]])).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/s0 needs all that comes before it, and f0 failed/),
  });
  expect(events).toEqual(["f0 ended"]);
});

test("with a queue of Kueue's a stage gets its label, and Kueue starts it", async () => {
  const { api, events } = cluster({ f0: "Complete", d0: "Complete" });
  await follow(api, [["f0"], ["d0"]], "gpu");
  expect(events).toContain('d0 {"metadata":{"labels":{"kueue.x-k8s.io/queue-name":"gpu"}}}');
});

test("outside a pod that is said", async () => {
  await expect(clusterApi({})).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(/in a pod/) });
});
