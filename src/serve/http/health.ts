// Whether the process lives, and whether it takes requests: as Kubernetes asks. /metrics, as Prometheus does.

import type { FastifyInstance } from "fastify";
import type { ServerContext } from "./context";
import { ApiError } from "./errors";

export function healthRoutes(app: FastifyInstance, { drain, inference, metrics }: ServerContext): void {
  const open = { config: { access: "open" as const } };
  app.get("/healthz", open, async () => ({ status: "alive" }));
  app.get("/readyz", open, async () => {
    if (drain.isDraining) throw new ApiError("draining", "the server is about to end");
    // One that died is being started again: whoever asks is not lost, but waits.
    if (!inference.state().some(({ alive }) => alive)) throw new ApiError("not_ready", "no inference process lives");
    return { status: "ready" };
  });
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
