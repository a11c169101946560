// Pages of other origins, where they were named: off by default.

import type { FastifyInstance } from "fastify";

export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  app.addHook("onRequest", async (request, reply) => {
    const { origin } = request.headers;
    reply.header("vary", "origin");
    if (origin === undefined || !origins.includes(origin)) return;
    reply.header("access-control-allow-origin", origin);
    reply.header(
      "access-control-expose-headers",
      "x-request-id, x-queue-time, x-inference-time, x-tokenization-time, x-model-version, retry-after",
    );
  });
  // A browser asks first, without a token: what is allowed does not say who may.
  app.options("/*", { config: { access: "open" } }, async (request, reply) => {
    const { origin } = request.headers;
    if (origin !== undefined && origins.includes(origin)) {
      reply.header("access-control-allow-methods", "GET, POST");
      reply.header("access-control-allow-headers", "authorization, content-type, x-request-id, x-deadline-ms");
      reply.header("access-control-max-age", "600");
    }
    return reply.code(204).send();
  });
}
