// What is served: for people, pages and clients.

import type { FastifyInstance } from "fastify";
import type { ModelAnswer, StatsAnswer } from "../../client/api";
import type { ServerContext } from "./context";
import { withoutPaths } from "./errors";

export function modelRoutes(app: FastifyInstance, context: ServerContext): void {
  const { live, inference, metrics, queue } = context;
  app.get("/v1/model", async (): Promise<ModelAnswer> => {
    const { id, base, precision, tasks } = live.current;
    return {
      version: id,
      tags: live.tags,
      base: { name: base.name, layers: base.layers },
      precision,
      tasks: tasks.map(({ name, kind, inputs, labels, fork, layers, version, maxLength, exitRule }) => ({
        ...{ name, kind: kind.name, inputs, labels, fork, layers, version, maxLength },
        ...(exitRule ? { exits: exitRule } : {}),
      })),
    };
  });
  app.get("/v1/stats", async (): Promise<StatsAnswer> => {
    const { requestsPerSecond, textsPerSecond, p50Ms, p99Ms } = metrics.recent.read();
    const { refused, swaps } = live;
    const round = (value: number) => Math.round(value * 100) / 100;
    return {
      requests_per_second: round(requestsPerSecond),
      texts_per_second: round(textsPerSecond),
      p50_ms: p50Ms === null ? null : round(p50Ms),
      p99_ms: p99Ms === null ? null : round(p99Ms),
      queue: { rows: queue.rows, tokens: queue.tokens, delay_ms: round(queue.delay()) },
      versions: live.open().map(({ id, requests }) => ({ version: id, requests })),
      swaps,
      refused: refused && { ...refused, reason: withoutPaths(refused.reason) },
      processes: inference.state().map(({ pid, alive, rssBytes, restarts }) => ({
        ...{ pid, alive, rss_bytes: rssBytes, restarts },
      })),
      draining: context.drain.isDraining,
    };
  });
}
