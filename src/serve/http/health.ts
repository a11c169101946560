// Whether the process lives, and whether it takes requests: as Kubernetes asks. /metrics, as Prometheus does.

import type { FastifyInstance } from "fastify";
import type { ServerContext } from "./context";
import { ApiError } from "./errors";

/** Why the server takes no requests; null where it does. */
export function notReady({ drain, inference }: Pick<ServerContext, "drain" | "inference">): ApiError | null {
  if (drain.isDraining) return new ApiError("draining", "the server is about to end");
  // One that died is being started again: whoever asks is not lost, but waits.
  if (inference.state().some(({ alive }) => alive)) return null;
  return new ApiError("not_ready", "no inference process lives");
}

export function healthRoutes(app: FastifyInstance, context: ServerContext): void {
  const open = { config: { access: "open" as const } };
  app.get("/healthz", open, async () => ({ status: "alive" }));
  app.get("/readyz", open, async () => {
    const reason = notReady(context);
    if (reason) throw reason;
    return { status: "ready" };
  });
  app.get("/metrics", async (_, reply) => reply.type(context.metrics.contentType).send(await context.metrics.text()));
}
